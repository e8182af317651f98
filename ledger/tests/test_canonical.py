import datetime as dt
import json

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from ledger import canonical
from ledger.errors import NotCanonical

texts = st.text(st.characters(exclude_categories=["Cs"]))
keys = st.text(st.characters(max_codepoint=127))
scalars = (
    st.none() | st.booleans() | texts | st.integers(-canonical.MAX_NUMBER, canonical.MAX_NUMBER)
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(keys, inner), max_leaves=30
)


@given(values)
def test_the_bytes_are_those_of_rfc_8785(value):
    assert canonical.dumps(value) == rfc8785.dumps(value)


@given(values)
def test_what_is_written_can_be_read_and_written_again(value):
    written = canonical.dumps(value)

    assert canonical.dumps(json.loads(written)) == written


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(0.5, id="a fraction"),
        pytest.param(1.0, id="a whole float"),
        pytest.param(float("nan"), id="not a number"),
        pytest.param(2**53, id="a number too large"),
        pytest.param(-(2**53), id="a number too small"),
        pytest.param(b"bytes", id="bytes"),
        pytest.param({1, 2}, id="a set"),
        pytest.param(dt.datetime(2024, 9, 18, 12), id="a time without a zone"),
        pytest.param({1: "one"}, id="a key that is no text"),
        pytest.param({"\u00e9": 1}, id="a key that is not ASCII"),
        pytest.param("\ud800", id="half a character"),
        pytest.param(object(), id="anything else"),
    ],
)
def test_what_has_no_canonical_form_is_refused(value):
    with pytest.raises(NotCanonical):
        canonical.dumps({"inside": [value]})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (dt.date(2024, 9, 18), '"2024-09-18"'),
        (dt.datetime(2024, 9, 18, 12, tzinfo=dt.UTC), '"2024-09-18T12:00:00.000000Z"'),
        (
            dt.datetime(2024, 9, 18, 12, 0, 0, 7, dt.timezone(dt.timedelta(hours=2))),
            '"2024-09-18T10:00:00.000007Z"',
        ),
        ((1, 2), "[1,2]"),
    ],
)
def test_dates_times_and_tuples_have_one_form(value, text):
    assert canonical.dumps(value).decode() == text
