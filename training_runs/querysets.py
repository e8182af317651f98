from typing import TYPE_CHECKING

from django.db.models import Exists, OuterRef

from ledger.append_only import AppendOnlyQuerySet
from ledger.models import TrackedQuerySet
from training_runs.choices import Agreement, RunState

if TYPE_CHECKING:
    from django.contrib.auth.models import User


class RunQuerySet(TrackedQuerySet):
    def requested(self) -> "RunQuerySet":
        """The queue, oldest first."""
        return self.filter(state=RunState.REQUESTED).order_by("requested_at", "id")

    def owned_by(self, user: "User") -> "RunQuerySet":
        return self.filter(owner=user)


class ManifestQuerySet(AppendOnlyQuerySet):
    def with_agreement(self) -> "ManifestQuerySet":
        """Adds `agrees` and `differs`: one disagreement blocks for good, whatever was verified later."""
        this = self.model.objects.filter(pk=OuterRef("pk"))
        return self.annotate(
            agrees=Exists(this.filter(verifications__agreement=Agreement.AGREES)),
            differs=Exists(this.filter(verifications__agreement=Agreement.DIFFERS)),
        )
