"""The forms in which a known value is looked for, over text without case, marks and signs.

Text and values are folded the same way: small letters without their marks, and every run of other signs as one blank.
`José  GARCÍA-López` and `jose.garcia_lopez` are both `jose garcia lopez`. A value then has few forms, each a
sequence of words.
"""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntFlag
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

BLANK: Final = 0x20
_GONE: Final = 0
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


def _folded_character(character: str) -> str:
    """What a character counts as: one or two letters, a blank, or nothing."""
    if character in _EXPANDED:
        return _EXPANDED[character]
    category = unicodedata.category(character)
    if category[0] == "M" or category == "Cf":
        return ""
    parts = unicodedata.normalize("NFKD", character).lower()
    kept = "".join(
        _LIKE.get(part, part)
        for part in unicodedata.normalize("NFKD", parts)
        if unicodedata.category(part)[0] in "LN"
    )
    return kept[:2] or " "


@cache
def tables() -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32], npt.NDArray[np.uint8]]:
    """For each code point of the two first planes: what it folds to, the letter after it, how many letters it has."""
    size = 0x20000
    first = np.full(size, BLANK, np.uint32)
    second = np.zeros(size, np.uint32)
    count = np.ones(size, np.uint8)
    for point in range(size):
        # Hangul and Han are many, and fold to themselves.
        if 0x3400 <= point <= 0x9FFF:
            first[point] = point
            continue
        if 0xAC00 <= point <= 0xD7A3:
            first[point] = point
            continue
        folded = _folded_character(chr(point))
        count[point] = len(folded)
        if folded:
            first[point] = ord(folded[0])
        if len(folded) == 2:
            second[point] = ord(folded[1])
    return first, second, count


@dataclass(frozen=True)
class Folded:
    """A text folded, and where each of its characters came from."""

    points: npt.NDArray[np.uint32]
    origins: npt.NDArray[np.int32]
    """For each folded character, the index of the character in the text that it came from."""

    def encoded(self) -> bytes:
        """UTF-8; one byte a character where all are ASCII."""
        if not len(self.points) or self.points.max() < 0x80:
            return self.points.astype(np.uint8).tobytes()
        return self.points.astype("<u4").tobytes().decode("utf-32-le").encode()


def fold_points(points: npt.NDArray[np.uint32]) -> Folded:
    """Fold the code points of a text: at most one blank between two words."""
    first, second, count = tables()
    # Beyond the two first planes stand rare ideographs, and private signs: they stay as they are.
    within = np.minimum(points, 0x1FFFF)
    counts = count[within]
    letters = np.where(points < 0x20000, first[within], points)
    origins = np.arange(len(points), dtype=np.int32)
    if (counts != 1).any():
        again = np.repeat(origins, counts)
        is_second = np.zeros(len(again), bool)
        is_second[1:] = again[1:] == again[:-1]
        letters = np.where(is_second, second[within[again]], letters[again])
        origins = again
    blank = letters == BLANK
    kept = np.ones(len(letters), bool)
    kept[1:] = ~(blank[1:] & blank[:-1])
    return Folded(letters[kept], origins[kept])


def fold(text: str) -> str:
    """A text folded, without blanks around it.

    >>> fold("José  GARCÍA-López")
    'jose garcia lopez'
    """
    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    return fold_points(points).encoded().decode().strip()


class Asks(IntFlag):
    """What a form asks for beyond being found, apart from what its value asks for."""

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
