"""Confirming that the address is the person's although they did not follow the link: they wrote from it, say."""

from typing import Any

from django.contrib.auth.models import User

from ledger.registry import EntryKind
from objections.acts.act import Act, Page, Said, acting
from objections.acts.fields import ReasonForm
from objections.choices import LetterKind
from objections.letters import composing
from objections.models import Ticket
from objections.ticket import quarantine
from objections.ticket.case import Case
from objections.ticket.notes import must_say


class ConfirmAddressForm(ReasonForm):
    LABEL = "How you know that the address is theirs"
    HELP = "They wrote to us from it, say."


def why_not(case: Case, actor: User) -> str:
    if sentence := case.why_nothing_is_added:
        return sentence
    if not case.ticket.is_open:
        return (
            f"{case.ticket} is closed: there is nothing to confirm; what is left to be told is in the outcome"
            " letter."
        )
    if composing.is_proven(case.ticket):
        return "There is nothing to confirm: the address is known to be theirs."
    return case.why_not_written


def do(*, ticket: Ticket, reason: str, version: int, actor: User) -> Ticket:
    must_say("reason", reason, "Say how you know: the ledger keeps it, so no names or addresses.")
    with acting(
        "objection.address_confirmed", ticket, actor, why_not, version=version, reason=reason
    ) as (case, opened):
        row = case.ticket
        row.confirmed_at = opened.recorded_at
        row.save()
        quarantine.keep(case.attachments)
        composing.cancel(row, LetterKind.CONFIRMATION)
        composing.queue(case, LetterKind.ACKNOWLEDGEMENT)
    return row


def _comes_up(case: Case, actor: User) -> bool:
    ticket = case.ticket
    return ticket.is_open and ticket.erased_at is None and not composing.is_proven(ticket)


def _page(case: Case, actor: User) -> Page:
    return Page(
        will=[
            "The address counts as the person's, as if they had followed the link in our mail.",
            "The person gets the acknowledgement. Who they are stays as unknown as it was.",
        ]
    )


def _done(case: Case, said: Said, result: Any) -> str:
    return f"The address of {case.ticket} is confirmed; the acknowledgement is on its way."


ACT = Act(
    name="confirm_address",
    title="Confirm the address",
    kinds=[EntryKind("objection.address_confirmed", "Address confirmed by an officer")],
    form=ConfirmAddressForm,
    comes_up=_comes_up,
    why_not=why_not,
    do=do,
    letters=[LetterKind.ACKNOWLEDGEMENT],
    page=_page,
    done=_done,
)
