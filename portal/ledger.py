"""One ledger, one order.

Everything that decides eligibility is written inside `entry(...)`. An entry takes its sequence number by
locking the one head row until the commit: numbers have no gaps, and their order is the order of commits.
At the end of the block the rows it wrote are read back from the database, sealed into the RFC 6962 leaf,
and the head moves on, all in the same transaction.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Union

from django.apps import apps
from django.db import connection, models, transaction
from django.utils import timezone

from portal import canonical, clock
from portal.errors import ClocksDisagree, InvalidInput, LedgerError, NoOpenEntry
from portal.merkle import Frontier, leaf_hash

if TYPE_CHECKING:
    import datetime as dt

    from django.contrib.auth.models import User

    from portal.models import Sealed

Actor = Union["User", str]
"""Who acts: a user, or the name of a command or task, written `system:freezer`."""

# Not part of the leaf: the entry is the row's address; simple-history's user repeats the entry's actor.
UNSEALED = frozenset({"entry_id", "history_user_id"})
CLOCK_SETTLED = "clock.settled"


@dataclass
class OpenEntry:
    """The entry being written. `touch` says which sealed models it has written to."""

    sequence: int
    kind: str
    actor_id: int | None
    actor_name: str
    subject: str
    reason: str
    recorded_at: "dt.datetime"
    latest_at: "dt.datetime"
    """The latest `recorded_at` up to this entry: its own, unless a clock stepped back before it."""
    touched: set[type[models.Model]] = field(default_factory=set)
    abandoned: bool = False
    clocks_disagree: bool = False
    """Nothing may be written that lets somebody in: the clocks disagree, or an earlier step is not settled yet."""

    def abandon(self) -> None:
        """Nothing needed to be written after all: no entry is made."""
        self.abandoned = True

    def touch(self, model: type[models.Model]) -> None:
        self.touched.add(model)


_open: ContextVar[OpenEntry | None] = ContextVar("open_entry", default=None)


def current(row: models.Model | None = None) -> OpenEntry:
    """The open entry. Raises NoOpenEntry when there is none."""
    opened = _open.get()
    if opened is None:
        what = row._meta.label if row is not None else "This"
        raise NoOpenEntry(f"{what} is written inside `with ledger.entry(...)` only.")
    return opened


def name_of(actor: Actor) -> str:
    return actor if isinstance(actor, str) else actor.get_username()


@contextmanager
def entry(kind: str, *, actor: Actor, subject: str = "", reason: str = "") -> Iterator[OpenEntry]:
    """One act: everything written inside commits together under one sequence number, or not at all.

    `kind` is a stable dotted code (`consent.decision`), `subject` a public reference, `reason` words
    without personal data. Entries do not nest.

    Its time is the database's. Where that is more than `clock.MAX_BACK` before the last entry's, or more than
    `clock.MAX_APART` from this process's, only the kinds in `clock.WRITTEN_ANYWAY` are written, with a `ClockStep`;
    the others raise ClocksDisagree, until an administrator has settled it.
    """
    from portal.models import ClockStep, Entry, LedgerHead  # the models are built on this module

    if _open.get() is not None:
        raise LedgerError("An entry is one act: entries do not nest.")
    with transaction.atomic():
        asked = timezone.now()
        # One statement locks the head and reads the clock. PostgreSQL reads it again where it waited for another entry.
        head = (
            LedgerHead.objects.annotate(database_at=clock.DatabaseNow())
            .select_for_update()
            .get(pk=1)
        )
        reading = clock.reading(head.database_at, asked)
        is_stepped = not reading.agrees or (
            head.last_at is not None and reading.at < head.last_at - clock.MAX_BACK
        )
        recorded_at = reading.at if is_stepped else max(reading.at, head.last_at or reading.at)
        clocks_disagree = reading.here is not None and (is_stepped or head.stepped_in is not None)
        if clocks_disagree and kind not in clock.WRITTEN_ANYWAY:
            raise ClocksDisagree(
                "The clocks of the database and the web server disagree, or one stepped back. Opt-outs, objections"
                " and erasures are taken; everything else waits until an administrator has settled the clocks."
            )
        opened = OpenEntry(
            sequence=head.size + 1,
            kind=kind,
            actor_id=None if isinstance(actor, str) else actor.pk,
            actor_name=name_of(actor),
            subject=subject,
            reason=reason,
            recorded_at=recorded_at,
            latest_at=max(recorded_at, head.latest_at or recorded_at),
            clocks_disagree=clocks_disagree,
        )
        reset = _open.set(opened)
        try:
            yield opened
            if is_stepped and not opened.abandoned:
                ClockStep(previous_at=head.last_at, server_at=reading.here).save()
        finally:
            _open.reset(reset)
        if opened.abandoned:
            if opened.touched:
                raise LedgerError("An entry that wrote rows cannot be abandoned.")
            return
        leaf = leaf_hash(entry_bytes(opened, sealed_rows(opened)))
        Entry(
            sequence=opened.sequence,
            kind=opened.kind,
            actor_id=opened.actor_id,
            actor_name=opened.actor_name,
            # A block may learn its kind, subject or reason only while it runs.
            subject=opened.subject,
            reason=opened.reason,
            recorded_at=opened.recorded_at,
            leaf=leaf.hex(),
        ).save()
        frontier = Frontier.from_text(head.size, head.frontier)
        frontier.append(leaf)
        head.size, head.frontier = frontier.size, frontier.to_text()
        head.last_at, head.latest_at = opened.recorded_at, opened.latest_at
        if kind == CLOCK_SETTLED:
            head.stepped_in = None
        elif is_stepped and reading.here is not None and head.stepped_in is None:
            head.stepped_in = opened.sequence
        head.save()


def clocks_agree() -> bool:
    """Whether an entry that lets somebody in could be written now. In one statement, without the lock."""
    from portal.models import LedgerHead

    asked = timezone.now()
    head = LedgerHead.objects.annotate(database_at=clock.DatabaseNow()).get(pk=1)
    reading = clock.reading(head.database_at, asked)
    is_back = head.last_at is not None and reading.at < head.last_at - clock.MAX_BACK
    return reading.here is None or (reading.agrees and not is_back and head.stepped_in is None)


def settle_clocks(*, actor: Actor, reason: str) -> None:
    """An administrator has seen to the clocks: from here on everything is written again.

    Raises ClocksDisagree while the database's clock and this process's are still apart.
    """
    from portal.models import ClockSettlement, LedgerHead

    if not reason.strip():
        raise InvalidInput("Say what was wrong, and what was done about it.", field="reason")
    with entry(CLOCK_SETTLED, actor=actor, reason=reason) as opened:
        found = clock.read()
        if not found.agrees:
            raise ClocksDisagree(
                f"The clocks are still {found.apart.total_seconds():.0f} seconds apart: set them right first."
            )
        ClockSettlement(
            stepped_in=LedgerHead.objects.get(pk=1).stepped_in, server_at=found.here
        ).save()
        opened.subject = "clocks"


def add(rows: Iterable["Sealed"]) -> None:
    """Insert many sealed rows of one model into the open entry."""
    rows = list(rows)
    if not rows:
        return
    opened, model = current(rows[0]), type(rows[0])
    for row in rows:
        row.entry_id = opened.sequence
    model._default_manager.bulk_create(rows, batch_size=2000)
    opened.touch(model)


@dataclass(frozen=True)
class Head:
    """The ledger's size and root (hexadecimal) at one moment."""

    size: int
    root: str
    stepped_in: int | None = None
    """The first entry with a clock step that is not settled."""


