"""Recomputing the ledger from the rows it seals: nothing that is stored is taken at its word.

`verify_ledger` streams entries and sealed rows side by side, so its memory does not grow with the ledger.
Apps add what only they can check (`register`).
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from django.apps import apps
from django.db import connection, models
from django.db.models import Max

from portal.errors import LedgerRewritten
from portal.ledger import entry_bytes, read_head, sealed_columns, sealed_models, snapshot, stored
from portal.merkle import Frontier, leaf_hash
from portal.models import Entry, LedgerHead, Tracked

MOST_PROBLEMS = 20
"""More than these are not listed: one is an incident already."""

Check = Callable[[], Iterable[str]]
_checks: dict[str, Check] = {}


def register(name: str, check: Check) -> None:
    """Add a check; it yields a sentence for each problem and says nothing when all is well."""
    _checks[name] = check


@dataclass
class Report:
    """What was recomputed. `problems` is empty when the ledger is what it says it is."""

    size: int = 0
    root: str = ""
    rows: int = 0
    checks: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def add(self, problems: Iterable[str]) -> None:
        for problem in problems:
            if len(self.problems) == MOST_PROBLEMS:
                break
            self.problems.append(problem)


def verify_ledger(progress: Callable[[int], object] = lambda size: None) -> Report:
    """Recompute every leaf, the root, and current state from history. Calls `progress` with the entries done.

    All of it is one snapshot: on PostgreSQL writers go on and are left for the next time, on SQLite they wait.
    """
    report = Report()
    # Inside a transaction (a test's) there is only its own view.
    view = nullcontext() if connection.in_atomic_block else snapshot()
    try:
        with view:
            _verify(report, progress)
    except (LedgerHead.DoesNotExist, ValueError) as error:
        report.add([f"The head is damaged: {error}"])
    return report


def _verify(report: Report, progress: Callable[[int], object]) -> None:
    head = read_head()
    report.add(_leaves(report, head.size, progress))
    report.add(_rows_of_no_entry(head.size))
    if not report.problems and report.root != head.root:
        report.add([f"The head claims the root {head.root}, its entries have {report.root}."])
    for name, check in {"current state is the last history row": _current_state, **_checks}.items():
        report.checks.append(name)
        report.add(check())


@dataclass(frozen=True, slots=True)
class Recomputed:
    """An entry as it is stored, and the bytes and the leaf that its rows give now."""

    entry: Any
    data: bytes
    leaf: bytes
    rows: int

    @property
    def is_as_sealed(self) -> bool:
        return self.leaf.hex() == self.entry.leaf


def recomputed(after: int, upto: int) -> Iterator[Recomputed]:
    """The entries from `after` (exclusive) to `upto`, each built anew from its rows.

    Raises LedgerRewritten where an entry is missing or rows belong to none. Call it inside a snapshot.
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
        written = {}
        count = 0
        for stream in waiting.pop(sequence, ()):
            written[stream.label] = found = stream.take()
            count += len(found)
            waiting.setdefault(stream.next_entry, []).append(stream)
        data = entry_bytes(row, written)
        yield Recomputed(row, data, leaf_hash(data), count)
    if sequence != upto:
        raise LedgerRewritten(f"The head counts {upto} entries, there are {sequence}.")
    for stream in streams:
        if stream.next_entry != NO_ENTRY:
            raise LedgerRewritten(
                f"{stream.label} has rows of entries that do not exist (entry {stream.next_entry})."
            )


def _leaves(report: Report, size: int, progress: Callable[[int], object]) -> Iterator[str]:
    frontier = Frontier()
    try:
        for one in recomputed(0, size):
            report.rows += one.rows
            if not one.is_as_sealed:
                yield f"Entry {one.entry.sequence} ({one.entry.kind}) or a row it wrote is not what was sealed."
            frontier.append(one.leaf)
            if not one.entry.sequence % 10_000:
                progress(one.entry.sequence)
    except LedgerRewritten as error:
        yield str(error)
    report.size, report.root = frontier.size, frontier.root().hex()
    progress(frontier.size)


def _rows_of_no_entry(size: int) -> Iterator[str]:
    """A row can be seen once its entry is committed: what lies beyond the head was put there by hand."""
    for label, model in sealed_models().items():
        sequence = model._default_manager.aggregate(last=Max("entry_id"))["last"] or 0
        if sequence > size:
            yield f"{label} has rows of entry {sequence}, and there are {size} entries."


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


def _current_state() -> Iterator[str]:
    """A tracked row is what its last history row says, and there is none without the other."""
    for model in apps.get_models():
        if not issubclass(model, Tracked):
            continue
        names = [f.attname for f in model._meta.concrete_fields]
        history = model.history.model._default_manager.order_by("id", "history_id")  # type: ignore[attr-defined]
        last = _last_by_id(history.values_list(*names).iterator(10_000), names.index("id"))
        rows = iter(model._default_manager.order_by("pk").values_list(*names).iterator(10_000))
        for expected in last:
            if next(rows, None) != expected:
                yield f"{model._meta.label} {expected[names.index('id')]} is not what its history says."
        if next(rows, None) is not None:
            yield f"{model._meta.label} has a row without history."


def _last_by_id(rows: Iterable[tuple[Any, ...]], key: int) -> Iterator[tuple[Any, ...]]:
    last = None
    for row in rows:
        if last is not None and row[key] != last[key]:
            yield last
        last = row
    if last is not None:
        yield last
