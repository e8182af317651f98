"""Incidents of runs, as far as a run's team may know them: that and when, never of whom or why."""

from typing import Any

from django.db.models import Case, Count, OuterRef, QuerySet, Subquery, When
from django.db.models.functions import Coalesce

from objections.models import Incident
from training_runs import teams
from training_runs.models import Run
from training_runs.querysets import teams_of

OWN = "training_runs.view_own_incident"
ALL = "objections.view_incident"


def may_read(user: Any, run: Run) -> bool:
    """The team of a run may know its incidents, and so may the people who see those of every run."""
    return bool(user.has_perm(ALL) or (user.has_perm(OWN) and teams.has(run, user)))


def of(run: Run) -> QuerySet[Incident]:
    """Incidents of a run, the latest first. Their tickets name people: only `ALL` opens them."""
    return Incident.objects.filter(run=run.reference).order_by("-pk")


def of_runs_of(user: Any) -> QuerySet[Incident]:
    """Incidents of every run of a person's teams, the latest first."""
    references = Run.objects.owned_by(user).values("reference")
    return Incident.objects.filter(run__in=references).order_by("-pk")


def counted(runs: QuerySet[Run], user: Any) -> QuerySet[Run]:
    """Runs with `incident_count`; null, and not counted, for a run whose incidents the user may not know."""
    found = Incident.objects.filter(run=OuterRef("reference")).order_by().values("run")
    count = Coalesce(Subquery(found.annotate(n=Count("pk")).values("n")), 0)
    if user.has_perm(ALL):
        return runs.annotate(incident_count=count)
    if user.has_perm(OWN):
        return runs.annotate(
            incident_count=Case(When(team__in=teams_of(user), then=count), default=None)
        )
    return runs
