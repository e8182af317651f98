"""Incidents of runs, as far as a run's owner may know them: that and when, never of whom or why."""

from typing import Any

from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from objections.models import Incident
from training_runs.models import Run

OWN = "training_runs.view_own_incident"
ALL = "objections.view_incident"


def may_read(user: Any, run: Run) -> bool:
    """The owner of a run may know its incidents, and so may the people who see those of every run."""
    return bool(user.has_perm(ALL) or (run.owner_id == user.pk and user.has_perm(OWN)))


def of(run: Run) -> QuerySet[Incident]:
    """Incidents of a run, the latest first. Their tickets name people: only `ALL` opens them."""
    return Incident.objects.filter(run=run.reference).order_by("-pk")


def of_runs_of(owner: Any) -> QuerySet[Incident]:
    """Incidents of every run that a person owns, the latest first."""
    references = Run.objects.owned_by(owner).values("reference")
    return Incident.objects.filter(run__in=references).order_by("-pk")


def counted(runs: QuerySet[Run]) -> QuerySet[Run]:
    """Runs with `incident_count`."""
    found = Incident.objects.filter(run=OuterRef("reference")).order_by().values("run")
    return runs.annotate(
        incident_count=Coalesce(Subquery(found.annotate(n=Count("pk")).values("n")), 0)
    )
