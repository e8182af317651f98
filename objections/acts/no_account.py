"""Confirming that a person has no account: the redaction list serves them, and no start of a run waits for a match."""

from typing import Any

from django.contrib.auth.models import User

from ledger.registry import EntryKind
from objections.acts.act import Act, Page, Said, acting
from objections.acts.fields import ReasonForm
from objections.clock.days import day_of
from objections.models import Ticket
from objections.ticket.case import Case
from objections.ticket.notes import must_say


class NoAccountForm(ReasonForm):
    LABEL = "How you know that the person has no account"
    HELP = "They say so, say, and an account by their name or address was looked for."


def why_not(case: Case, actor: User) -> str:
    ticket = case.ticket
    if ticket.member_id is not None:
        return f"{ticket} is matched to a member."
    if ticket.without_account_at is not None:
        return f"It was confirmed on {day_of(ticket.without_account_at)}."
    return case.why_nothing_is_added


def do(*, ticket: Ticket, reason: str, version: int, actor: User) -> Ticket:
    must_say("reason", reason, "Say how you know: the ledger keeps it, so no names.")
    with acting(
        "objection.no_account_confirmed", ticket, actor, why_not, version=version, reason=reason
    ) as (case, opened):
        row = case.ticket
        row.without_account_at = opened.recorded_at
        row.save()
    return row


def _page(case: Case, actor: User) -> Page:
    return Page(
        will=[
            "Starting a run no longer counts the ticket among the objections that reach no account.",
            "The redaction list keeps what the person told us out of training data, as before.",
            "The ticket can still be matched to a member.",
        ]
    )


def _done(case: Case, said: Said, result: Any) -> str:
    return f"{case.ticket} is of a person without an account."


ACT = Act(
    name="no_account",
    title="Confirm that there is no account",
    kinds=[EntryKind("objection.no_account_confirmed", "Confirmed: the person has no account")],
    form=NoAccountForm,
    comes_up=lambda case, actor: case.ticket.member_id is None and case.ticket.is_open,
    why_not=why_not,
    do=do,
    page=_page,
    done=_done,
)