def read_head() -> Head:
    """The head without a lock: inside a snapshot, the cut."""
    from portal.models import LedgerHead

    row = LedgerHead.objects.get(pk=1)
    root = Frontier.from_text(row.size, row.frontier).root().hex()
    return Head(row.size, root, row.stepped_in)


def behind_the_latest() -> dict[int, "dt.datetime"]:
    """The entries recorded at an earlier time than one before them, and the latest time up to each.

    Empty as long as no clock stepped back. Reads the time of every entry.
    """
    from portal.models import Entry

    found: dict[int, dt.datetime] = {}
    latest = None
    rows = Entry.objects.order_by("sequence").values_list("sequence", "recorded_at")
    for sequence, recorded_at in rows.iterator(10_000):
        if latest is not None and recorded_at < latest:
            found[sequence] = latest
        else:
            latest = recorded_at
    return found


@contextmanager
def snapshot() -> Iterator[Head]:
    """One unmoving view of the database and the head that belongs to it: the cut.

    PostgreSQL: a REPEATABLE READ transaction whose first statement reads the head; writers are not
    blocked. SQLite: an ordinary transaction, which excludes writers. Cannot be opened inside a transaction,
    whose view may be older than the head it would claim.
    """
    if connection.vendor == "postgresql" and connection.in_atomic_block:
        raise LedgerError("A snapshot is a transaction of its own.")
    with transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                # Takes no snapshot itself: the next statement does.
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        yield read_head()


