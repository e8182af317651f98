"""Correcting the receipt: it reached us earlier than recorded. The clock starts then, and runs frozen in between are
incidents.

Backwards only. Manifests stay as they are, and so does the clock of a closed ticket: it has run. The person is told a
day that moved, and an extension notice that is not out is called off.
"""

import datetime as dt
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User

from consent.choices import Purpose
from ledger.registry import EntryKind
from objections.acts import clock_changes
from objections.acts.act import Act, ActForm, Page, Said, acting
from objections.acts.fields import ControllerTimeField, ReasonField
from objections.choices import LetterKind
from objections.clock.days import moment_in_words
from objections.errors import NotAllowedHere
from objections.intake import receiving
from objections.models import Objection, Ticket
from objections.ticket import exposure
from objections.ticket.case import Case
from objections.ticket.clocks import clock_from, keep_clock
from objections.ticket.incidents import FoundIncident, incidents_in_words, look_for_incidents
from objections.ticket.notes import must_say


class ReceiptForm(ActForm):
    received_at = ControllerTimeField(label="It reached us at")
    reason = ReasonField(label="Where the earlier receipt is documented")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["received_at"].help_text = f"In {settings.CONTROLLER_TIME_ZONE}."


def why_not(case: Case, actor: User) -> str:
    """The receipt of any ticket can be corrected; by how much depends on the time that is given."""
    return ""


def do(
    *, ticket: Ticket, received_at: dt.datetime, reason: str, version: int, actor: User
) -> tuple[Ticket, list[FoundIncident]]:
    must_say("reason", reason, "Say where the earlier receipt is documented.")
    receiving.check_received_at(received_at)
    with acting(
        "objection.receipt_date_corrected", ticket, actor, why_not, version=version, reason=reason
    ) as (case, _):
        row = case.ticket
        # A form shows minutes: the same minute is no correction.
        if received_at >= row.received_at.replace(second=0, microsecond=0):
            raise NotAllowedHere(
                "Receipt is corrected backwards only: a later one would take time and protection away."
            )
        told = clock_changes.dates(row)
        if row.is_open:
            keep_clock(row, clock_from(row, received_at))
            clock_changes.call_off_extension(row)
        # Where a letter came back, the restriction holds anew from a later moment, which stays.
        earlier = [one for one in case.objections if one.restricts_since == row.received_at]
        row.received_at = received_at
        row.save()
        for objection in earlier:
            objection.restricts_since = received_at
        Objection.objects.save_all(earlier)
        clock_changes.tell_anew(case, told)
    return row, look_for_incidents(row)


def _page(case: Case, actor: User) -> Page:
    ticket = case.ticket
    starts = (
        "The clock starts then, and so does the restriction"
        if ticket.is_open
        else "The clock has run and stays as it was"
    )
    return Page(
        will=[
            f"Received so far: {moment_in_words(ticket.received_at)}. Only an earlier time can be given.",
            f"{starts}: runs frozen with the member in between are recorded as incidents. Manifests stay as they are.",
            clock_changes.TOLD_ANEW if ticket.is_open else "",
        ],
        initial={"received_at": ticket.received_at},
        shows=lambda known: {"change": _change(case, known.get("received_at"))},
    )


def _change(case: Case, received_at: Any) -> dict[str, Any] | None:
    """The clock and the incidents that an earlier receipt would bring; None for one that is none."""
    if received_at is None:
        return None
    receiving.check_received_at(received_at)
    ticket = case.ticket
    if received_at >= ticket.received_at:
        return None
    known = {incident.run for incident in case.incidents}
    uses = (
        exposure.uses_of(ticket.member_id, case.purposes, since=received_at)
        if ticket.member_id
        else []
    )
    return {
        "lead": f"Received at {moment_in_words(received_at)}.",
        "explained": clock_changes.explained(ticket, clock_from(ticket, received_at))
        if ticket.is_open
        else [],
        "incidents": [(use, Purpose(use.purpose).label) for use in uses if use.run not in known],
    }


def _done(case: Case, said: Said, result: Any) -> str:
    row, incidents = result
    clock = f"{row} is due on {row.due_on}." if row.is_open else "Its clock stays as it was."
    if case.ticket.member_id is None:
        return f"{clock} No account is matched, so no run was looked through."
    return f"{clock} {incidents_in_words(len(incidents))}"


ACT = Act(
    name="correct_receipt",
    title="Correct the receipt",
    kinds=[EntryKind("objection.receipt_date_corrected", "Receipt corrected", despite_clocks=True)],
    form=ReceiptForm,
    why_not=why_not,
    do=do,
    letters=[LetterKind.ACKNOWLEDGEMENT],
    page=_page,
    done=_done,
)
