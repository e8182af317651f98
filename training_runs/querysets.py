from typing import TYPE_CHECKING, Any

from django.db.models import Exists, OuterRef, QuerySet

from ledger.append_only import AppendOnlyQuerySet
from ledger.models import TrackedQuerySet
from training_runs.choices import Agreement, RunState

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def teams_of(user: "User") -> "QuerySet[Any]":
    """The keys of the teams that a person is in now; a team that is not active has none."""
    return user.team_memberships.filter(is_active=True, team__is_active=True).values("team")


class RunQuerySet(TrackedQuerySet):
    def requested(self) -> "RunQuerySet":
        """The queue, oldest first."""
        return self.filter(state=RunState.REQUESTED).order_by("requested_at", "id")

    def owned_by(self, user: "User") -> "RunQuerySet":
        """Runs of the teams that the person is in."""
        return self.filter(team__in=teams_of(user))


class ManifestQuerySet(AppendOnlyQuerySet):
    def with_agreement(self) -> "ManifestQuerySet":
        """Adds `agrees` and `differs`: one disagreement blocks for good, whatever was verified later."""
        this = self.model.objects.filter(pk=OuterRef("pk"))
        return self.annotate(
            agrees=Exists(this.filter(verifications__agreement=Agreement.AGREES)),
            differs=Exists(this.filter(verifications__agreement=Agreement.DIFFERS)),
        )
