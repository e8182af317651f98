"""The ledger's entries and its head, the bases of rows that belong to an entry, reads, checkpoints and checks."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.db import models
from django.utils import timezone
from simple_history.models import HistoricalRecords

from ledger import open_entry
from ledger.append_only import AppendOnly, AppendOnlyQuerySet
from ledger.choices import DeliveryChannel
from ledger.errors import AppendOnlyViolation, NoOpenEntry


class Entry(AppendOnly):
    """One committed act, sealed by the RFC 6962 leaf over every row it wrote."""

    sequence = models.PositiveBigIntegerField(primary_key=True)
    kind = models.CharField(max_length=64, db_index=True)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    actor_name = models.CharField(max_length=150, help_text="Stays when the account goes.")
    credential = models.CharField(
        max_length=150,
        blank=True,
        help_text="By what the actor could act: a session, a token, a command, a task.",
    )
    subject = models.CharField(max_length=100, blank=True, db_index=True)
    reason = models.TextField(blank=True)
    recorded_at = models.DateTimeField()
    leaf = models.CharField(max_length=64, help_text="SHA-256, hexadecimal.")

    class Meta:
        verbose_name = "ledger entry"
        verbose_name_plural = "ledger entries"
        ordering = ["-sequence"]
        # What the list of entries is narrowed by; words of reasons have an index of their own (0002).
        indexes = [
            models.Index(fields=["actor_name", "sequence"], name="entry_by_actor"),
            models.Index(fields=["recorded_at", "sequence"], name="entry_by_time"),
        ]

    def __str__(self) -> str:
        return f"#{self.sequence} {self.kind}"


class LedgerHead(models.Model):
    """The one row every writer locks: how many entries there are, and the tree's frontier."""

    guard = "undeletable"

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    size = models.PositiveBigIntegerField(default=0)
    frontier = models.TextField(blank=True, default="")
    last_at = models.DateTimeField(null=True, help_text="The last entry's recorded_at.")
    latest_at = models.DateTimeField(
        null=True,
        help_text="The latest recorded_at of all: another one only if a clock stepped back.",
    )
    stepped_in = models.PositiveBigIntegerField(
        null=True, help_text="The first entry with a clock step that is not settled yet."
    )

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="one_ledger_head")]

    def __str__(self) -> str:
        return f"{self.size} entries"


class ReferenceCounter(models.Model):
    """The last public reference of a kind of row in a year: `TR`, 2026, 12 for TR-2026-000012.

    No fact of its own: the rows have their references, each of which is unique. A counter that was set back is refused
    by them.
    """

    guard = "undeletable"

    prefix = models.CharField(max_length=10)
    year = models.PositiveSmallIntegerField()
    last = models.PositiveBigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["prefix", "year"], name="one_counter_a_prefix_and_year")
        ]

    def __str__(self) -> str:
        return f"{self.prefix}-{self.year}-{self.last:06d}"


class Sealed(AppendOnly):
    """An append-only row that belongs to the entry that wrote it."""

    entry = models.ForeignKey(Entry, models.PROTECT, related_name="%(class)ss")

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        opened = open_entry.current(self)
        self.entry_id = opened.sequence
        super().save(*args, **kwargs)
        opened.touch(type(self))


class LedgerHistory(AppendOnly):
    """Base of every django-simple-history row: it carries the entry it belongs to."""

    # No constraint in the database: it would be asked row by row and cost an import as much as all its
    # indexes. The entry cannot go (it is append-only), and `verify_ledger` reports a row without one.
    entry = models.ForeignKey(Entry, models.PROTECT, related_name="+", db_constraint=False)

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        opened = open_entry.current(self)
        self.entry_id = opened.sequence
        self.history_user_id = opened.actor_id
        super().save(*args, **kwargs)
        opened.touch(type(self))


def tracked_history() -> HistoricalRecords:
    """The history of a tracked model.

    Its rows outlive many imports of everybody, so their key is a big one. The column for who did it has no
    foreign key and so no index: the entry names the actor.
    """
    return HistoricalRecords(
        bases=[LedgerHistory],
        history_id_field=models.BigAutoField(),
        history_user_id_field=models.IntegerField(null=True),
    )


class TrackedQuerySet(models.QuerySet[Any]):
    """Rows whose every change must leave history: what would bypass it is refused."""

    def _refuse(self, *args: Any, **kwargs: Any) -> Any:
        raise AppendOnlyViolation(
            f"{self.model._meta.label} is tracked: save its rows one by one inside a ledger entry."
        )

    update = delete = bulk_create = bulk_update = update_or_create = _refuse

    def save_all(self, rows: Sequence[Any]) -> None:
        """Save several rows, all new or none, as `save` does each: one statement for them and one for their history.

        Needs an open entry. What a model's own `save` sets, its queryset sets before.
        """
        opened = open_entry.current()
        past_refusals: models.QuerySet[Any] = models.QuerySet(self.model, using=self.db)
        is_new = all(row.pk is None for row in rows)
        if is_new:
            past_refusals.bulk_create(rows)
        else:
            columns = [field.name for field in self.model._meta.concrete_fields]
            key = self.model._meta.pk
            assert key is not None
            past_refusals.bulk_update(rows, [name for name in columns if name != key.name])
        history = self.model.history.model
        history._default_manager.bulk_create(
            [
                history(
                    entry_id=opened.sequence,
                    history_date=timezone.now(),
                    history_type="+" if is_new else "~",
                    history_user_id=opened.actor_id,
                    **{
                        field.attname: getattr(row, field.attname)
                        for field in history.tracked_fields
                    },
                )
                for row in rows
            ]
        )
        opened.touch(history)


