"""Recomputing the ledger from the rows it seals: stored values are never trusted.

Memory does not grow with the ledger (`ledger.verification.leaves`).
Apps add what only they can check (`ledger.registry.checks`).
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

from django.apps import apps
from django.db import connection
from django.db.models import Max, Min, Q

from ledger import registry
from ledger.entries import read_head, snapshot
from ledger.merkle.tree import Frontier
from ledger.models import Checkpoint, ClockSettlement, ClockStep, Entry, LedgerHead, Tracked
from ledger.sealing import sealed_models
from ledger.verification.leaves import PIECE, Piece, pieces

MAX_PROBLEMS = 20
"""More than these are not listed: one is an incident already."""


@dataclass
class Report:
    """The result of a recomputation. `problems` is empty when the ledger is what it says it is."""

    size: int = 0
    root: str = ""
    rows: int = 0
    checks: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def add(self, problems: Iterable[str]) -> None:
        for problem in problems:
            if len(self.problems) == MAX_PROBLEMS:
                break
            self.problems.append(problem)


def verify_ledger(progress: Callable[[int], object] = lambda size: None) -> Report:
    """Recompute every leaf, the root, and current state from history. Calls `progress` with the entries done.

    Entries below the head never change: while they are recomputed, which may take minutes, no transaction is open.
    What is held against them afterwards is one snapshot: on PostgreSQL writers go on and are left for the next time, on
    SQLite they wait.
    """
    report = Report()
    try:
        _verify(report, progress, in_processes=not connection.in_atomic_block)
    except (LedgerHead.DoesNotExist, ValueError) as error:
        report.add([f"The head is damaged: {error}"])
    return report


def _verify(report: Report, progress: Callable[[int], object], *, in_processes: bool) -> None:
    # Inside a transaction (a test's) there is only its own view.
    view = nullcontext if connection.in_atomic_block else snapshot
    with view():
        head = read_head()
    report.add(_leaves(report, pieces(head.size, in_processes=in_processes), progress))
    if report.size != head.size:
        report.add([f"The head counts {head.size} entries, the first {report.size} are there."])
    if not report.problems and report.root != head.root:
        report.add([f"The head claims the root {head.root}, its entries have {report.root}."])
    with view():
        # Later entries were written meanwhile.
        report.add(_rows_of_no_entry(read_head().size))
        report.add(_times_of_the_head())
        checks = {"current state is the last history row": _current_state, **registry.checks}
        for name, check in checks.items():
            report.checks.append(name)
            report.add(check())


def _leaves(
    report: Report, found: Iterable[Piece], progress: Callable[[int], object]
) -> Iterator[str]:
    done, hashes = 0, list[bytes]()
    # The roots of full pieces are subtrees of the whole tree: they merge as leaves do.
    whole = Frontier()
    for piece in found:
        report.rows += piece.rows
        yield from piece.problems
        for size, root, within in piece.signed:
            if size % PIECE and Frontier(size, [*whole.hashes, *within]).root().hex() != root:
                yield _other_root(size)
        done += piece.size
        if piece.size == PIECE:
            whole.append(piece.hashes[0])
        else:
            hashes = piece.hashes
        for size, root, _ in piece.signed:
            if size % PIECE == 0 and whole.root().hex() != root:
                yield _other_root(size)
        progress(done)
    report.size = done
    report.root = Frontier(done, [*whole.hashes, *hashes]).root().hex()


def _other_root(size: int) -> str:
    return f"Checkpoint {size} has another root than its entries."


def _times_of_the_head() -> Iterator[str]:
    """Times run with the numbers but where a clock step is sealed; the head says what the entries say."""
    head = LedgerHead.objects.get(pk=1)
    marked = set(ClockStep.objects.values_list("entry_id", flat=True))
    last = latest = None
    rows = Entry.objects.filter(sequence__lte=head.size).order_by("sequence")
    for sequence, at in rows.values_list("sequence", "recorded_at").iterator(10_000):
        if last is not None and at < last and sequence not in marked:
            yield f"Entry {sequence} is recorded before entry {sequence - 1}, and no clock step is sealed in it."
        last, latest = at, max(at, latest or at)
    if (head.last_at, head.latest_at) != (last, latest):
        yield (
            f"The head says that the last entry is of {head.last_at} and the latest of {head.latest_at};"
            f" they are of {last} and {latest}."
        )
    settled = ClockSettlement.objects.aggregate(last=Max("entry_id"))["last"] or 0
    steps = ClockStep.objects.filter(entry_id__gt=settled, server_at__isnull=False)
    if head.stepped_in != steps.aggregate(first=Min("entry_id"))["first"]:
        yield f"The head says that clocks are unsettled since entry {head.stepped_in}; the entries do not."


def _rows_of_no_entry(size: int) -> Iterator[str]:
    """Entries are numbered from 1, and a row can be seen once its entry is committed: anything else was put in by hand."""
    beyond = Entry.objects.filter(Q(sequence__lt=1) | Q(sequence__gt=size)).order_by("sequence")
    for sequence in beyond.values_list("sequence", flat=True)[:MAX_PROBLEMS]:
        yield f"There is an entry {sequence}, and the ledger has the entries 1 to {size}."
    largest = Checkpoint.objects.aggregate(last=Max("size"))["last"] or 0
    if largest > size:
        yield f"There is a checkpoint of {largest} entries, and the ledger has {size}."
    for label, model in sealed_models().items():
        found = model._default_manager.aggregate(first=Min("entry_id"), last=Max("entry_id"))
        for sequence in sorted(set(found.values()) - {None}):
            if not 1 <= sequence <= size:
                yield f"{label} has rows of entry {sequence}, and the ledger has the entries 1 to {size}."


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
