"""Times as RFC 3339 writes them: all of its forms, and no other."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.text import moments
from common.text.moments import FIRST, LAST, NotATime, read_day, read_moment


def utc(*parts):
    return dt.datetime(*parts, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2025-11-03T09:30:00Z", utc(2025, 11, 3, 9, 30)),
        ("2025-11-03t09:30:00z", utc(2025, 11, 3, 9, 30)),
        ("2025-11-03 09:30:00Z", utc(2025, 11, 3, 9, 30)),
        ("2025-11-03T09:30:00-00:00", utc(2025, 11, 3, 9, 30)),
        ("2025-11-03T09:30:00+05:30", utc(2025, 11, 3, 4)),
        ("2025-11-03T09:30:00+23:59", utc(2025, 11, 2, 9, 31)),
        ("2025-11-03T09:30:00-23:59", utc(2025, 11, 4, 9, 29)),
        ("2025-11-03T09:30:00.5Z", utc(2025, 11, 3, 9, 30, 0, 500_000)),
        ("2025-11-03T09:30:00.1234567Z", utc(2025, 11, 3, 9, 30, 0, 123_456)),
        ("2025-11-03T09:30:00.999999999999999999999Z", utc(2025, 11, 3, 9, 30, 0, 999_999)),
        ("1985-04-12T23:20:50.52Z", utc(1985, 4, 12, 23, 20, 50, 520_000)),
        ("1990-12-31T23:59:60Z", utc(1990, 12, 31, 23, 59, 59, 999_999)),
        ("1990-12-31T15:59:60-08:00", utc(1990, 12, 31, 23, 59, 59, 999_999)),
        ("1990-12-31T23:59:60.25Z", utc(1990, 12, 31, 23, 59, 59, 999_999)),
        ("2024-02-29T00:00:00Z", utc(2024, 2, 29)),
        ("9999-12-31T23:59:59-23:59", LAST),
        ("9999-12-31T23:59:59.9999999Z", LAST),
        ("0001-01-01T00:00:00+00:01", FIRST),
        ("0000-02-29T00:00:00Z", FIRST),
    ],
)
def test_what_rfc_3339_allows_is_read(text, moment):
    assert read_moment(text) == moment


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("2025-11-03T09:30:00", "The offset from UTC is missing"),
        ("2025-11-03 09:30:00.5", "The offset from UTC is missing"),
        ("2025-11-03", "A time with its offset"),
        ("2025-11-03T09:30Z", "A time with its offset"),
        ("20251103T093000Z", "A time with its offset"),
        ("2025-W45-1T09:30:00Z", "A time with its offset"),
        ("2025-11-03T09:30:00+0100", "A time with its offset"),
        ("2025-11-03T09:30:00+01", "A time with its offset"),
        ("2025-11-03T09:30:00,5Z", "A time with its offset"),
        ("2025-11-03T09:30:00.Z", "A time with its offset"),
        ("2025-11-03_09:30:00Z", "A time with its offset"),
        ("2025-11-03T09:30:00 Z", "A time with its offset"),
        ("2025-11-03T09:30:00\u221201:00", "A time with its offset"),
        ("2025-11-03T09:30:00Z\n", "A time with its offset"),
        (" 2025-11-03T09:30:00Z", "A time with its offset"),
        ("\u0662025-11-03T09:30:00Z", "A time with its offset"),
        ("12025-11-03T09:30:00Z", "A time with its offset"),
        ("-2025-11-03T09:30:00Z", "A time with its offset"),
        ("2025-11-03T09:30:00+24:00", "at most 23:59"),
        ("2025-11-03T09:30:00+01:60", "at most 23:59"),
        ("2025-11-03T24:00:00Z", "at most 23:59:59"),
        ("2025-11-03T09:60:00Z", "at most 23:59:59"),
        ("2025-11-03T09:30:61Z", "at most 23:59:59"),
        ("2025-11-03T09:30:60Z", "leap second"),
        ("2025-11-03T23:59:60Z", "leap second"),
        ("1990-12-31T23:59:60+01:00", "leap second"),
        ("2025-02-29T09:30:00Z", "no such day"),
        ("2025-13-01T09:30:00Z", "no such day"),
        ("2025-00-10T09:30:00Z", "no such day"),
        ("", "A time with its offset"),
    ],
)
def test_what_rfc_3339_does_not_allow_is_refused_with_what_would_be_right(text, sentence):
    with pytest.raises(NotATime) as refused:
        read_moment(text)

    assert sentence in str(refused.value)


OFFSETS = st.timedeltas(dt.timedelta(hours=-23, minutes=-59), dt.timedelta(hours=23, minutes=59))


@given(
    st.datetimes(dt.datetime(2, 1, 1), dt.datetime(9998, 12, 31)),
    OFFSETS.map(
        lambda offset: dt.timezone(dt.timedelta(minutes=offset // dt.timedelta(minutes=1)))
    ),
)
def test_what_python_writes_is_read_as_the_same_moment(local, zone):
    moment = local.replace(tzinfo=zone)

    assert read_moment(moment.isoformat()) == moment


@given(st.text("0123456789-:.TtZz+ ", max_size=40))
def test_any_text_is_a_time_or_refused(text):
    for read in (read_moment, read_day):
        try:
            read(text)
        except NotATime as refused:
            assert str(refused)


@pytest.mark.parametrize(
    "text", ["20240229", "2024-W09-4", "2025-02-29", "0000-01-01", "2025-1-1", "2025-11-03Z", ""]
)
def test_a_day_has_one_form(text):
    with pytest.raises(NotATime):
        read_day(text)


def test_the_edges_of_the_calendar_are_days():
    assert read_day("0001-01-01") == dt.date.min
    assert read_day("9999-12-31") == dt.date.max
    assert moments.read_day("2024-02-29") == dt.date(2024, 2, 29)
