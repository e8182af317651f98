"""Objections to processing: from the second one is received, the member is out of the purposes it names."""

from typing import Any

from django.db import models
from django.db.models import Q

from consent.choices import Purpose
from consent.models import Member
from objections.choices import Effect
from objections.querysets import ObjectionQuerySet
from portal.models import Tracked, tracked_history


class Ticket(Tracked):
    """A data processing objection (GDPR Art. 21). Who wrote it is kept elsewhere."""

    reference = models.CharField(max_length=20, unique=True)
    member = models.ForeignKey(Member, models.PROTECT, null=True, related_name="tickets")
    received_at = models.DateTimeField()
    history = tracked_history()

    class Meta:
        ordering = ["-received_at"]

    def __str__(self) -> str:
        return self.reference


class Objection(Tracked):
    """A ticket's effect on one purpose."""

    ticket = models.ForeignKey(Ticket, models.PROTECT, related_name="objections")
    # Repeats the ticket's member, which never changes: the freeze reads one index and no join.
    member = models.ForeignKey(Member, models.PROTECT, null=True, related_name="+")
    purpose = models.CharField(max_length=20, choices=Purpose)
    effect = models.CharField(max_length=11, choices=Effect, default=Effect.RESTRICTING)
    history = tracked_history()

    objects = ObjectionQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["ticket", "purpose"], name="one_effect_per_purpose"),
            models.CheckConstraint(
                condition=Q(effect__in=Effect.values, purpose__in=Purpose.values),
                name="objection_in_known_words",
            ),
        ]
        indexes = [
            models.Index(
                fields=["purpose", "effect", "member"],
                name="objection_in_effect",
                condition=~Q(effect=Effect.LIFTED),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.ticket_id}: {self.purpose} {self.effect}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.member_id = self.ticket.member_id
        super().save(*args, **kwargs)
