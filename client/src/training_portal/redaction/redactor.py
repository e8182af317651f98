"""Redaction of columns of text: triggers over the column, patterns over candidates, validators, known values."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from training_portal.errors import Misuse
from training_portal.redaction.hits import Hits
from training_portal.redaction.kinds import KINDS, RULES, Rule
from training_portal.redaction.known import KnownValue, RedactionList
from training_portal.redaction.lexicon import Lexicon
from training_portal.redaction.profile import Profile
from training_portal.redaction.replacing import STAND_IN, Replacing
from training_portal.redaction.spans import NOTHING, Taken

ENGINE: Final = "patterns"
"""The engine, as a receipt names it."""
VERSION: Final = "1.0"
"""The version of the rules: another one may find other items in the same text."""
ROWS: Final = 262_144
"""Rows that are worked on at a time. Each time costs some 10 ms before the first row, for the automata of RE2."""

_RANKS: Final = {kind: rank for rank, kind in enumerate(KINDS)}

Column: TypeAlias = pa.Array | pa.ChunkedArray
_Spans = list[tuple[int, int, str]]


class Redactor:
    """Reduces the personal data in columns of text. The same text gives the same result, in whatever column it stands.

    It finds what has a shape, and what is on a list. Names and addresses in free text are not found without a list: the
    result is reduced, and still personal data.
    """

    def __init__(
        self,
        profile: Profile | None = None,
        known_values: Iterable[KnownValue] = (),
        redaction_list: RedactionList | Iterable[KnownValue] = (),
        key: bytes | None = None,
    ) -> None:
        """
        :param known_values: what is known of a member whose data this is.
        :param redaction_list: the list that the portal lent for the delivery.
        :param key: at least 16 random bytes, made for one run, where the same value is to have the same replacement.
        Raises Misuse.
        """
        self.profile = profile or Profile.load()
        self.list_version = (
            redaction_list.version if isinstance(redaction_list, RedactionList) else None
        )
        lent = (
            redaction_list.values if isinstance(redaction_list, RedactionList) else redaction_list
        )
        self.lexicon = Lexicon([*known_values, *lent])
        # In the order of the kinds: what one has taken need not be asked of the next.
        self._rules = tuple(
            rule for kind in KINDS for rule in RULES if rule.kind == kind in self.profile.kinds
        )
        self._glance = either({rule.glance or rule.trigger: None for rule in self._rules})
        self._groups = _groups(self._rules)
        self._replacing = Replacing(key)

    def redact(self, column: Column) -> tuple[Any, Hits]:
        """The column with its items replaced, of the same length, and what was found in counts.

        Strings and large strings; views and dictionaries of strings come back as plain strings. Nulls stay. Raises Misuse for
        another type.
        """
        if isinstance(column, pa.ChunkedArray):
            parts = [self.redact(chunk) for chunk in column.chunks]
            kind = _type_of(column.type)
            return pa.chunked_array([part for part, _ in parts], kind), sum(
                (hits for _, hits in parts), Hits()
            )
        kind = _type_of(column.type)
        if column.type != kind:
            column = column.cast(kind)
        slices = [self._redact_some(column.slice(at, ROWS)) for at in range(0, len(column), ROWS)]
        if len(slices) == 1:
            return slices[0]
        whole = pa.concat_arrays([part for part, _ in slices]) if slices else column
        return whole, sum((hits for _, hits in slices), Hits())

    def find(self, column: Column) -> list[_Spans]:
        """For each text, where its items stand: first character, the one after the last, kind. For people who check rules.

        `redact` may replace more: it looks again at what it leaves.
        """
        texts = pa.array(column.to_pylist(), pa.string()).fill_null("")
        found: list[_Spans] = [[] for _ in range(len(texts))]
        for row, _, spans in self._found(texts, Counter()):
            found[row] = spans
        return found

    def for_receipt(self, hits: Hits) -> dict[str, Any]:
        """The part `redaction` of a receipt (docs/reference/receipt-format.md)."""
        return for_receipt(hits, self.profile, self.list_version)

    # --- One pass after the other, until nothing is found ---

    def _redact_some(self, column: pa.Array) -> tuple[pa.Array, Hits]:
        texts = column.fill_null("")
        places = np.arange(len(texts))
        changed: dict[int, str] = {}
        kinds: Counter[str] = Counter()
        entries: Counter[int] = Counter()
        # A replacement may bring a cue and an item together, or bare the edge of an item. Each pass leaves less text that
        # is no replacement, so it ends; and what comes out of it is not changed by another run.
        while len(texts):
            now = self._pass(texts, kinds, entries)
            changed.update({int(places[row]): text for row, text in now.items()})
            places = places[list(now)] if now else places[:0]
            texts = pa.array(now.values(), texts.type)
        if not changed:
            return column, Hits()
        rows = sorted(changed)
        mask = np.zeros(len(column), bool)
        mask[rows] = True
        redacted = pc.replace_with_mask(
            column, pa.array(mask), pa.array([changed[row] for row in rows], column.type)
        )
        return redacted, Hits(dict(sorted(kinds.items())), dict(sorted(entries.items())), len(rows))

    def _pass(self, texts: pa.Array, kinds: Counter[str], entries: Counter[int]) -> dict[int, str]:
        """The texts that change, by row; the counters take up what was found."""
        return {
            row: self._replaced(text, spans, kinds)
            for row, text, spans in self._found(texts, entries)
        }

    def _found(self, texts: pa.Array, entries: Counter[int]) -> Iterator[tuple[int, str, _Spans]]:
        """Row, text and spans of each text with something in it."""
        known = self.lexicon.find(texts)
        rules = self._candidates(texts)
        rows = sorted(known.keys() | rules.keys())
        for row, text in zip(rows, texts.take(pa.array(rows, pa.int64())).to_pylist(), strict=True):
            protected = (
                Taken(match.span() for match in STAND_IN.finditer(text)) if "[" in text else NOTHING
            )
            spans: _Spans = []
            taken = protected
            for rule in rules.get(row, ()):
                new = [span for span in rule.find(text, taken) if not protected.touches(span)]
                if new:
                    spans += [(*span, rule.kind) for span in new]
                    taken = taken.and_also(new)
            for one in known.get(row, ()):
                if not protected.touches((one.start, one.end)):
                    spans.append((one.start, one.end, one.kind))
                    if one.number is not None:
                        entries[one.number] += 1
            if spans:
                yield row, text, _merged(spans)

    def _candidates(self, texts: pa.Array) -> dict[int, list[Rule]]:
        """The rules whose trigger finds something, by row."""
        if not self._rules:
            return {}
        rows = np.flatnonzero(_asked(texts, self._glance))
        some = texts.take(pa.array(rows))
        found: dict[int, list[int]] = {}
        for expression, places in self._groups if len(rows) else ():
            hits = np.flatnonzero(_asked(some, expression))
            of_group = some.take(pa.array(hits))
            for place in places if len(hits) else ():
                for row in rows[hits[_asked(of_group, self._rules[place].trigger)]].tolist():
                    found.setdefault(row, []).append(place)
        return {
            row: [self._rules[place] for place in sorted(places)] for row, places in found.items()
        }

    def _replaced(self, text: str, spans: _Spans, kinds: Counter[str]) -> str:
        parts, at = [], 0
        for start, end, kind in spans:
            kinds[kind] += 1
            parts += [text[at:start], self._replacing.stand_in(kind, text[start:end])]
            at = end
        return "".join([*parts, text[at:]])


def for_receipt(hits: Hits, profile: Profile, list_version: str | None) -> dict[str, Any]:
    """The part `redaction` of a receipt, without a redactor: a long list takes long to learn."""
    said = {
        "engine": ENGINE,
        "version": VERSION,
        "profile": profile.digest,
        **hits.for_receipt(),
    }
    if list_version is None:
        # Without a list that the portal lent, no entry has a number.
        del said["hits_by_entry"]
    else:
        said["list_version"] = list_version
    return said


def _type_of(kind: pa.DataType) -> pa.DataType:
    plain = kind.value_type if pa.types.is_dictionary(kind) else kind
    if pa.types.is_string_view(plain):
        return pa.string()
    if not (pa.types.is_string(plain) or pa.types.is_large_string(plain)):
        raise Misuse(
            f"A column of the type {kind} is no text that can be redacted.",
            "Give a column of strings, or leave the column out.",
        )
    return plain


def _groups(rules: Sequence[Rule]) -> list[tuple[str, list[int]]]:
    """Rules that share a glance, by their places, and one group of the others: each trigger is asked of few texts."""
    by_glance: dict[str, list[int]] = {}
    for place, rule in enumerate(rules):
        by_glance.setdefault(rule.glance, []).append(place)
    shared = {glance: places for glance, places in by_glance.items() if glance and len(places) > 1}
    others = [
        place for glance, places in by_glance.items() if glance not in shared for place in places
    ]
    groups = list(shared.items())
    if others:
        groups.append((either(rules[place].trigger for place in others), others))
    return groups


def either(expressions: Iterable[str]) -> str:
    """One expression of RE2 that finds what any of them finds."""
    return "|".join(f"(?:{one})" for one in expressions)


def _asked(texts: pa.Array, trigger: str) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_] = pc.match_substring_regex(texts, trigger).to_numpy(
        zero_copy_only=False
    )
    return found


def _merged(spans: _Spans) -> _Spans:
    """Spans that overlap as one, of the kind that comes first in `KINDS`: nothing of either stays."""
    merged: _Spans = []
    for start, end, kind in sorted(spans):
        if merged and start < merged[-1][1]:
            first, last, before = merged[-1]
            merged[-1] = (first, max(last, end), min(before, kind, key=_RANKS.__getitem__))
        else:
            merged.append((start, end, kind))
    return merged
