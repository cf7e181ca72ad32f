"""The stage that extracts: the same text in however many parts, and nothing uncounted."""

import pytest

from bertkit.data.layout import DataLayout
from bertkit.data.samples import sources
from bertkit.data.stages.parts import carry_out_parts
from bertkit.data.wikipedia import extraction
from bertkit.data.wikipedia.pages import KINDS


@pytest.fixture
def extracted(monkeypatch, tmp_path):
    """Extracts the real sample, which is one bz2 stream, in parts of so many bytes."""

    def extract(size):
        monkeypatch.setattr(extraction, "_BYTES", size)
        layout = DataLayout(tmp_path / str(size))
        stage = extraction.extraction(layout, sources.sample_dump(), None, "sum")
        (manifest,) = carry_out_parts(stage, layout, 2).manifests
        files = sorted(layout.extracted.rglob("wiki_*"))
        return manifest.counts, [path.read_text(encoding="utf-8") for path in files]

    return extract


def test_a_dump_of_one_stream_has_the_same_text_and_counts_in_many_parts(extracted):
    counts, (whole,) = extracted(1 << 30)
    counts_of_parts, parts = extracted(300_000)
    assert len(parts) == 6
    assert all(parts)
    assert "".join(parts) == whole
    assert {**counts_of_parts, "files": 1} == counts
    assert counts["pages"] == 206 == sum(counts[kind] for kind in KINDS)
    assert whole.count("</doc>") == counts["articles"] == 103
