"""Reviewing a ticket although identity was not answered: it was asked by mistake, or the letter did not reach the person.

The requester remains unidentified, and the clock has not stopped.
"""

from typing import Any

from django.contrib.auth.models import User

from ledger.registry import EntryKind
from objections.acts import record_identity
from objections.acts.act import Act, Page, Said, acting
from objections.acts.fields import ReasonForm
from objections.choices import TicketState
from objections.models import Ticket
from objections.ticket.case import Case
from objections.ticket.notes import must_say
from objections.ticket.states import move


class WithoutIdentityForm(ReasonForm):
    LABEL = "Why it goes on without an answer"
    HELP = "Asked by mistake, say, or the letter cannot be delivered."


why_not = record_identity.why_not


def do(*, ticket: Ticket, reason: str, version: int, actor: User) -> Ticket:
    must_say("reason", reason, "Say why it goes on without: the ledger keeps it, so no names.")
    with acting(
        "objection.identity_waived", ticket, actor, why_not, version=version, reason=reason
    ) as (case, _):
        row = case.ticket
        move(row, TicketState.IN_REVIEW)
        row.save()
    return row


def _page(case: Case, actor: User) -> Page:
    return Page(
        will=[
            "The review begins. The requester remains unidentified, and you can no longer request identification.",
            "The clock did not stop for the question: the first day of the answer holds.",
        ]
    )


def _done(case: Case, said: Said, result: Any) -> str:
    return f"{case.ticket} is in review, due on {result.due_on}."


ACT = Act(
    name="go_on_without_identity",
    title="Go on without identity",
    kinds=[EntryKind("objection.identity_waived", "Review goes on without identity")],
    form=WithoutIdentityForm,
    comes_up=lambda case, actor: case.ticket.state == TicketState.IDENTITY_CHECK,
    why_not=why_not,
    do=do,
    page=_page,
    done=_done,
)
