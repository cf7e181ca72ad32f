"""Long work says now and then how far it is, how fast, and when it will end."""

import logging

from bertkit.data.stages import progress


def test_lines_come_every_few_seconds_and_at_the_end(monkeypatch, caplog):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    # Where a command has run before, bertkit's loggers do not pass on to others.
    monkeypatch.setattr(progress.log, "handlers", [caplog.handler])
    monkeypatch.setattr(progress.log, "propagate", False)
    with caplog.at_level(logging.INFO, logger="bertkit.data"):
        work = progress.Progress("packing", 4000)
        for _ in range(10):
            now[0] += 1
            work.more(100)
        work.end()
    assert caplog.messages == [
        "packing: 500 of 4,000 (12%), 100/s, 35 s left",
        "packing: 1,000 of 4,000 (25%), 100/s, 30 s left",
        "packing: 1,000 in 10.0 s (100/s)",
    ]


def test_what_takes_seconds_each_is_told_by_the_minute(monkeypatch, caplog):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(progress.log, "handlers", [caplog.handler])
    monkeypatch.setattr(progress.log, "propagate", False)
    with caplog.at_level(logging.INFO, logger="bertkit.data"):
        work = progress.Progress("extracted", 8)
        now[0] += 12
        work.more(2)
    assert caplog.messages == ["extracted: 2 of 8 (25%), 10 a minute, 36 s left"]
