"""The forms in which a known value is looked for, over text without case, marks and signs.

Text and values are folded the same way: small letters without their marks, and every run of other signs as one blank.
`José  GARCÍA-López` and `jose.garcia_lopez` are both `jose garcia lopez`. A value then has few forms, each a
sequence of words.
"""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntFlag
from functools import cache, lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

BLANK: Final = 0x20
BETWEEN_ROWS: Final = 0
"""A code point that folds to itself: many texts are folded as one, with this between them."""
_EXPANDED: Final = {
    "ß": "ss", "ẞ": "ss", "æ": "ae", "Æ": "ae", "œ": "oe", "Œ": "oe", "þ": "th", "Þ": "th", "ĳ": "ij", "Ĳ": "ij",
    "ﬁ": "fi", "ﬂ": "fl", "ﬀ": "ff", "ﬅ": "st", "ﬆ": "st", "Ǆ": "dz", "ǆ": "dz",
}  # fmt: skip
_LIKE: Final = {
    "ø": "o", "Ø": "o", "ł": "l", "Ł": "l", "đ": "d", "Đ": "d", "ð": "d", "Ð": "d", "ħ": "h", "Ħ": "h", "ı": "i", "ŋ": "n", "ŧ": "t",
    "ĸ": "k", "ſ": "s", "ə": "e", "Ə": "e", "ς": "σ", "ى": "ي", "ة": "ه", "ک": "ك", "ی": "ي",
}  # fmt: skip
"""Letters that Unicode does not take apart, and that people replace by others."""
_SCRIPTS_WITHOUT_BLANKS: Final = ((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x3040, 0x30FF), (0x3400, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x323AF))  # fmt: skip


_FLAG: Final = 1 << 24
"""Marks code points in the table that fold to no letter, or to two."""


@lru_cache(maxsize=65_536)
def folded_character(character: str) -> str:
    """The value of a character: one or two letters, a blank, or nothing."""
    if character in _EXPANDED:
        return _EXPANDED[character]
    if (
        "\u3400" <= character <= "\u9fff"
        or "\uac00" <= character <= "\ud7a3"
        or character >= "\U00020000"
    ):
        # Han and Hangul are many, and fold to themselves. What lies beyond is rare.
        return character
    category = unicodedata.category(character)
    if category[0] == "M" or category == "Cf":
        return ""
    parts = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", character).lower())
    letters = (_LIKE.get(part, part) for part in parts if unicodedata.category(part)[0] in "LN")
    return "".join(letters)[:2] or " "


def fold(text: str) -> str:
    """A text folded, without blanks around it.

    >>> fold("José  GARCÍA-López")
    'jose garcia lopez'
    """
    return " ".join("".join(map(folded_character, text)).split())


@cache
def _table() -> npt.NDArray[np.uint32]:
    """For each code point of the two first planes: what it folds to, or a flag where that is not one letter."""
    table = np.arange(0x20000, dtype=np.uint32)
    for point in range(len(table)):
        folded = folded_character(chr(point))
        table[point] = ord(folded) if len(folded) == 1 else _FLAG
    table[BETWEEN_ROWS] = BETWEEN_ROWS
    return table


