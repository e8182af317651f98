"""The page of a ticket: everything that an officer needs to decide.

Auditors see the acts and their times, but no personal data.
"""

from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.http import HttpRequest
from django.urls import reverse

from common.staff.site import staff
from common.text import words
from consent import countries
from consent.choices import Purpose
from ledger.errors import LedgerError, Refusal
from objections import acts
from objections.acts import sent_back, steps
from objections.acts.act import IDENTITY, WORK
from objections.acts.outcomes import act_of, proposed_in_words
from objections.acts.previews import dossier_of
from objections.choices import OUTCOME_LETTERS, Delivery, Effect, LetterState, Outcome, TicketState
from objections.clock import deadlines
from objections.clock.days import day_of, today
from objections.letters import composing
from objections.models import Letter, Objection, Ticket
from objections.ticket import exposure, officers, retention
from objections.ticket.case import Case, case_of
from objections.ticket.clocks import pause_in_words
from objections.ticket.due import due
from objections.ticket.states import same_person
from objections.ticket.timeline import timeline_of

MAX_RUNS = 20
MAX_LINKED = 20

TONES = {
    TicketState.UPHELD: "good",
    TicketState.PARTLY_UPHELD: "good",
    LetterState.SENT: "good",
    LetterState.WAITING: "warning",
    LetterState.FAILED: "danger",
}


def url_of(ticket: Ticket) -> str:
    return reverse("admin:objections_ticket_change", args=[ticket.pk])


def tone_of(ticket: Ticket) -> str:
    return TONES.get(TicketState(ticket.state or ""), "")


def subject_of(ticket: Ticket) -> str:
    """The subject of a read's record: the member where one is known."""
    return f"member:{ticket.member_id}" if ticket.member_id else ticket.reference


@dataclass(frozen=True)
class ObjectionLine:
    """The ticket's effect on one purpose, in words."""

    purpose: str
    words: str
    tone: str


UNMATCHED = "no account matched: excludes no member"


def _effect_of(objection: Objection, ticket: Ticket) -> ObjectionLine:
    effect, outcome = Effect(objection.effect), objection.outcome
    words = Outcome(outcome).label if outcome else "being examined"
    if effect == Effect.RESTRICTION_LIFTED:
        found = f"{words}: no longer excluded by this ticket", ""
    elif ticket.member_id is None:
        found = f"{words}; {UNMATCHED}{' yet' if ticket.is_open else ''}", "warning"
    elif ticket.is_closed_as_abuse:
        found = "closed as abuse: stays out", "warning"
    elif outcome is None:
        found = effect.label, "warning"
    elif effect == Effect.UPHELD:
        found = "upheld: out for good", "good"
    elif ticket.delivers_at is not None:
        until = f"{ticket.delivers_at:%Y-%m-%d %H:%M} UTC"
        found = f"{words}: still out until {until}, when the letter counts as delivered", "warning"
    else:
        found = f"{words}: still out, until the letter is sent and counts as delivered", "warning"
    return ObjectionLine(Purpose(objection.purpose).label, *found)


@dataclass(frozen=True)
class LetterLine:
    """A letter, and what can be done about it."""

    letter: Letter
    tone: str
    error: str

    @property
    def is_failed(self) -> bool:
        return self.letter.state == LetterState.FAILED

    @property
    def can_be_repeated(self) -> bool:
        """Sent, and its words are still kept."""
        return self.letter.state == LetterState.SENT and hasattr(self.letter, "text")

    @property
    def waits_for_the_post(self) -> bool:
        return self.letter.state == LetterState.WAITING and self.letter.delivery == Delivery.POST


def _letter_lines(ticket: Ticket, *, with_words: bool) -> list[LetterLine]:
    rows = ticket.letters.select_related("text") if with_words else ticket.letters.all()
    return [
        LetterLine(
            row,
            TONES.get(LetterState(row.state), ""),
            getattr(getattr(row, "text", None), "last_error", "") if with_words else "",
        )
        for row in rows
    ]


