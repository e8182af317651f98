"""Beginning the review of what the person asks. Who begins has the ticket, unless an officer has it."""

from collections.abc import Sequence
from typing import Any

from django.contrib.auth.models import User

from ledger.registry import EntryKind
from objections.acts.act import Act, Many, Page, Said, acting
from objections.choices import TicketState
from objections.clock import deadlines
from objections.models import Ticket
from objections.ticket.case import Case
from objections.ticket.officers import officer_of
from objections.ticket.states import effect_in_words, move, why_no_move


def why_not(case: Case, actor: User) -> str:
    if case.ticket.state == TicketState.IDENTITY_CHECK:
        return "Identity was asked for: record the answer, or close the ticket."
    return why_no_move(case.ticket, TicketState.IN_REVIEW)


def do(*, ticket: Ticket, version: int, actor: User) -> Ticket:
    with acting("objection.review_begun", ticket, actor, why_not, version=version) as (case, _):
        row = case.ticket
        move(row, TicketState.IN_REVIEW)
        row.assignee = officer_of(row) or actor
        row.save()
    return row


def _page(case: Case, actor: User) -> Page:
    has_officer = officer_of(case.ticket) is not None
    return Page(
        will=[
            "The ticket is in review; you can no longer request identification.",
            f"{'It stays with its officer' if has_officer else 'It is assigned to you'}.",
            f"{effect_in_words(case.ticket)} Nothing is sent.",
        ]
    )


def _done(case: Case, said: Said, result: Any) -> str:
    return f"{case.ticket} is in review."


def _without_identity(case: Case) -> Sequence[str]:
    if case.ticket.is_verified or deadlines.why_no_identity(case.ticket.regime):
        return []
    return [
        "The requester is unidentified, and you can no longer request identification after this."
    ]


ACT = Act(
    name="begin_review",
    title="Begin the review",
    kinds=[EntryKind("objection.review_begun", "Review begun")],
    comes_up=lambda case, actor: case.ticket.state == TicketState.RECEIVED,
    why_not=why_not,
    do=do,
    page=_page,
    done=_done,
    many=Many(
        action="Begin the review",
        title="Begin the review of tickets",
        lead="Unassigned tickets are assigned to you.",
        button="Begin the review",
        done="Review begun",
        will=lambda case: "In review" + ("." if officer_of(case.ticket) else " by you."),
        warns=_without_identity,
    ),
)
