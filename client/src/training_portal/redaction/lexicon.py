"""Known values in text: one automaton (Aho-Corasick) over folded text finds them, and the text itself decides.

The automaton knows only the beginning of each form, which keeps 300,000 entries in memory; what follows is compared where
a beginning is found.
"""

import unicodedata
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

import ahocorasick_rs
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from training_portal.redaction.forms import (
    BETWEEN_ROWS,
    BLANK,
    Asks,
    Folded,
    FoldedAscii,
    forms_of,
    is_without_blanks,
)
from training_portal.redaction.kinds import KINDS
from training_portal.redaction.known import KnownValue

NEAR: Final = 200
"""Characters between a value and a second one of its entry."""
MAX_LENGTH: Final = 600
"""Characters that a value takes in a text: the portal's have up to 300, and people write blanks between."""
BEGINNING: Final = 12
"""Bytes of a form that the automaton knows."""
_WIDTH = BEGINNING + 3  # the last character may take three bytes more
_DIGEST = 8
_KEY = _DIGEST + 2
# Asked of each sighting, where a flag of `enum` costs more than all the rest.
_EXACT, _SECOND, _MARK = int(Asks.EXACT), int(Asks.SECOND), int(Asks.MARK)
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
        kinds, weak, asks = bytearray(), bytearray(), bytearray()
        numbers, owners, lengths = array("q"), array("I"), array("I")
        forms, beginnings, keys = bytearray(), bytearray(), bytearray()
        for index, value in enumerate(values):
            kinds.append(KINDS.index(value.kind))
            numbers.append(-1 if value.number is None else value.number)
            weak.append(value.needs_second)
            for form in forms_of(value.kind, value.value):
                written = _bounded(form.words)
                forms += written
                beginnings += _beginning(written).ljust(_WIDTH, b"\0")
                lengths.append(len(written))
                owners.append(index)
                asks.append(form.asks)
                is_exact = form.asks & Asks.EXACT
                keys += _exact_key(value.kind, value.value) if is_exact else bytes(_KEY)
        self._kinds, self._numbers, self._is_weak = bytes(kinds), numbers, bytes(weak)
        self._forms = bytes(forms)
        # Arrays and no objects: 300,000 entries have more than a million forms. Those with one beginning stand together.
        starts = np.frombuffer(beginnings, f"S{_WIDTH}")
        in_order = np.argsort(starts, kind="stable")
        starts = starts[in_order]
        del forms, beginnings
        sizes = np.frombuffer(lengths, np.uint32)
        self._sizes = sizes[in_order]
        self._places = (np.cumsum(sizes, dtype=np.uint32) - sizes)[in_order]
        self._values = np.frombuffer(owners, np.uint32)[in_order]
        self._asks = np.frombuffer(asks, np.uint8)[in_order].tobytes()
        self._keys = np.frombuffer(keys, f"V{_KEY}")[in_order]
        del sizes, in_order, owners, asks, keys
        is_first = np.ones(len(starts), bool)
        is_first[1:] = starts[1:] != starts[:-1]
        self._firsts = np.append(np.flatnonzero(is_first), len(starts)).astype(np.uint32)
        starts = starts[is_first]
        self._automaton = ahocorasick_rs.BytesAhoCorasick(
            map(bytes, starts), implementation=ahocorasick_rs.Implementation.ContiguousNFA
        )

    def _form(self, place: int) -> bytes:
        first = int(self._places[place])
        return self._forms[first : first + int(self._sizes[place])]

    def __bool__(self) -> bool:
        return bool(len(self._values))

    @property
    def forms(self) -> int:
        """The count of forms that it looks for."""
        return len(self._values)

    def find(self, column: pa.Array) -> dict[int, list[Found]]:
        """The known values in a column of strings without nulls, by row."""
        if not self:
            return {}
        found: dict[int, list[Found]] = {}
        is_ascii = pc.string_is_ascii(column)
        for part, plain in ((is_ascii, True), (pc.invert(is_ascii), False)):
            rows = np.flatnonzero(part.to_numpy(zero_copy_only=False))
            texts = column if len(rows) == len(column) else column.take(pa.array(rows))
            lengths = pc.utf8_length(texts).to_numpy()
            for first, last in _pieces(lengths):
                for row, certain in self._found(texts.slice(first, last - first), plain).items():
                    found[int(rows[first + row])] = certain
        return found

    # --- In folded text ---

    def _found(self, texts: pa.Array, is_ascii: bool) -> dict[int, list[Found]]:
        """The known values in a piece. Where they stand is worked out for the rows alone that have a beginning of one."""
        folded = _folded(texts, is_ascii)
        matches = self._automaton.find_matches_as_indexes(folded.bytes, overlapping=True)
        if not matches:
            return {}
        ends_of_rows = np.flatnonzero(np.frombuffer(folded.bytes, np.uint8) == BETWEEN_ROWS)
        rows = np.unique(np.searchsorted(ends_of_rows, [match[1] for match in matches]))
        sightings = self._sightings(texts.take(pa.array(rows)), is_ascii)
        found = {int(rows[row]): self._certain(some) for row, some in sightings.items()}
        return {row: some for row, some in found.items() if some}

    def _sightings(self, texts: pa.Array, is_ascii: bool) -> dict[int, list[_Sighting]]:
        folded = _folded(texts, is_ascii)
        origins = folded.origins()
        # A blank before the first row, and three signs between two.
        lengths = pc.utf8_length(texts).to_numpy()
        starts = 1 + np.concatenate([[0], np.cumsum(lengths[:-1] + 3)])
        matches = self._automaton.find_matches_as_indexes(folded.bytes, overlapping=True)
        rows = np.searchsorted(starts, origins[[match[1] + 1 for match in matches]], "right") - 1
        found: dict[int, list[_Sighting]] = {}
        for (beginning, at, _), row in zip(matches, rows.tolist(), strict=True):
            for place in range(int(self._firsts[beginning]), int(self._firsts[beginning + 1])):
                form = self._form(place)
                if not folded.bytes.startswith(form, at):
                    continue
                text, first = texts[row].as_py(), int(starts[row])
                start = int(origins[at + (form[0] == BLANK)]) - first
                end = int(origins[at + len(form) - 1 - (form[-1] == BLANK)]) - first + 1
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
        if asks & _EXACT:
            key = self._keys[place].tobytes()
            # Signs at the edges of a value are no words: `_ada_`.
            start, end = start - key[-2], end + key[-1]
            if (
                start < 0
                or _digest(kind, text[start:end]) != key[:_DIGEST]
                or _is_joined(text, start, end, kind)
            ):
                return None
        elif kind == "name" and _crosses_a_sentence(text[start:end]):
            return None
        is_strong = not self._is_weak[value] and not asks & _SECOND
        if asks & _MARK and not (start and text[start - 1] in "#@/.＠＃"):
            is_strong = False
        return _Sighting(start, end, value, is_strong)

    def _certain(self, sightings: list[_Sighting]) -> list[Found]:
        """The sightings that count: strong ones, and weak ones near another value of their entry."""
        sightings = sorted(sightings, key=lambda one: one.start)
        starts = [one.start for one in sightings]
        found = {}
        for one in sightings:
            near = sightings[
                bisect_left(starts, one.start - NEAR - MAX_LENGTH) : bisect_right(
                    starts, one.end + NEAR
                )
            ]
            if one.is_strong or any(self._supports(other, one) for other in near):
                number = self._numbers[one.value]
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


