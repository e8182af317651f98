"""Incidents of which a ticket is the cause: runs frozen with the member in them after the objection had reached us.

The runs find them (`training_runs.incidents`) and declare both answers (`common.registry.Brings.hooks`); the desk asks
without knowing them.
"""

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass

import structlog

from common import registry
from ledger.errors import LedgerError, Refusal
from objections.models import Ticket

logger = structlog.get_logger(__name__)


@dataclass(frozen=True)
class FoundIncident:
    """A run that used the data of a ticket's member although the objection had reached us."""

    reference: str
    run: str
    purpose: str
    frozen_at: dt.datetime
    found_at: dt.datetime


def incidents_of(references: Collection[str]) -> dict[str, list[FoundIncident]]:
    """The incidents that entries about these tickets are the cause of, by the ticket's reference."""
    sources = registry.hooks("objections.incidents_of_tickets")
    if not sources:
        raise LedgerError("No source of incidents is registered: one could be missed.")
    found: dict[str, list[FoundIncident]] = {}
    for source in sources:
        for reference, incidents in source(references).items():
            found.setdefault(reference, []).extend(incidents)
    return found


def look_for_incidents(ticket: Ticket) -> list[FoundIncident]:
    """Look now for runs frozen with the member in them since the objection reached us; those that were found.

    Called wherever a restriction turns out to be older than its entry, after that entry: reading old archives takes
    time and can fail, and no restriction may depend on it. What fails is logged, and a worker looks again within the minute.
    """
    if ticket.member_id is None or ticket.state is None:
        return []
    known = {one.reference for one in incidents_of([ticket.reference]).get(ticket.reference, [])}
    try:
        for look in registry.hooks("objections.look_for_incidents"):
            look()
    except (Refusal, OSError) as error:
        logger.error(
            "incidents not looked for", ticket=ticket.reference, error=type(error).__name__
        )
        return []
    found = incidents_of([ticket.reference]).get(ticket.reference, [])
    return [one for one in found if one.reference not in known]


def incidents_in_words(count: int) -> str:
    if not count:
        return "No run used the data since it was received."
    return f"{count} run{'' if count == 1 else 's'} used the data since it was received: see Incidents."
