"""Known values in text: one automaton (Aho-Corasick) over folded text finds them, and the text itself decides.

The automaton knows only the beginning of each form, which keeps 300,000 entries in memory; what follows is compared where
a beginning is found.
"""

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

import ahocorasick_rs
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from training_portal.redaction.forms import (
    BLANK,
    Asks,
    fold_points,
    forms_of,
    is_without_blanks,
)
from training_portal.redaction.kinds import KINDS
from training_portal.redaction.known import KnownValue

NEAR: Final = 200
"""Characters between a value and a second one of its entry."""
BEGINNING: Final = 18
"""Bytes of a form that the automaton knows."""
PIECE: Final = 1 << 20
"""Characters that are folded at a time: the arrays of a piece take some 30 bytes a character."""


@dataclass(frozen=True, slots=True)
class Found:
    """A known value in a text."""

    start: int
    end: int
    kind: str
    number: int | None


@dataclass(frozen=True, slots=True)
class _Sighting:
    """A form in a text, which may ask for a second one."""

    start: int
    end: int
    value: int
    is_strong: bool


class Lexicon:
    """Known values, ready to be found in columns. It keeps no text of a value but in its forms."""

    def __init__(self, values: Iterable[KnownValue]) -> None:
        kinds, numbers, weak = bytearray(), [], bytearray()
        lines: list[tuple[bytes, int, int, bytes]] = []
        for index, value in enumerate(values):
            kinds.append(KINDS.index(value.kind))
            numbers.append(-1 if value.number is None else value.number)
            weak.append(value.needs_second)
            for form in forms_of(value.kind, value.value):
                key = _exact_key(value.value, value.kind) if form.asks & Asks.EXACT else b""
                lines.append((_bounded(form.words), index, int(form.asks), key))
        lines.sort()
        self._kinds = bytes(kinds)
        self._numbers = np.array(numbers, np.int64)
        self._is_weak = bytes(weak)
        self._values = np.fromiter((line[1] for line in lines), np.uint32, len(lines))
        self._asks = bytes(line[2] for line in lines)
        self._keys = {place: line[3] for place, line in enumerate(lines) if line[3]}
        self._forms = b"".join(line[0] for line in lines)
        self._ends = np.cumsum([0, *(len(line[0]) for line in lines)], dtype=np.uint32)
        beginnings = _beginnings(line[0] for line in lines)
        del lines
        self._firsts = np.array([place for _, place in beginnings], np.uint32)
        self._automaton = (
            ahocorasick_rs.BytesAhoCorasick(
                [one for one, _ in beginnings],
                implementation=ahocorasick_rs.Implementation.ContiguousNFA,
            )
            if beginnings
            else None
        )

    def __bool__(self) -> bool:
        return self._automaton is not None

    @property
    def forms(self) -> int:
        """How many forms it looks for."""
        return len(self._values)

    def find(self, column: pa.Array) -> dict[int, list[Found]]:
        """The known values in a column of strings without nulls, by row."""
        if self._automaton is None:
            return {}
        found: dict[int, list[Found]] = {}
        is_ascii = pc.string_is_ascii(column)
        for part, plain in ((is_ascii, True), (pc.invert(is_ascii), False)):
            rows = np.flatnonzero(part.to_numpy(zero_copy_only=False))
            texts = column if len(rows) == len(column) else column.take(pa.array(rows))
            lengths = pc.utf8_length(texts).to_numpy()
            for first, last in _pieces(lengths):
                piece = texts.slice(first, last - first)
                for row, sightings in self._sightings(piece, lengths[first:last], plain).items():
                    if certain := self._certain(sightings):
                        found[int(rows[first + row])] = certain
        return found

    # --- In folded text ---

    def _sightings(
        self, texts: pa.Array, lengths: npt.NDArray[np.int32], is_ascii: bool
    ) -> dict[int, list[_Sighting]]:
        joined: str | bytes
        # Blanks between the rows bound the words at their edges.
        joined = f" {_joined(texts)} "
        haystack, origins_of = _folded(joined, is_ascii)
        matches = (
            self._automaton.find_matches_as_indexes(haystack, overlapping=True)
            if self._automaton
            else []
        )
        if not matches:
            return {}
        origins = origins_of()
        starts = np.zeros(len(lengths), np.int64)
        np.cumsum(lengths[:-1] + 1, out=starts[1:])
        starts += 1
        found: dict[int, list[_Sighting]] = {}
        for beginning, at, _ in matches:
            for place in range(
                int(self._firsts[beginning]),
                int(self._firsts[beginning + 1])
                if beginning + 1 < len(self._firsts)
                else len(self._values),
            ):
                form = self._forms[self._ends[place] : self._ends[place + 1]]
                if not haystack.startswith(form, at):
                    continue
                start = int(origins[at + (form[0] == BLANK)])
                end = int(origins[at + len(form) - 1 - (form[-1] == BLANK)]) + 1
                row = int(np.searchsorted(starts, start, "right")) - 1
                text = texts[row].as_py()
                start, end = start - int(starts[row]), end - int(starts[row])
                if start < 0 or end > len(text):
                    continue
                while end < len(text) and _belongs_to_the_letter_before(text[end]):
                    end += 1
                if sighting := self._judged(text, start, end, place):
                    found.setdefault(row, []).append(sighting)
        return found

    # --- In the text itself ---

    def _judged(self, text: str, start: int, end: int, place: int) -> _Sighting | None:
        """The sighting of a form, or None where the text between says that it is something else."""
        value, asks = int(self._values[place]), self._asks[place]
        kind = KINDS[self._kinds[value]]
        if asks & Asks.EXACT:
            if _exact_key(text[start:end], kind) != self._keys[place] or _is_joined(
                text, start, end, kind
            ):
                return None
        elif kind == "name" and _crosses_a_sentence(text[start:end]):
            return None
        is_strong = not self._is_weak[value] and not asks & Asks.SECOND
        if asks & Asks.MARK and not (start and text[start - 1] in "#@/.＠＃"):
            is_strong = False
        return _Sighting(start, end, value, is_strong)

    def _certain(self, sightings: list[_Sighting]) -> list[Found]:
        """The sightings that count: strong ones, and weak ones near another value of their entry."""
        found = {}
        for one in sightings:
            if one.is_strong or any(self._supports(other, one) for other in sightings):
                number = int(self._numbers[one.value])
                kind = KINDS[self._kinds[one.value]]
                # A value in two forms at one place is found once.
                found[one.start, one.end, kind, number] = Found(
                    one.start, one.end, kind, None if number < 0 else number
                )
        return [found[key] for key in sorted(found)]

    def _supports(self, other: _Sighting, one: _Sighting) -> bool:
        number = self._numbers[one.value]
        if number < 0 or self._numbers[other.value] != number:
            return other.value == one.value and other.is_strong and number < 0
        is_apart = other.end <= one.start or one.end <= other.start
        is_near = max(other.start - one.end, one.start - other.end) <= NEAR
        return is_apart and is_near and (other.value != one.value or other.is_strong)


