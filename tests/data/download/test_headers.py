"""Headers may say anything; what makes no sense counts as not said."""

import time
from email.utils import formatdate

import pytest

from bertkit.data.download.headers import Range, length_of, range_of, seconds_of, validator_of


@pytest.mark.parametrize(
    ("text", "value"),
    [("5", 5), (" 7 ", 7), ("", None), ("-1", None), ("9" * 5000, None), ("\u0664", None)],
)
def test_a_length_is_a_number_that_a_file_can_have(text, value):
    assert length_of({"Content-Length": text}) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("bytes 2-4/9", Range(2, 4, 9)), ("bytes 2-4/*", Range(2, 4, None)), ("bytes */9", None),
        ("lines 2-4/9", None), ("bytes 2-" + "4" * 5000 + "/9", None), ("", None),
    ],
)  # fmt: skip
def test_a_range_is_three_numbers(text, value):
    assert range_of({"Content-Range": text}) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [("120", 120), (None, None), ("soon", None), ("Mon, 99 Jan 2010", None),
     ("Fri, 01 Jan 2010 00:00:00 GMT", 0)],
)  # fmt: skip
def test_the_time_to_come_back_is_seconds_or_a_date(text, value):
    assert seconds_of(text) == value


def test_a_date_to_come_back_is_counted_from_now():
    assert 50 < seconds_of(formatdate(time.time() + 60, usegmt=True)) <= 60


def test_only_what_names_the_same_bytes_is_a_validator():
    assert validator_of({"ETag": '"a"', "Last-Modified": "x"}) == '"a"'
    assert validator_of({"ETag": 'W/"a"', "Last-Modified": "x"}) == "x"
    assert validator_of({"ETag": 'W/"a"'}) is None