def _beginning(form: bytes) -> bytes:
    """The pattern of a form in the automaton. It ends with a whole character."""
    cut = min(BEGINNING, len(form))
    while cut < len(form) and form[cut] & 0xC0 == 0x80:
        cut += 1
    return form[:cut]


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


def _folded(texts: pa.Array, is_ascii: bool) -> Folded | FoldedAscii:
    """The texts of a piece as one, folded. No form reaches over the sign between two of them."""
    clean = pc.replace_substring(texts.cast(pa.string()), "\0", " ")
    whole = pa.ListArray.from_arrays(pa.array([0, len(clean)], pa.int32()), clean)
    joined = " " + pc.binary_join(whole, " \0 ")[0].as_py() + " "
    return FoldedAscii(joined) if is_ascii else Folded(joined)


def _belongs_to_the_letter_before(character: str) -> bool:
    category = unicodedata.category(character)
    return category[0] == "M" or category == "Cf"


def _exact_key(kind: str, value: str) -> bytes:
    """The identity of a value with its signs: a digest, and the counts of signs before its first word and after its last."""
    said = _said(kind, value)
    words = [place for place, one in enumerate(said) if one.isalnum()]
    before, after = (words[0], len(said) - 1 - words[-1]) if words else (0, 0)
    return _digest(kind, value) + bytes((before, after))


def _digest(kind: str, value: str) -> bytes:
    return blake2b(
        _said(kind, value).encode("utf-8", "surrogatepass"), digest_size=_DIGEST
    ).digest()


def _said(kind: str, value: str) -> str:
    """A value without what cannot be seen, without case, and without the signs that people add or leave out."""
    seen = "".join(one for one in value if unicodedata.category(one) != "Cf")
    said = unicodedata.normalize("NFKC", seen).casefold()
    if kind == "url":
        return said.split("://", 1)[-1].removeprefix("www.").rstrip("/")
    return said.removeprefix("@")


def _is_joined(text: str, start: int, end: int, kind: str) -> bool:
    """Whether a sign joins the span to another word: `jane` in `mary-jane` or `jane.smith`."""
    before, after = text[max(0, start - 2) : start], text[end : end + 2]
    # Beside a letter at its edge, a value would have ended the word already; beside a sign it has not.
    if before[-1:].isalnum() or after[:1].isalnum():
        return not (is_without_blanks(text[start]) or is_without_blanks(text[end - 1]))
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
