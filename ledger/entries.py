"""One ledger, one order.

Everything that decides eligibility is written inside `entry(...)`. An entry takes its sequence number by
locking the one head row until the commit: numbers have no gaps, and their order is the order of commits.
At the end of the block the rows it wrote are read back from the database, sealed into the RFC 6962 leaf,
and the head moves on, all in the same transaction.
"""

import datetime as dt
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.db import connection, transaction
from django.utils import timezone

from ledger import clock, registry
from ledger.errors import ClocksDisagree, InvalidInput, LedgerError
from ledger.merkle.tree import Frontier, leaf_hash
from ledger.models import ClockSettlement, ClockStep, Entry, LedgerHead, Sealed
from ledger.open_entry import Actor, OpenEntry, credential_now, current, name_of
from ledger.open_entry import opened as open_entry
from ledger.sealing import MAX_BYTES, leaf_data, sealed_rows

CLOCK_SETTLED = "clock.settled"


@contextmanager
def entry(kind: str, *, actor: Actor, subject: str = "", reason: str = "") -> Iterator[OpenEntry]:
    """One act: everything written inside commits together under one sequence number, or not at all.

    `kind` is the code of a declared `EntryKind` (`consent.decision`), `subject` a public reference, `reason` words
    without personal data. Entries do not nest.

    Its time is the database's. Where that is more than `clock.MAX_BACK` before the last entry's, or more than
    `clock.MAX_APART` from this process's, only kinds declared `despite_clocks` are written, with a `ClockStep`;
    the others raise ClocksDisagree, until an administrator has settled it.
    """
    if open_entry.get() is not None:
        raise LedgerError("An entry is one act: entries do not nest.")
    declared = registry.entry_kind(kind)
    # Asked before the lock.
    credential = credential_now()
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
        if clocks_disagree and not declared.despite_clocks:
            raise ClocksDisagree(
                "The clocks of the database and the web server disagree, or one stepped back. What only"
                " excludes is taken; everything else waits until an administrator has settled the clocks."
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
            credential=credential,
            clocks_disagree=clocks_disagree,
        )
        reset = open_entry.set(opened)
        try:
            yield opened
            if is_stepped and not opened.abandoned:
                ClockStep(previous_at=head.last_at, server_at=reading.here).save()
        finally:
            open_entry.reset(reset)
        if opened.abandoned:
            if opened.touched:
                raise LedgerError("An entry that wrote rows cannot be abandoned.")
            return
        data = leaf_data(opened, sealed_rows(opened)).data
        if len(data) > MAX_BYTES:
            raise InvalidInput("The reason is too long for the ledger.", field="reason")
        leaf = leaf_hash(data)
        Entry(
            sequence=opened.sequence,
            kind=opened.kind,
            actor_id=opened.actor_id,
            actor_name=opened.actor_name,
            credential=opened.credential,
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
    """Whether an entry that is not `despite_clocks` could be written now. In one statement, without the lock."""
    asked = timezone.now()
    head = LedgerHead.objects.annotate(database_at=clock.DatabaseNow()).get(pk=1)
    reading = clock.reading(head.database_at, asked)
    is_back = head.last_at is not None and reading.at < head.last_at - clock.MAX_BACK
    return reading.here is None or (reading.agrees and not is_back and head.stepped_in is None)


def settle_clocks(*, actor: Actor, reason: str) -> None:
    """An administrator has seen to the clocks: from here on everything is written again.

    Raises ClocksDisagree while the database's clock and this process's are still apart.
    """
    if not reason.strip():
        raise InvalidInput("State what was wrong and what was done about it.", field="reason")
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


def add(rows: Iterable[Sealed]) -> None:
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
    row = LedgerHead.objects.get(pk=1)
    root = Frontier.from_text(row.size, row.frontier).root().hex()
    return Head(row.size, root, row.stepped_in)


def behind_the_latest() -> dict[int, dt.datetime]:
    """The entries recorded at an earlier time than one before them, and the latest time up to each.

    Empty as long as no clock stepped back. Reads the time of every entry.
    """
    found: dict[int, dt.datetime] = {}
    latest = None
    rows = Entry.objects.order_by("sequence").values_list("sequence", "recorded_at")
    for sequence, recorded_at in rows.iterator(10_000):
        if latest is not None and recorded_at < latest:
            found[sequence] = latest
        else:
            latest = recorded_at
    return found


def last_recorded_at() -> dt.datetime:
    """The time of the newest entry. Raises Entry.DoesNotExist for an empty ledger."""
    return Entry.objects.values_list("recorded_at", flat=True).latest("sequence")


@contextmanager
def snapshot() -> Iterator[Head]:
    """One unmoving view of the database and the head that belongs to it: the cut.

    PostgreSQL: a REPEATABLE READ transaction whose first statement reads the head; writers are not
    blocked. SQLite: an ordinary transaction, which excludes writers. Cannot be opened inside a transaction,
    whose view may be older than the head it would claim.

    >>> with snapshot() as head:  # of an empty ledger
    ...     head.size
    0
    """
    if connection.vendor == "postgresql" and connection.in_atomic_block:
        raise LedgerError("A snapshot is a transaction of its own.")
    with transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                # Takes no snapshot itself: the next statement does.
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        yield read_head()
