"""One reader of JSON for everything that others wrote."""

import ast
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.text import strict_json

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b'{"a": [1, -2.5, true, null, "\\u00e9"]}', {"a": [1, -2.5, True, None, "é"]}),
        (b"\xef\xbb\xbf{}", {}),
        (b' \t\r\n"x"\r\n', "x"),
        (b'"\\ud83d\\ude00"', "\N{GRINNING FACE}"),
        (b"9007199254740993", 9007199254740993),
        (b"[" * 64 + b"]" * 64, json.loads("[" * 64 + "]" * 64)),
        ('{"[[": "' + "[{" * 1000 + '"}', {"[[": "[{" * 1000}),
        (b"[" + b",".join([b"{}"] * 100) + b"]", [{}] * 100),
    ],
)
def test_json_of_one_meaning_is_read(text, value):
    assert strict_json.read(text) == value


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b'{"status": "closed", "status": "open"}', "a name twice"),
        (b'{"a": {"b": 1, "\\u0062": 2}}', "a name twice"),
        (b'[{"a": 1, "a": 1}]', "a name twice"),
        (b"NaN", "NaN is not JSON"),
        (b"[Infinity]", "Infinity is not JSON"),
        (b'{"a": -Infinity}', "-Infinity is not JSON"),
        (b"1e400", "too large"),
        (b"-1" + b"0" * 400 + b".0", "too large"),
        (b"9" * 1001, "1,000 digits"),
        (b'"\\ud800"', "surrogate"),
        (b'{"\\uDFFF": 1}', "surrogate"),
        (b'["\\ud83dx"]', "surrogate"),
        (b"[" * 65 + b"]" * 65, "64 levels"),
        (b"[" * 100_000, "64 levels"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "64 levels"),
        (b"", "Expecting value"),
        (b"{'a': 1}", "double quotes"),
        (b"[1,]", ""),
        (b"{} {}", "Extra data"),
        (b'{"a": 1}\r{"a": 2}', "Extra data"),
        (b"01", "Extra data"),
        (b"+1", "Expecting value"),
        (b'"a\tb"', "control character"),
        (b'"a\0b"', "control character"),
        (b"\xef\xbb\xbf\xef\xbb\xbf{}", ""),
        (b"\xff\xfe{\0}\0", "not UTF-8"),
        (b"{\0}\0", ""),
        ('"é"'.encode("latin-1"), "not UTF-8"),
        (b'"\xed\xa0\x80"', "not UTF-8"),
        (b'"\xc0\x80"', "not UTF-8"),
    ],
)
def test_json_without_a_single_meaning_is_refused(text, sentence):
    with pytest.raises(strict_json.NotJson) as refused:
        strict_json.read(text)

    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    ("text", "line", "byte"),
    [
        (b'{"a":\n "\xc3\xa9" x}', 2, 7),
        (b'["\xc3\xa9",\n\xff]', 2, 1),
        (b"\xef\xbb\xbf[\xff", 1, 2),
    ],
)
def test_a_refusal_says_the_line_and_the_byte(text, line, byte):
    with pytest.raises(strict_json.NotJson) as refused:
        strict_json.read(text)

    assert (refused.value.line, refused.value.byte) == (line, byte)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)  # fmt: skip


@given(VALUES)
def test_what_json_can_say_is_read_as_it_was_meant(value):
    assert strict_json.read(json.dumps(value, ensure_ascii=False).encode()) == value
    assert strict_json.read(json.dumps(value)) == value


@given(st.binary(max_size=60) | st.text('{}[]",:\\u0d8a1eE+-.NaIn\n ', max_size=60))
def test_any_bytes_are_read_or_refused(data):
    try:
        strict_json.read(data)
    except strict_json.NotJson as refused:
        assert str(refused)


def test_no_door_reads_a_body_in_another_way():
    """`request.data` goes into `read` with a shape; NDJSON alone is taken line by line."""
    loose = []
    for path in sorted(ROOT.glob("*/api/views.py")):
        tree = ast.parse(path.read_text())
        shaped = {
            id(argument)
            for call in ast.walk(tree)
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "read"
            for argument in call.args
        }
        loose += [
            f"{path.relative_to(ROOT)}:{found.lineno}"
            for found in ast.walk(tree)
            if isinstance(found, ast.Attribute)
            and found.attr in ("data", "query_params", "body", "stream", "POST", "GET", "FILES")
            and getattr(found.value, "id", "") == "request"
            and id(found) not in shaped
        ]

    assert [place.rpartition(":")[0] for place in loose] == ["consent/api/views.py"]
