"""Text that people typed, made harmless without losing a word of it. HTML is escaped by the templates."""

import re
import unicodedata
from itertools import groupby, islice

from ledger.errors import InvalidInput

_NEWLINE = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
# Invisible and never needed in text: control characters, halves of surrogate pairs (no database takes
# them), the zero-width space and the byte order mark, and everything that turns the direction of the
# text around it. Arabic and Hebrew read well without: their letters carry their direction. Joiners
# (U+200C, U+200D) stay, Persian words and emoji are spelt with them.
_UNSEEN = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufeff\u200b\u200e\u200f\u061c\u202a-\u202e\u2066-\u206f]"
)
# UAX #15 (stream-safe text): no language piles up more marks on a letter. Without a bound 80,000 of
# them take NFC ten seconds, and cover the lines above.
_MAX_MARKS = 30


def clean(text: str, *, max_length: int, field: str, lines: bool = True) -> str:
    r"""The text as it is kept: stripped, NFC, newlines as \n; without `lines`, on one line.

    Invisible characters are removed, not refused: an objection is never lost over them. Raises
    InvalidInput for `field` when more than `max_length` characters remain.
    """
    # Longer than any cleaning makes short: a sender of megabytes cannot make us read them.
    if len(text) > 8 * max_length + 1_000:
        raise _too_long(max_length, field, len(text))
    text = _UNSEEN.sub("", _NEWLINE.sub("\n", text))
    text = text.strip() if lines else " ".join(text.split())
    text = unicodedata.normalize("NFC", _with_few_marks(text))
    if len(text) > max_length:
        raise _too_long(max_length, field, len(text))
    return text


def _too_long(max_length: int, field: str, length: int) -> InvalidInput:
    return InvalidInput(
        f"At most {max_length:,} characters; these are {length:,}.", field=field, code="too_long"
    )


def visible(text: str) -> str:
    """The text as it is shown and exported: an invisible character is shown by its code, [U+202E].

    Two texts that differ look different. What `clean` has returned is shown as it is.
    """
    return _UNSEEN.sub(lambda found: f"[U+{ord(found[0]):04X}]", _NEWLINE.sub("\n", text))


def _with_few_marks(text: str) -> str:
    if text.isascii():
        return text
    return "".join(
        "".join(islice(run, _MAX_MARKS if are_marks else None))
        for are_marks, run in groupby(text, key=lambda letter: unicodedata.combining(letter) > 0)
    )


def is_blank(text: str) -> bool:
    """Whether the text has no visible character: only spaces, or marks without a width."""
    return not any(char.isprintable() and not char.isspace() for char in text)
