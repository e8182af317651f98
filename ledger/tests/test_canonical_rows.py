"""Rows written column by column have the bytes of rows written value by value."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.canonical import dumps, plain_rows
from ledger.errors import NotCanonical

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
numbers = st.integers(-(2**53) + 1, 2**53 - 1)
times = st.datetimes(timezones=st.sampled_from([dt.UTC, dt.timezone(dt.timedelta(hours=3))]))
values = st.one_of(
    texts, numbers, st.booleans(), st.none(), st.dates(), times, st.lists(texts, max_size=2)
)
one_kind = st.sampled_from([texts, numbers, st.dates(), times, st.dates() | st.none()])
tables = st.integers(1, 4).flatmap(
    lambda width: st.lists(one_kind | st.just(values), min_size=width, max_size=width)
).flatmap(lambda kinds: st.lists(st.tuples(*kinds), max_size=5))  # fmt: skip


@given(tables)
def test_rows_have_the_bytes_of_their_values(rows):
    assert dumps(plain_rows(zip(*rows, strict=True))) == dumps(rows)


@pytest.mark.parametrize(
    "value", [1.5, 2**53, -(2**53), b"x", dt.datetime(2026, 1, 1), "\ud800", {1: "x"}]
)
@pytest.mark.parametrize("beside", ["x", 1, None])
def test_what_has_no_canonical_form_is_refused_in_rows_too(value, beside):
    with pytest.raises(NotCanonical):
        dumps(plain_rows([(value, beside)]))
    with pytest.raises(NotCanonical):
        dumps(plain_rows([(value,)]))