def _bounded(words: str) -> bytes:
    """A form with the blanks that bound its first and last word, where its script writes any."""
    before = "" if is_without_blanks(words[0]) else " "
    after = "" if is_without_blanks(words[-1]) else " "
    return f"{before}{words}{after}".encode()


def _beginnings(forms: Iterable[bytes]) -> list[tuple[bytes, int]]:
    """Each different beginning of sorted forms, with the place of the first form that has it."""
    found: list[tuple[bytes, int]] = []
    for place, form in enumerate(forms):
        cut = min(BEGINNING, len(form))
        # A beginning ends with a character, so that the automaton never stops inside of one.
        while cut < len(form) and form[cut] & 0xC0 == 0x80:
            cut += 1
        if not found or found[-1][0] != form[:cut]:
            found.append((form[:cut], place))
    return found


def _pieces(lengths: npt.NDArray[np.int32]) -> Iterator[tuple[int, int]]:
    """First and last row of pieces with some `PIECE` characters each."""
    if not len(lengths):
        return
    sums = np.cumsum(lengths, dtype=np.int64)
    first = 0
    while first < len(lengths):
        limit = int(sums[first]) - int(lengths[first]) + PIECE
        last = max(first + 1, int(np.searchsorted(sums, limit, "right")))
        yield first, last
        first = last


def _joined(texts: pa.Array) -> str:
    whole = pa.ListArray.from_arrays(pa.array([0, len(texts)], pa.int32()), texts.cast(pa.string()))
    return str(pc.binary_join(whole, " ")[0].as_py())


_ASCII = bytes(
    ord(chr(one).lower()) if chr(one).isalnum() and one < 0x80 else BLANK for one in range(256)
)


def _folded(joined: str, is_ascii: bool) -> tuple[bytes, Any]:
    """The folded text, and a function that gives the origins of its bytes: they are asked for where there is a hit."""
    if is_ascii:
        small = joined.encode().translate(_ASCII)
        haystack = b" " + b" ".join(small.split()) + b" "

        def origins() -> npt.NDArray[np.intp]:
            blank = np.frombuffer(small, np.uint8) == BLANK
            kept = np.ones(len(small), bool)
            kept[1:] = ~(blank[1:] & blank[:-1])
            return np.flatnonzero(kept)

        return haystack, origins
    points = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.uint32)
    folded = fold_points(points)
    encoded = folded.encoded()

    def origins_of_bytes() -> npt.NDArray[np.int32]:
        if len(encoded) == len(folded.points):
            return folded.origins
        is_first = (np.frombuffer(encoded, np.uint8) & 0xC0) != 0x80
        origins: npt.NDArray[np.int32] = folded.origins[np.cumsum(is_first) - 1]
        return origins

    return encoded, origins_of_bytes


def _belongs_to_the_letter_before(character: str) -> bool:
    category = unicodedata.category(character)
    return category[0] == "M" or category == "Cf"


def _exact_key(text: str, kind: str) -> bytes:
    """A digest of a value with its signs, without what cannot be seen, and without case."""
    seen = "".join(one for one in text if unicodedata.category(one) != "Cf")
    said = unicodedata.normalize("NFKC", seen).casefold()
    if kind == "url":
        said = said.split("://", 1)[-1].removeprefix("www.").rstrip("/")
    return blake2b(said.lstrip("@").encode("utf-8", "surrogatepass"), digest_size=8).digest()


def _is_joined(text: str, start: int, end: int, kind: str) -> bool:
    """Whether a sign joins the span to another word: `jane` in `mary-jane` or `jane.smith`."""
    before, after = text[max(0, start - 2) : start], text[end : end + 2]
    if len(after) == 2 and after[0] in "-_." and after[1].isalnum():
        return True
    # An address may stand in a domain below: `www.`, `m.`
    signs = "-_" if kind == "url" else "-_."
    return len(before) == 2 and before[1] in signs and before[0].isalnum()


def _crosses_a_sentence(text: str) -> bool:
    """Whether a sentence ends inside of a name: `… told Jane. Doe said …`."""
    for sign in ".!?;:":
        at = text.find(f"{sign} ")
        if at >= 3 and text[at - 3 : at].isalpha():
            return True
    return False