class Tracked(models.Model):
    """A mutable row with history. Saving it outside a ledger entry is an error; it is never deleted.

    Subclasses declare `history = tracked_history()`.
    """

    guard = "undeletable"

    objects = TrackedQuerySet.as_manager()

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        # Asked before the row is written: in autocommit it would already be there afterwards.
        open_entry.current(self)
        if kwargs.get("update_fields") is not None:
            raise NoOpenEntry("update_fields would put unsaved values into the history.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> Any:
        raise AppendOnlyViolation(f"{self._meta.label} {self.pk} is never deleted.")


class AccessRecord(AppendOnly):
    """A read that must be on record: by whom, when and why. Holds references, no personal data."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    actor_name = models.CharField(max_length=150)
    kind = models.CharField(max_length=64, db_index=True)
    subject = models.CharField(max_length=100, db_index=True)
    purpose = models.CharField(
        max_length=200, blank=True, help_text="The reason, if one was required."
    )
    read_at = models.DateTimeField(default=timezone.now)

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}"


class ReadBatch(Sealed):
    """Seals a stretch of the record of reads: one entry for many, so that reading costs no lock of the ledger."""

    first = models.PositiveBigIntegerField(help_text="Number of the first record.")
    last = models.PositiveBigIntegerField(help_text="Number of the last record.")
    count = models.PositiveIntegerField()
    root = models.CharField(max_length=64, help_text="RFC 6962, over the records.")

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "read batches"

    def __str__(self) -> str:
        return f"reads {self.first} to {self.last}"


class Checkpoint(AppendOnly):
    """The ledger's size and root, signed. What proves anything is a copy held elsewhere."""

    size = models.PositiveBigIntegerField(primary_key=True, help_text="Entries it covers.")
    root = models.CharField(max_length=64)
    frontier = models.TextField(
        help_text="Of the tree at this size: what the next one goes on from."
    )
    note = models.TextField(help_text="C2SP signed note.")
    signed_at = models.DateTimeField()

    class Meta:
        ordering = ["-size"]

    def __str__(self) -> str:
        return f"checkpoint {self.size}"


class CheckpointDelivery(AppendOnly):
    """The delivery of a checkpoint to a holder: copies that the database's owner cannot change."""

    checkpoint = models.ForeignKey(Checkpoint, models.PROTECT, related_name="deliveries")
    channel = models.CharField(max_length=9, choices=DeliveryChannel)
    holder = models.CharField(max_length=150, help_text="An auditor's username, or the directory.")
    delivered_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "checkpoint deliveries"
        constraints = [
            models.UniqueConstraint(
                fields=["checkpoint", "channel", "holder"], name="delivered_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.checkpoint}, {self.get_channel_display()}: {self.holder}"


class LedgerTile(AppendOnly):
    """The root over 256 leaves in a row, written when they were signed: a proof reads these, not a million leaves.

    Nothing is proved by them: each proof is checked against the signed root before it is given out.
    """

    SIZE = 256

    number = models.PositiveBigIntegerField(primary_key=True)
    hash = models.CharField(max_length=64)

    def __str__(self) -> str:
        return f"tile {self.number}"


class ClockStep(Sealed):
    """Marks an entry that was written while a clock was wrong: the database's stepped back, or was not the server's."""

    previous_at = models.DateTimeField(null=True, help_text="The entry before was recorded at.")
    server_at = models.DateTimeField(
        null=True, help_text="The web server's or worker's clock at the same moment."
    )

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"clock step in entry {self.entry_id}"


class ClockSettlement(Sealed):
    """An administrator's word that the clocks are right again."""

    stepped_in = models.PositiveBigIntegerField(
        null=True, help_text="The first entry with a clock step that this settles."
    )
    server_at = models.DateTimeField(
        null=True, help_text="The web server's clock; the entry has the database's."
    )

    class Meta:
        ordering = ["-id"]
        permissions = [("settle_clocks", "Can say that the clocks are right again")]

    def __str__(self) -> str:
        return f"clocks settled in entry {self.entry_id}"


class LedgerCheck(Sealed):
    """A recomputation of the whole ledger, and what it found."""

    size = models.PositiveBigIntegerField()
    root = models.CharField(max_length=64)
    rows = models.PositiveBigIntegerField()
    problems = models.JSONField(default=list, help_text="Sentences; empty when all is well.")
    seconds = models.CharField(max_length=12)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"check of {self.size} entries"
