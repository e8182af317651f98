"""Writing to another address from now on. The ledger keeps that it was changed and why, not what it is."""

from typing import Any

from django import forms
from django.contrib.auth.models import User

from consent.choices import Purpose
from ledger.registry import EntryKind
from objections.acts.act import Act, ActForm, Page, Said, acting
from objections.acts.fields import ReasonField, WordsField
from objections.choices import UNPROVEN, LetterKind
from objections.errors import PersonalDataErased, WhyNot
from objections.intake import receiving
from objections.letters import composing
from objections.models import Ticket
from objections.redaction import keeping as redaction
from objections.ticket.case import Case
from objections.ticket.notes import must_say


class AddressForm(ActForm):
    email = forms.CharField(
        max_length=254,
        required=False,
        label="E-mail",
        widget=forms.TextInput(attrs={"autocomplete": "off", "inputmode": "email"}),
    )
    postal_address = WordsField(
        max_characters=500,
        rows=3,
        required=False,
        help_text="Letters go by post where there is no e-mail address.",
    )
    reason = ReasonField(label="How you know it", help_text="The person wrote from it, say.")


def why_not(case: Case, actor: User) -> str:
    if case.requester is None:
        return WhyNot(
            f"The personal data of {case.ticket} is erased: no letter can be sent.",
            PersonalDataErased,
        )
    return composing.why_not_readdressed(case, actor.pk)


def do(
    *, ticket: Ticket, email: str, postal_address: str, reason: str, version: int, actor: User
) -> Ticket:
    must_say(
        "reason",
        reason,
        "Say how you know the new address: the ledger keeps it, so no names or addresses.",
    )
    asked = receiving.Filing(
        purposes=[Purpose.SAFETY], channel="email", email=email, postal_address=postal_address
    )
    with acting(
        "objection.address_corrected", ticket, actor, why_not, version=version, reason=reason
    ) as (case, _):
        row, requester = case.ticket, case.requester
        assert requester is not None
        before = requester.email
        is_other = before != asked.email
        requester.email, requester.postal_address = asked.email, asked.postal_address
        requester.save()
        redaction.follow_address(row, before, asked.email)
        if is_other and row.is_open and row.channel in UNPROVEN and not row.is_verified:
            # What the old address confirmed says nothing of the new one.
            row.confirmed_at = None
        row.save()
        # Its link is for the old address.
        composing.cancel(row, LetterKind.CONFIRMATION)
        composing.readdress(row)
        if (
            row.is_open
            and not composing.is_proven(row)
            and requester.email
            and not row.is_set_aside
        ):
            composing.queue(case, LetterKind.CONFIRMATION, **composing.confirmation_link(row))
    return row


def _page(case: Case, actor: User) -> Page:
    ticket, known = case.ticket, case.requester
    return Page(
        will=[
            "Letters go to this address from now on: those that wait, and failed ones when they are tried again.",
            ""
            if ticket.is_verified or ticket.channel not in UNPROVEN
            else "The address is unconfirmed: it gets its own confirmation link.",
            "The ledger keeps that it was changed and why, not what it is.",
        ],
        initial={"email": known.email, "postal_address": known.postal_address} if known else {},
    )


def _done(case: Case, said: Said, result: Any) -> str:
    return "The address is corrected. A letter that failed can be tried again."


ACT = Act(
    name="correct_address",
    title="Correct the address",
    kinds=[EntryKind("objection.address_corrected", "Address corrected")],
    form=AddressForm,
    comes_up=lambda case, actor: case.ticket.erased_at is None,
    why_not=why_not,
    do=do,
    letters=[LetterKind.CONFIRMATION],
    page=_page,
    done=_done,
)
