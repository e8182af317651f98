import csv
import datetime as dt
import io
import re
from decimal import Decimal
from itertools import count, islice

import pytest
from django.utils.functional import lazystr
from hypothesis import given
from hypothesis import strategies as st

from common.files import exports
from common.text import words
from consent.choices import Purpose

NOON = dt.datetime(2026, 3, 5, 12, tzinfo=dt.UTC)


def read(pieces):
    """As a spreadsheet or a library reads it."""
    return list(csv.reader(io.StringIO(b"".join(pieces).decode("utf-8-sig"), newline="")))


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        pytest.param(None, "", id="nothing"),
        pytest.param("", "", id="empty text"),
        pytest.param(0, "0", id="zero"),
        pytest.param(-5, "-5", id="a negative number"),
        pytest.param(Decimal("-0.5"), "-0.5", id="a negative decimal"),
        pytest.param(-0.25, "-0.25", id="a negative fraction"),
        pytest.param(True, "yes", id="true"),
        pytest.param(False, "no", id="false"),
        pytest.param(NOON.date(), "2026-03-05", id="a day"),
        pytest.param(NOON, "2026-03-05T12:00:00+00:00", id="a time"),
        pytest.param(Purpose.SAFETY, "safety", id="a choice"),
        pytest.param(lazystr("upheld"), "upheld", id="a translated word"),
        pytest.param(lazystr("=1"), "'=1", id="a translated formula"),
        pytest.param('say "no", twice', 'say "no", twice', id="quotes and commas"),
        pytest.param("אני מתנגד", "אני מתנגד", id="Hebrew"),
    ],
)
def test_how_a_value_is_written(value, cell):
    assert read(exports.csv_lines(["a", "b"], [[value, 1]])) == [["a", "b"], [cell, "1"]]


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        pytest.param("=1+1", "'=1+1", id="equals"),
        pytest.param("+353 1 234", "'+353 1 234", id="plus"),
        pytest.param("-2+3+cmd|' /C calc'!A0", "'-2+3+cmd|' /C calc'!A0", id="minus"),
        pytest.param("@SUM(A1)", "'@SUM(A1)", id="at"),
        pytest.param("  =1", "'  =1", id="after spaces"),
        pytest.param("\u00a0\u3000=1", "'\u00a0\u3000=1", id="after wide and hard spaces"),
        pytest.param("\t=1", "' =1", id="after a tab"),
        pytest.param("\r=1", "' =1", id="after a carriage return"),
        pytest.param("\r\n\n=1", "'  =1", id="after newlines"),
        pytest.param('"=1"', '\'"=1"', id="in quotes"),
        pytest.param("'=1", "''=1", id="behind an apostrophe"),
        pytest.param("＝1", "'＝1", id="a full-width equals"),
        pytest.param("＋1", "'＋1", id="a full-width plus"),
        pytest.param("－1", "'－1", id="a full-width minus"),
        pytest.param("＠A", "'＠A", id="a full-width at"),
        pytest.param("﹦1", "'﹦1", id="a small equals"),
        pytest.param("\u2212" + "1", "'\u2212" + "1", id="a minus of typographers"),
        pytest.param("\u2060=1", "'\u2060=1", id="after a word joiner"),
        pytest.param("\u00ad\u200d=1", "'\u00ad\u200d=1", id="after a soft hyphen and a joiner"),
        pytest.param("hello;=1", "hello;'=1", id="where a semicolon ends a cell"),
        pytest.param('";"+1', '";\'"+1', id="where a semicolon and a quote do"),
        pytest.param("\ufeff=1", "[U+FEFF]=1", id="after a byte order mark"),
        pytest.param("\u202e=1", "[U+202E]=1", id="after an override of direction"),
        pytest.param("\x00=1", "[U+0000]=1", id="after a NUL"),
        pytest.param("\t1\n2", " 1 2", id="no formula: tab and newline are spaces"),
        pytest.param("1=1; 2-1", "1=1; 2-1", id="no formula: signs inside"),
        pytest.param(
            "<script>alert(1)</script>", "<script>alert(1)</script>", id="no formula: HTML"
        ),
    ],
)
@pytest.mark.parametrize("column", [0, 1])
def test_no_cell_begins_a_formula(text, cell, column):
    row = ["x", "x"]
    row[column] = text

    lines = read(exports.csv_lines(["a", "b"], [row]))

    assert lines[1][column] == cell
    assert len(lines) == 2


def test_a_heading_is_no_formula_either():
    assert read(exports.csv_lines(["=1"], [])) == [["'=1"]]


@given(st.lists(st.lists(st.text(st.characters()), min_size=2, max_size=2), max_size=5))
def test_what_is_read_back_is_what_was_written_but_for_apostrophes_and_newlines(rows):
    found = read(exports.csv_lines(["a", "b"], rows))

    for cells in found:
        assert not any(re.match(r"\s*[=+\-@＝＋－＠]", cell) for cell in cells)
    assert [[_without_apostrophes(cell) for cell in cells] for cells in found[1:]] == [
        [re.sub(r"[\n\t]", " ", words.visible(text)) for text in row] for row in rows
    ]


@given(st.text("=+-@＝;'\" \t\nx", max_size=20))
def test_every_cell_of_a_spreadsheet_that_splits_at_semicolons_is_harmless(text):
    written = b"".join(exports.csv_lines(["a"], [[text]])).decode("utf-8-sig").splitlines()[1]

    assert not any(re.match(r"[\s\"]*[=+\-@＝]", cell) for cell in written.split(";"))


def _without_apostrophes(cell):
    return re.sub(r"(^|;)'(?=[\s\"']*[=+\-@＝＋－＠])", r"\1", cell)


def test_a_word_of_100_kb_is_written_whole():
    assert read(exports.csv_lines(["a"], [["x" * 100_000]]))[1] == ["x" * 100_000]


def test_every_row_is_one_line_whatever_was_typed():
    rows = [["a\nb\r\nc\u2028d\x0be", 'x"\r"y']] * 3

    text = b"".join(exports.csv_lines(["a", "b"], rows)).decode("utf-8-sig")

    assert len(text.splitlines()) == 4


def test_rows_are_taken_as_they_are_sent():
    taken = []
    endless = ([taken.append(number) or "x" * 1000] for number in count())

    blocks = list(islice(exports.csv_lines(["a"], endless), 2))

    assert all(len(block) < 2 * exports.BLOCK for block in blocks)
    assert len(taken) < 100


def test_the_answer_is_a_file_to_keep_and_not_to_show():
    answer = exports.csv_response('tickets "all".csv', ["a"], [[1]])

    assert answer.headers == {
        "Content-Type": "text/csv; charset=utf-8",
        "Content-Disposition": 'attachment; filename="tickets \\"all\\".csv"',
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }
    assert answer.content == b"\xef\xbb\xbfa\r\n1\r\n"
