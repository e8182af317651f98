"""Incidents: runs that were frozen with a member in them whose objection had reached us."""

import datetime as dt

import structlog
from django.db.models import F, Min, Q

from ledger import clock, entries
from ledger.errors import Refusal
from ledger.models import Entry
from objections.models import Incident, Objection, Ticket
from objections.ticket import exposure

logger = structlog.get_logger(__name__)

DESK = "system:desk"


def look_for_incidents(ticket: Ticket) -> list[Incident]:
    """Record every run frozen with the member in it after the objection had reached us and before it was recorded.

    Called wherever a restriction turns out to be older than its entry, after that entry: reading old archives takes
    time and can fail, and no restriction may depend on it. What fails is logged and looked for again every day.
    The manifests stay as they are.
    """
    if ticket.member_id is None or ticket.state is None:
        return []
    purposes = list(ticket.objections.values_list("purpose", flat=True))
    try:
        uses = exposure.uses_of(ticket.member_id, purposes, since=ticket.received_at)
    except (Refusal, OSError) as error:
        logger.error(
            "incidents not looked for", ticket=ticket.reference, error=type(error).__name__
        )
        return []
    recorded_in = _first_recorded(ticket)
    with entries.entry("objection.incident_found", actor=DESK, subject=ticket.reference) as opened:
        known = set(ticket.incidents.values_list("run", flat=True))
        found = [
            Incident(
                ticket=ticket,
                run=use.run,
                purpose=use.purpose,
                received_at=ticket.received_at,
                frozen_at=use.frozen_at,
            )
            for use in uses
            # A cut that counts the restriction has the member in it only where it was lifted by then.
            if use.run not in known and use.cut < recorded_in[use.purpose]
        ]
        opened.reason = ", ".join(incident.run for incident in found)
        entries.add(found)
        if not found:
            opened.abandon()
    return found


def _first_recorded(ticket: Ticket) -> dict[str, int]:
    """For each purpose, the entry from which on the ledger has the objection as this member's."""
    rows = Objection.history.filter(ticket_id=ticket.pk, member_id=ticket.member_id)
    return dict(rows.order_by("purpose").values_list("purpose").annotate(Min("entry_id")))


def incidents_in_words(count: int) -> str:
    if not count:
        return "No run used the data since it was received."
    return f"{count} run{'' if count == 1 else 's'} used the data since it was received: see Incidents."


_MATCHED = (
    "objection.member_matched",
    "objection.match_corrected",
    "objection.candidate_chosen",
)
_MAY_BE_LATE = (
    "objection.received",
    "objection.receipt_date_corrected",
    *_MATCHED,
)


def look_again_for_incidents(now: dt.datetime | None = None) -> int:
    """Look once more at restrictions older than their entries, recorded in the last 30 days; returns the incidents.

    A run that was being frozen meanwhile had its manifest recorded later; and a look may have failed.
    """
    since = (now or clock.now()) - dt.timedelta(days=30)
    lately = Entry.objects.filter(kind__in=_MAY_BE_LATE, recorded_at__gt=since)
    matched = lately.filter(kind__in=_MATCHED)
    late = Ticket.objects.filter(
        Q(received_at__lt=F("recorded_at")) | Q(reference__in=matched.values("subject")),
        reference__in=lately.values("subject"),
    )
    return sum(len(look_for_incidents(ticket)) for ticket in late.order_by("pk"))
