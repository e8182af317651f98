import datetime as dt
from typing import TYPE_CHECKING

from django.db.models import Exists, OuterRef, Subquery

from deliveries.choices import ALIVE, DeliveryState
from ledger.append_only import AppendOnlyQuerySet
from ledger.models import TrackedQuerySet
from training_runs.querysets import teams_of

if TYPE_CHECKING:
    from django.contrib.auth.models import User


class DeliveryQuerySet(TrackedQuerySet):
    def requested(self) -> "DeliveryQuerySet":
        """The queue, oldest first."""
        return self.filter(state=DeliveryState.REQUESTED).order_by("pk")

    def alive(self) -> "DeliveryQuerySet":
        """Deliveries that are being made, or were made and have not ended."""
        return self.filter(state__in=ALIVE)

    def valid_at(self, moment: dt.datetime) -> "DeliveryQuerySet":
        """Deliveries that may be used at a moment: also without a sweep a lease ends by itself."""
        return self.filter(state=DeliveryState.DELIVERED, leased_until__gt=moment)

    def own(self) -> "DeliveryQuerySet":
        """Those for the run's own team. What a recipient was given opens nothing for the run's own training."""
        return self.filter(recipient__isnull=True)

    def with_entry(self) -> "DeliveryQuerySet":
        """Adds `made_entry`: the sequence of the entry that made the delivery, None before."""
        rows = self.model.history.filter(id=OuterRef("pk"), state=DeliveryState.DELIVERED)
        return self.annotate(
            made_entry=Subquery(rows.order_by("history_id").values("entry_id")[:1])
        )

    def of_teams_of(self, user: "User") -> "DeliveryQuerySet":
        """Deliveries of the runs of a person's teams."""
        return self.filter(run__team__in=teams_of(user))

    def given_to_teams_of(self, user: "User") -> "DeliveryQuerySet":
        """Deliveries whose recipient is one of a person's teams."""
        return self.filter(recipient__team__in=teams_of(user))


class DataSetQuerySet(AppendOnlyQuerySet):
    def newest(self) -> "DataSetQuerySet":
        """Each file of a team once, as its newest receipt claims it: that one says until when it may be used.

        A child run of another team has a lease of its own, and takes nothing from the team that made the file.
        """
        later = self.model._default_manager.filter(
            sha256=OuterRef("sha256"),
            receipt__run__team=OuterRef("receipt__run__team"),
            pk__gt=OuterRef("pk"),
        )
        return self.filter(~Exists(later))
