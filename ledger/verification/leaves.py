"""Entries built anew from the rows they wrote.

Entries and sealed rows are streamed side by side, so memory does not grow with the ledger. A long ledger is cut into
pieces that processes of their own recompute: the entries below the head never changes, so they need no common view.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db import connection, models, transaction

from ledger.errors import LedgerRewritten
from ledger.merkle.tree import Frontier, leaf_hash
from ledger.models import Checkpoint, Entry
from ledger.sealing import entry_bytes, leaf_data, sealed_columns, sealed_models, stored
from ledger.verification import processes


@dataclass(frozen=True, slots=True)
class Recomputed:
    """An entry as it is stored, and the bytes and the leaf that its rows give now."""

    entry: Any
    data: bytes
    """The bytes that the leaf is the hash of."""
    leaf: bytes
    rows: int
    written: Mapping[str, Sequence[tuple[Any, ...]]]
    is_whole: bool

    @property
    def line(self) -> bytes:
        """The entry's canonical bytes with all its rows, as an export has them."""
        return self.data if self.is_whole else entry_bytes(self.entry, self.written)

    @property
    def is_as_sealed(self) -> bool:
        return self.leaf.hex() == self.entry.leaf


def recomputed(after: int, upto: int) -> Iterator[Recomputed]:
    """The entries from `after` (exclusive) to `upto`, each built anew from its rows.

    Raises LedgerRewritten where an entry is missing or rows belong to none.
    """
    streams = [_Rows(label, model, after, upto) for label, model in sealed_models().items()]
    # Who has rows of which entry: asking every model for every entry would take longer than all hashing.
    waiting: dict[int, list[_Rows]] = {}
    for stream in streams:
        waiting.setdefault(stream.next_entry, []).append(stream)
    sequence = after
    entries = Entry.objects.filter(sequence__gt=after, sequence__lte=upto).order_by("sequence")
    for row in entries.values_list(named=True).iterator(10_000):
        sequence += 1
        if row.sequence != sequence:
            raise LedgerRewritten(f"Entry {sequence} is missing.")
        written: dict[str, list[tuple[Any, ...]]] = {}
        count = 0
        for stream in waiting.pop(sequence, ()):
            written[stream.label] = taken = stream.take()
            count += len(taken)
            waiting.setdefault(stream.next_entry, []).append(stream)
        found = leaf_data(row, written)
        yield Recomputed(row, found.data, leaf_hash(found.data), count, written, found.is_whole)
    if sequence != upto:
        raise LedgerRewritten(f"The head counts {upto} entries, there are {sequence}.")
    for stream in streams:
        if stream.next_entry != NO_ENTRY:
            raise LedgerRewritten(
                f"{stream.label} has rows of entries that do not exist (entry {stream.next_entry})."
            )


def recomputed_in_pieces(after: int, upto: int) -> Iterator[Recomputed]:
    """`recomputed`, outside of a transaction: however long the caller works between two entries, none idles.

    Piece by piece, because PostgreSQL puts the rows of a whole answer aside before it gives the first.
    """
    for start in range(after, upto, PIECE):
        yield from recomputed(start, min(start + PIECE, upto))


NO_ENTRY = -1


class _Rows:
    """The sealed rows of one model in the order of their entries, read once from front to back."""

    def __init__(self, label: str, model: type[models.Model], after: int, upto: int) -> None:
        self.label = label
        rows = model._default_manager.filter(entry_id__gt=after, entry_id__lte=upto)
        columns = map(partial(stored, model), sealed_columns(model))
        found = rows.order_by("entry_id", "pk").values_list("entry_id", *columns)
        self._rows = iter(found.iterator(10_000))
        self._next = next(self._rows, None)

    @property
    def next_entry(self) -> int:
        """The entry of the row that comes next; NO_ENTRY when there is none."""
        return NO_ENTRY if self._next is None else self._next[0]

    def take(self) -> list[tuple[Any, ...]]:
        """The rows of the next entry."""
        entry, found = self.next_entry, []
        while self._next is not None and self._next[0] == entry:
            found.append(self._next[1:])
            self._next = next(self._rows, None)
        return found


# --- In pieces ----------------------------------------------------------------------------------

PIECE = 2**15
"""Entries of a piece: a power of two, so that its root is a subtree of the whole tree."""
MANY_PIECES = 4
"""From so many on, processes of their own are worth the second that they take to start."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of the ledger, recomputed."""

    size: int
    """How many entries were there."""
    hashes: list[bytes]
    """The frontier of its tree: one hash for a full piece."""
    rows: int
    problems: list[str]
    signed: list[tuple[int, str, list[bytes]]]
    """For each checkpoint inside the piece: its size, the root it says, and the piece's frontier at that size."""


def pieces(size: int, *, in_processes: bool) -> Iterator[Piece]:
    """The ledger's first `size` entries, piece by piece, in their order; ends behind one that is not whole.

    Other processes do not see what a transaction of this one has not committed.
    """
    places = [(start, min(start + PIECE, size)) for start in range(0, size, PIECE)]
    cores = os.cpu_count() or 1
    if len(places) < MANY_PIECES or cores == 1 or not in_processes:
        yield from _while_whole(map(recompute, places), places)
        return
    yield from _while_whole(processes.in_processes(recompute, places, processes=cores), places)


def _while_whole(found: Iterator[Piece], places: list[tuple[int, int]]) -> Iterator[Piece]:
    for piece, (after, upto) in zip(found, places, strict=True):
        yield piece
        if piece.size < upto - after:
            return


def recompute(place: tuple[int, int]) -> Piece:
    """The entries from place[0] (exclusive) to place[1]."""
    frontier, rows, problems, signed = Frontier(), 0, [], []
    after, upto = place
    checkpoints = Checkpoint.objects.filter(size__gt=after, size__lte=upto)
    # PostgreSQL streams inside a transaction only; on SQLite a writer would wait for the verification.
    view = transaction.atomic() if connection.vendor == "postgresql" else nullcontext()
    with view:
        try:
            roots = dict(checkpoints.values_list("size", "root"))
            for one in recomputed(after, upto):
                rows += one.rows
                if not one.is_as_sealed:
                    problems.append(
                        f"Entry {one.entry.sequence} ({one.entry.kind}) or a row it wrote is not what was sealed."
                    )
                frontier.append(one.leaf)
                if root := roots.get(one.entry.sequence):
                    signed.append((one.entry.sequence, root, list(frontier.hashes)))
        except LedgerRewritten as error:
            problems.append(str(error))
    return Piece(frontier.size, frontier.hashes, rows, problems, signed)