def _kept(letters: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """The folded letters that stay: of a run of blanks, the first."""
    blank = letters == BLANK
    kept = np.ones(len(blank), bool)
    np.logical_not(blank[1:] & blank[:-1], out=kept[1:])
    return kept


class Folded:
    """A long text folded. The places of its characters in the text are worked out at the first question."""

    def __init__(self, text: str) -> None:
        """:param text: begins and ends with a blank."""
        points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
        # What lies beyond the table stays as it is.
        letters = _table()[points] if points.max() < 0x20000 else _folded_beyond(points)
        flagged = np.flatnonzero(letters >= _FLAG)
        self._length = len(points)
        self._gone: npt.NDArray[np.int64] = flagged[:0]
        self._twice: npt.NDArray[np.int64] = flagged[:0]
        if len(flagged):
            folded = [folded_character(chr(points[place])) for place in flagged.tolist()]
            is_gone = np.array([not one for one in folded])
            self._gone, self._twice = flagged[is_gone], flagged[~is_gone]
            letters[self._twice] = [ord(one[0]) for one in folded if one]
            letters = self._spread(letters, [ord(one[1]) for one in folded if one])
        self._is_ascii = bool(letters.max() < 0x80)
        if self._is_ascii:
            letters = letters.astype(np.uint8)
        self._kept = _kept(letters)
        written = letters[self._kept].tobytes()
        if not self._is_ascii:
            written = written.decode("utf-32-le", "surrogatepass").encode("utf-8", "surrogatepass")
        self.bytes = written

    def _spread(self, values: npt.NDArray[Any], second: Any) -> npt.NDArray[Any]:
        """One value for each folded letter, from one for each character."""
        values = np.insert(values, self._twice + 1, second)
        return np.delete(values, self._gone + np.searchsorted(self._twice, self._gone))

    def origins(self) -> npt.NDArray[np.int32]:
        """For each byte of the folded text, the index of the character that it came from."""
        origins = np.arange(self._length, dtype=np.int32)
        if len(self._gone) or len(self._twice):
            origins = self._spread(origins, self._twice)
        origins = origins[self._kept]
        if not self._is_ascii:
            is_first = (np.frombuffer(self.bytes, np.uint8) & 0xC0) != 0x80
            origins = origins[np.cumsum(is_first) - 1]
        return origins


def _folded_beyond(points: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    letters: npt.NDArray[np.uint32] = np.where(
        points < 0x20000, _table()[np.minimum(points, 0x1FFFF)], points
    )
    return letters


_ASCII: Final = bytes(
    [
        *(one if one == BETWEEN_ROWS else ord(folded_character(chr(one))) for one in range(128)),
        *bytes(128),
    ]
)


class FoldedAscii:
    """The same for a text of ASCII, several times as fast."""

    def __init__(self, text: str) -> None:
        """:param text: begins and ends with a blank."""
        letters = np.frombuffer(text.encode("ascii").translate(_ASCII), np.uint8)
        self._kept = _kept(letters)
        self.bytes = letters[self._kept].tobytes()

    def origins(self) -> npt.NDArray[np.intp]:
        """For each byte of the folded text, the index of the character that it came from."""
        return np.flatnonzero(self._kept)


class Asks(IntFlag):
    """Conditions of a form beyond being found, apart from those of its value."""

    NOTHING = 0
    MARK = 1
    """A `#`, `@`, `/` or `.` before it, or a second value of its entry near."""
    SECOND = 2
    """A second value of its entry near."""
    EXACT = 4
    """The signs inside are the value's own, and none joins it to another word: `ada.lovelace` is not `ada_lovelace`."""


@dataclass(frozen=True)
class Form:
    """One way to write a value: folded words."""

    words: str
    asks: Asks = Asks.NOTHING


def _umlauts(text: str) -> list[str]:
    """The text itself, and with the letters that replace umlauts, both ways: `Müller`, `Mueller`, `Muller`."""
    found = [text]
    written = unicodedata.normalize("NFC", text)
    spelled = written
    for letter, letters in (
        ("ä", "ae"),
        ("ö", "oe"),
        ("ü", "ue"),
        ("Ä", "Ae"),
        ("Ö", "Oe"),
        ("Ü", "Ue"),
        ("å", "aa"),
        ("ø", "oe"),
    ):
        spelled = spelled.replace(letter, letters)
    if spelled != written:
        found.append(spelled)
    single = written
    for letters, letter in (
        ("ae", "a"),
        ("oe", "o"),
        ("ue", "u"),
        ("Ae", "A"),
        ("Oe", "O"),
        ("Ue", "U"),
    ):
        single = single.replace(letters, letter)
    if single != written:
        found.append(single)
    return found


def _names(value: str) -> Iterator[Form]:
    """Of a name: forward, backward, without its hyphens and apostrophes, joined, and with the first name's initial."""
    for text in _umlauts(value):
        closed = [text]
        if any(sign in text for sign in "-'’ʼ`‐"):
            closed.append("".join(one for one in text if one not in "-'’ʼ`‐"))
        for one in closed:
            words = [word for word in map(fold, one.split()) if word]
            yield Form(" ".join(words))
            if len(words) < 2:
                continue
            yield Form(" ".join([words[-1], *words[:-1]]))
            yield Form(" ".join([*words[1:], words[0]]))
            yield Form("".join(words).replace(" ", ""), Asks.MARK)
            yield Form(" ".join([words[0][0], *words[1:]]), Asks.SECOND)
            if len(words) > 2:
                # Middle names are left out more often than not.
                yield Form(f"{words[0]} {words[-1]}", Asks.SECOND)


def _handles(value: str) -> Iterator[Form]:
    # Of letters only, it may be a word.
    yield Form(fold(value), Asks.EXACT | Asks.MARK if value.isalpha() else Asks.EXACT)


def _emails(value: str) -> Iterator[Form]:
    yield Form(fold(value), Asks.EXACT)
    local, _, domain = value.rpartition("@")
    host = fold(domain)
    yield Form(f"{fold(local)} at {host}")
    yield Form(f"{fold(local)} at {host.replace(' ', ' dot ')}")


def _urls(value: str) -> Iterator[Form]:
    words = value.split("://", 1)[-1]
    yield Form(fold(words.removeprefix("www.")), Asks.EXACT)


def _others(value: str) -> Iterator[Form]:
    yield Form(fold(value))


_FORMS = {"name": _names, "handle": _handles, "email": _emails, "url": _urls}


def forms_of(kind: str, value: str) -> list[Form]:
    """The forms in which a value is looked for, each once. Empty where the value has no letter and no digit."""
    found: dict[str, Form] = {}
    for form in _FORMS.get(kind, _others)(value):
        if form.words:
            found.setdefault(form.words, form)
    return list(found.values())


def is_without_blanks(character: str) -> bool:
    """Whether the character is of a script that writes no blanks between words: Han, Kana, Thai, Khmer, Burmese."""
    return any(first <= ord(character) <= last for first, last in _SCRIPTS_WITHOUT_BLANKS)
