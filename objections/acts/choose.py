"""Choosing the account among those that a ticket may be about: it stays out, the others are let in again."""

from typing import Any

from django import forms
from django.contrib.auth.models import User

from consent.choices import Status
from consent.models import Member
from ledger.errors import InvalidInput, NotFound
from ledger.models import Entry
from ledger.registry import EntryKind
from objections.acts.act import Act, ActForm, Page, Said, acting
from objections.acts.correct_match import CORRECTED
from objections.acts.fields import ReasonField
from objections.intake import candidates, receiving
from objections.models import Ticket
from objections.ticket.case import Case
from objections.ticket.incidents import FoundIncident, incidents_in_words, look_for_incidents
from objections.ticket.notes import must_say

NONE = 0


class ChooseForm(ActForm):
    member = forms.TypedChoiceField(
        label="The account", widget=forms.RadioSelect, coerce=int, choices=()
    )
    reason = ReasonField(label="How you know it is theirs")

    def __init__(self, *args: Any, options: Any = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["member"]
        assert isinstance(field, forms.TypedChoiceField)
        field.choices = options


def _options(case: Case) -> list[tuple[int, str]]:
    numbers = [one.member_id for one in case.candidates if one.member_id]
    if case.ticket.member_id:
        return [(number, f"member {number}") for number in [case.ticket.member_id, *numbers]]
    return [*((number, f"member {number}") for number in numbers), (NONE, "none of them")]


def why_not(case: Case, actor: User) -> str:
    if not case.candidates:
        return f"{case.ticket} is not about several accounts."
    corrected = (
        Entry.objects.filter(kind=CORRECTED, subject=case.ticket.reference)
        .order_by("-sequence")
        .first()
    )
    if corrected is not None and corrected.actor_id == actor.pk:
        return "You corrected the match: a colleague lets the other account in again."
    return ""


def do(
    *, ticket: Ticket, member: int, reason: str, version: int, actor: User
) -> tuple[Ticket, list[FoundIncident]]:
    """Choose an account by its number, or none of them."""
    must_say("reason", reason, "Say how you know it: the ledger keeps it, so no names.")
    with acting(
        "objection.candidate_chosen", ticket, actor, why_not, version=version, reason=reason
    ) as (case, _):
        row = case.ticket
        if member not in dict(_options(case)):
            raise InvalidInput("The ticket is not about this account.", field="member")
        if member not in (NONE, row.member_id):
            chosen = Member.objects.exclude(status=Status.ERASED).filter(pk=member).first()
            if chosen is None:
                raise NotFound("The account was erased meanwhile.")
            receiving.give_member(row, chosen)
        else:
            row.save()
        candidates.lift(row)
    row.refresh_from_db()
    return row, look_for_incidents(row)


def _page(case: Case, actor: User) -> Page:
    return Page(
        will=[
            "The account that you choose stays out of the purposes named; the others are no longer out because of this ticket.",
            "If the account is not among them, choose none, and match the ticket to the right one.",
        ],
        form_takes={"options": _options(case)},
    )


def _done(case: Case, said: Said, result: Any) -> str:
    row, incidents = result
    if row.member_id is None:
        return f"{row} is about none of them: it reaches no account yet."
    return f"{row} is about member {row.member_id}. {incidents_in_words(len(incidents))}"


ACT = Act(
    name="choose",
    title="Choose the account",
    kinds=[EntryKind("objection.candidate_chosen", "Account chosen among several")],
    form=ChooseForm,
    comes_up=lambda case, actor: bool(case.candidates),
    why_not=why_not,
    do=do,
    page=_page,
    done=_done,
)
