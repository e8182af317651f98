import time
import unicodedata

import pytest
from django.utils.html import escape
from hypothesis import given
from hypothesis import strategies as st

from common.text import words
from ledger.errors import InvalidInput

anything = st.text(st.characters())


def cleaned(text, *, max_length=1_000_000, lines=True):
    return words.clean(text, max_length=max_length, field="statement", lines=lines)


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        pytest.param("  I object. \n", "I object.", id="space around"),
        pytest.param("a\r\nb\rc\nd", "a\nb\nc\nd", id="newlines of every system"),
        pytest.param(
            "a\u2028b\u2029c\x85d\x0be\x0cf", "a\nb\nc\nd\ne\nf", id="newlines of Unicode"
        ),
        pytest.param("a\n\n\tb", "a\n\n\tb", id="paragraphs and tabs"),
        pytest.param("Zoe\u0308", "Zoë", id="a letter and its mark"),
        pytest.param("I\x00 ob\x07ject\x1b[31m", "I object[31m", id="control characters"),
        pytest.param("\ufeffI ob\u200bject", "I object", id="byte order mark, zero-width space"),
        pytest.param("a\ud800b\udfff", "ab", id="halves of surrogate pairs"),
        pytest.param("exe.\u202efdp\u202c", "exe.fdp", id="an override of direction"),
        pytest.param("\u2066a\u2069\u200e\u200f\u061c", "a", id="isolates and marks of direction"),
        pytest.param("אני מתנגד", "אני מתנגד", id="Hebrew"),
        pytest.param("می\u200cخواهم", "می\u200cخواهم", id="a Persian word with its joiner"),
        pytest.param("👩\u200d👧", "👩\u200d👧", id="an emoji with its joiner"),
        pytest.param("<b>no</b> & =1+1", "<b>no</b> & =1+1", id="HTML and formulas stay words"),
        pytest.param("\x00\u202e \n", "", id="only invisible characters"),
    ],
)
def test_what_is_kept_of_what_was_typed(typed, kept):
    assert cleaned(typed) == kept


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("Zoë\r\nBcc: all@example.org", "Zoë Bcc: all@example.org"),
        ("\tZoë \u00a0 Ní\u2028Bhriain ", "Zoë Ní Bhriain"),
        ("zoe@example.org\u200b", "zoe@example.org"),
    ],
)
def test_a_line_stays_one_line(typed, kept):
    assert cleaned(typed, lines=False) == kept


@given(anything, st.booleans())
def test_what_is_kept_can_be_stored_and_is_shown_as_it_is(typed, lines):
    kept = cleaned(typed, lines=lines)

    assert kept.encode().decode() == kept == kept.strip() == words.visible(kept)
    assert unicodedata.is_normalized("NFC", kept)
    assert not {"\x00", "\r", "\u202e"} & set(kept)
    assert lines or not {"\n", "\t"} & set(kept)


@given(st.text(st.characters(categories=["L", "N", "P"]), max_size=50))
def test_no_letter_digit_or_sign_is_lost(typed):
    assert cleaned(typed) == unicodedata.normalize("NFC", typed)


def test_too_long_a_text_is_refused_with_the_limit_and_its_length():
    with pytest.raises(InvalidInput) as refusal:
        cleaned("x" * 20_001, max_length=20_000)

    assert str(refusal.value) == "At most 20,000 characters; these are 20,001."
    assert (refusal.value.field, refusal.value.code) == ("statement", "too_long")


def test_the_length_is_that_of_what_is_kept():
    assert cleaned(" \r\n" + "x\x00" * 20 + "\n ", max_length=20) == "x" * 20


def test_a_word_of_100_kb_is_kept_whole():
    assert cleaned("x" * 100_000, max_length=100_000) == "x" * 100_000


def test_a_pile_of_marks_is_cut_to_what_a_language_could_need():
    pile = "o" + "\u0301\u0316" * 50_000

    started = time.perf_counter()
    kept = cleaned(pile + "k")

    # Without the bound: more than ten seconds.
    assert time.perf_counter() - started < 1
    assert len(kept) == 31
    assert (kept[0], kept[-1]) == ("ó", "k")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("acc-1", "acc-1"),
        ("acc-\u202e1", "acc-[U+202E]1"),
        ("acc\u200b-1\x00", "acc[U+200B]-1[U+0000]"),
        ("\u2067שלום\u2069", "[U+2067]שלום[U+2069]"),
        ("a\r\nb", "a\nb"),
        ("\ud800", "[U+D800]"),
        ("\u200e\u200f\u061c", "[U+200E][U+200F][U+061C]"),
    ],
)
def test_invisible_characters_are_shown_by_their_code(text, shown):
    assert words.visible(text) == shown


@given(anything)
def test_anything_can_be_shown(text):
    shown = words.visible(text)

    assert escape(shown).encode().decode() == escape(shown)
    assert words.visible(shown) == shown