# --- What a leaf covers -------------------------------------------------------------------------


@cache
def sealed_models() -> dict[str, type[models.Model]]:
    """Every model whose rows are part of a leaf, by label, in the order they are sealed."""
    from portal.models import LedgerHistory, Sealed

    return {
        model._meta.label_lower: model
        for model in sorted(apps.get_models(), key=lambda model: model._meta.label_lower)
        if issubclass(model, (Sealed, LedgerHistory))
    }


@cache
def sealed_columns(model: type[models.Model]) -> tuple[str, ...]:
    """The columns of a row that its leaf covers, in alphabetical order.

    A leaf names those in which any row of the entry has a value. So a column can be added later: older rows
    have no value in it, and their leaves stay as they are. It must be nullable, and none is ever removed.
    """
    return tuple(
        sorted(f.attname for f in model._meta.concrete_fields if f.attname not in UNSEALED)
    )


def sealed_rows(opened: OpenEntry) -> dict[str, list[tuple[Any, ...]]]:
    """What the entry wrote, read back from the database: the leaf says what is stored, not what was meant."""
    rows = {}
    for label, model in sealed_models().items():
        if model in opened.touched:
            rows[label] = list(
                model._default_manager.filter(entry_id=opened.sequence)
                .order_by("pk")
                .values_list(*map(partial(stored, model), sealed_columns(model)))
            )
    return rows


def stored(model: type[models.Model], column: str) -> Any:
    """How a column is read back. PostgreSQL writes times in their canonical form itself: Django's reader
    would take longer over the one time that an import repeats in every row than over all other columns.
    """
    is_time = isinstance(model._meta.get_field(column), models.DateTimeField)
    return _UtcText(column) if is_time and connection.vendor == "postgresql" else column


class _UtcText(models.Func):
    template = """to_char(%(expressions)s AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
    output_field = models.TextField()


def entry_bytes(row: Any, rows: Mapping[str, Sequence[tuple[Any, ...]]]) -> bytes:
    """The canonical bytes of an entry (an `Entry` or an `OpenEntry`) with the rows it wrote."""
    # Texts, and numbers that are keys: only times and what the rows hold have to be looked at.
    return canonical.dumps_plain(
        {
            "actor": {"id": row.actor_id, "name": row.actor_name},
            "kind": row.kind,
            "reason": row.reason,
            "recorded_at": canonical.plain(row.recorded_at),
            "rows": {label: _table(label, values) for label, values in rows.items() if values},
            "sequence": row.sequence,
            "subject": row.subject,
        }
    )


def _table(label: str, values: Sequence[tuple[Any, ...]]) -> dict[str, Any]:
    """Rows of one model, without the columns in which none of them has a value."""
    names = sealed_columns(sealed_models()[label])
    if len(values) == 1:
        # Most entries write one row, and a ledger has millions of them.
        one = [
            (name, value) for name, value in zip(names, values[0], strict=True) if value is not None
        ]
        return {
            "columns": [name for name, _ in one],
            "values": [[canonical.plain(value) for _, value in one]],
        }
    columns = zip(names, zip(*values, strict=True), strict=True)
    held = {name: column for name, column in columns if any(one is not None for one in column)}
    return {"columns": list(held), "values": canonical.plain_rows(held.values())}