def _owes_letter(ticket: Ticket) -> bool:
    """Whether the outcome letter came back or could not be sent, and no copy of it is out."""
    if ticket.is_open or ticket.answered_at is not None or ticket.erased_at is not None:
        return False
    failed = [one for one in ticket.letters.all() if one.state == LetterState.FAILED]
    return any(one.kind in OUTCOME_LETTERS for one in failed)


def _runs_of(case: Case) -> dict[str, Any]:
    """The runs that used the member's data for what the ticket names."""
    if case.ticket.member_id is None:
        return {}
    try:
        found = exposure.uses_of(case.ticket.member_id, case.purposes)
    except (LedgerError, Refusal, OSError):
        # To say nothing beats saying that there is none.
        return {"runs_unknown": True}
    return {
        "runs": [(use, Purpose(use.purpose).label) for use in found[:MAX_RUNS]],
        "runs_hidden": max(0, len(found) - MAX_RUNS),
    }


def statement_of(case: Case) -> str:
    """The person's statement; empty when there is none, or when it is erased."""
    return words.visible(case.requester.statement) if case.requester else ""


def assigned_in_words(ticket: Ticket, reader: User) -> str:
    """Which officer has the ticket, for a page that says it beside its state."""
    if ticket.assignee_id == reader.pk:
        return "assigned to you"
    in_words = officers.officer_in_words(ticket)
    return in_words if in_words.startswith("unassigned") else f"assigned to {in_words}"


def ticket_context(request: HttpRequest, ticket: Ticket) -> dict[str, Any]:
    """Builds the page of a ticket. Auditors see no personal data."""
    may_read = staff(request).has_perm(IDENTITY)
    may_work = staff(request).has_perms(WORK)
    case, reader = case_of(ticket), staff(request)
    forward = steps.steps_of(case, reader, acts.FORWARD) if may_work else []
    around = steps.steps_of(case, reader, acts.AROUND) if may_work else []
    linked = list(same_person(ticket)[: MAX_LINKED + 1])
    requester = case.requester if may_read else None
    came_back = sent_back.last_of(ticket)
    return {
        "may_read": may_read,
        "may_work": may_work,
        "due": due(ticket, today()),
        "tone": tone_of(ticket),
        "assigned": assigned_in_words(ticket, staff(request)),
        "country": countries.name(ticket.country) if ticket.country else "not known",
        "verified": _verified_in_words(ticket),
        "objections": [_effect_of(one, ticket) for one in case.objections],
        "requester": requester,
        "statement": statement_of(case) if may_read else "",
        **dossier_of(case),
        "files_refused": requester.files_refused if requester else 0,
        "unmatched": UNMATCHED + (" yet" if ticket.is_open else ""),
        "address_standing": _address_in_words(ticket),
        "candidates": case.candidates,
        "linked": linked[:MAX_LINKED],
        "linked_hidden": len(linked) > MAX_LINKED,
        "clock": case.clock,
        "explained": deadlines.explained(case.clock, is_extended=ticket.extended_on is not None),
        "pause": pause_in_words(ticket, case.clock),
        "letters": _letter_lines(ticket, with_words=may_read),
        "owes_letter": _owes_letter(ticket),
        "proposal": case.proposal,
        "proposed": proposed_in_words(case.proposal, with_words=may_read) if case.proposal else {},
        "erasure": case.erasure,
        "held_until": retention.held_until(ticket) if not ticket.erased_at else None,
        "came_back": came_back,
        "came_back_page": came_back and f"admin:objections_ticket_{act_of(came_back)}",
        "forward": forward,
        "around": around,
        "not_now": [step for step in [*forward, *around] if step.why_not],
        "timeline": timeline_of(ticket, with_words=may_read),
        **_runs_of(case),
    }


def _address_in_words(ticket: Ticket) -> str:
    if ticket.confirmed_at:
        return f"confirmed on {day_of(ticket.confirmed_at)}"
    if composing.is_address_proven(ticket):
        return "the person's"
    if ticket.is_authenticated:
        return "typed by the member, not confirmed: letters to it do not repeat the name"
    return "not confirmed: it may be a stranger's"


def _verified_in_words(ticket: Ticket) -> str:
    if ticket.is_authenticated:
        return "yes: logged in to the product"
    if ticket.identified_at:
        return f"yes: identity answered on {day_of(ticket.identified_at)}"
    return "no"
