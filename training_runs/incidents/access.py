"""Incidents, as far as a run's team may know them: that, when, how many and for what reasons, never of whose objection."""

from typing import Any

from django.db.models import Case, Count, OuterRef, QuerySet, Subquery, When
from django.db.models.functions import Coalesce

from training_runs import teams
from training_runs.incidents import archive
from training_runs.incidents.cases import ALL, OWN
from training_runs.models import Incident, Run
from training_runs.querysets import teams_of


def may_read(user: Any, run: Run) -> bool:
    """The team of a run may know its incidents, and so may the people who see those of every run."""
    return bool(user.has_perm(ALL) or (user.has_perm(OWN) and teams.has(run, user)))


def of(run: Run) -> QuerySet[Incident]:
    """Incidents of a run, the latest first."""
    return run.incidents.select_related("run", "acknowledged_by").order_by("-pk")


def readable(user: Any) -> QuerySet[Incident]:
    """The incidents that a person may know, the latest first."""
    rows = Incident.objects.select_related("run__team", "acknowledged_by").order_by("-pk")
    if user.has_perm(ALL):
        return rows
    return rows.filter(run__team__in=teams_of(user)) if user.has_perm(OWN) else rows.none()


def counted(runs: QuerySet[Run], user: Any) -> QuerySet[Run]:
    """Runs with `incident_count`; null, and not counted, for a run whose incidents the user may not know."""
    found = Incident.objects.filter(run=OuterRef("pk")).order_by().values("run")
    count = Coalesce(Subquery(found.annotate(n=Count("pk")).values("n")), 0)
    if user.has_perm(ALL):
        return runs.annotate(incident_count=count)
    if user.has_perm(OWN):
        return runs.annotate(
            incident_count=Case(When(team__in=teams_of(user), then=count), default=None)
        )
    return runs


def runs_with(number: int) -> list[int]:
    """The keys of the runs with an incident that a member is in. Raises ManifestDamaged, OSError."""
    rows = Incident.objects.order_by().only("run_id", "digest")
    return sorted({row.run_id for row in rows if number in archive.members_of(row)})
