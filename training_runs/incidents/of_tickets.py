"""Incidents as the objection desk asks for them."""

import datetime as dt
from collections.abc import Collection

from ledger.models import Entry
from objections.ticket.incidents import FoundIncident
from training_runs.incidents import finding
from training_runs.models import Incident


def of_tickets(references: Collection[str]) -> dict[str, list[FoundIncident]]:
    """The incidents of which entries about these tickets are the cause, by the ticket's reference."""
    subject_of = dict(
        Entry.objects.filter(subject__in=references).order_by().values_list("sequence", "subject")
    )
    found: dict[str, list[FoundIncident]] = {}
    rows = Incident.objects.filter(cause__in=subject_of).select_related("run__manifest")
    for row in rows.order_by("pk"):
        found.setdefault(subject_of[row.cause], []).append(
            FoundIncident(
                reference=row.reference,
                run=row.run.reference,
                purpose=row.run.get_purpose_display(),
                frozen_at=row.run.manifest.frozen_at,
                found_at=row.found_at,
            )
        )
    return found


def look() -> None:
    """Look for late facts at once."""
    finding.look()


def new_since(moment: dt.datetime) -> list[tuple[str, int]]:
    """The incidents found since a moment: what each says, and its key."""
    rows = Incident.objects.filter(found_at__gt=moment).select_related("run").order_by("pk")
    return [(in_words(row), row.pk) for row in rows]


def in_words(row: Incident) -> str:
    """An incident in a line: how many members, and the run."""
    who = "1 member who was" if row.members == 1 else f"{row.members:,} members who were"
    return f"{row.reference}: {row.run.reference} was frozen with {who} out"
