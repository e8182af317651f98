"""Proposing to erase what was written about a closed ticket; a second person approves it (`review_erasure`)."""

from typing import Any

from django import forms
from django.contrib.auth.models import User

from ledger.errors import InvalidInput
from ledger.registry import EntryKind
from objections.acts.act import Act, ActForm, Page, Said, acting
from objections.acts.fields import ReasonField
from objections.choices import ChangeKind
from objections.errors import AlreadyProposed, WhyNot
from objections.models import ProposedChange, Ticket
from objections.ticket import two_person
from objections.ticket.case import Case
from objections.ticket.retention import why_not_erased

WHAT_GOES = [
    "Name, addresses, statement, files, notes and the texts of letters are then gone for good.",
    "An entry of the redaction list stays as long as its objection holds: its own page has its erasure.",
    "Dates, codes, outcomes and the officers' acts stay: they contain no personal data of the requester.",
]


class EraseForm(ActForm):
    NOT_KEPT = ("typed",)
    """Leaves the confirmation out of the draft: the officer types it anew."""

    typed = forms.CharField(
        max_length=20,
        label="The ticket's reference",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    reason = ReasonField()

    def __init__(self, *args: Any, reference: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.reference = reference
        self.fields["typed"].help_text = f"Type {reference} to confirm: it cannot be undone."

    def clean_typed(self) -> str:
        if self.cleaned_data["typed"].strip() != self.reference:
            raise forms.ValidationError(f"Type {self.reference}. Nothing was erased.")
        return self.reference

    def said(self) -> Said:
        return {name: self.cleaned_data[name] for name in ("reason", "version")}


def why_not(case: Case, actor: User) -> str:
    if case.erasure:
        return WhyNot(
            "An erasure waits for a second person: it is approved or sent back first.",
            AlreadyProposed,
        )
    return why_not_erased(case.ticket)


def do(*, ticket: Ticket, reason: str, version: int, actor: User) -> ProposedChange:
    if not reason.strip():
        raise InvalidInput("Say why.", field="reason")
    with acting(
        "objection.erasure_proposed", ticket, actor, why_not, version=version, reason=reason
    ) as (case, _):
        # A new version: who approves must have seen this proposal.
        case.ticket.save()
        return two_person.propose(ChangeKind.ERASURE, case.ticket.reference, actor=actor)


def _page(case: Case, actor: User) -> Page:
    returned = two_person.last_returned(ChangeKind.ERASURE, case.ticket.reference)
    return Page(
        will=[
            "A colleague reviews it. Nothing is erased before they approve it.",
            *WHAT_GOES,
        ],
        initial={"reason": returned.entry.reason} if returned else {},
        form_takes={"reference": case.ticket.reference},
        dangerous=True,
        context={"change_came_back": returned},
    )


def _done(case: Case, said: Said, result: Any) -> str:
    return f"Proposed: a colleague reviews the erasure of {case.ticket}. Nothing is erased yet."


ACT = Act(
    name="erase",
    title="Erase personal data",
    button="Propose the erasure",
    kinds=[
        EntryKind(
            "objection.erasure_proposed",
            "Erasure of the personal data proposed",
            despite_clocks=True,
        )
    ],
    form=EraseForm,
    comes_up=lambda case, actor: not case.ticket.is_open and case.ticket.erased_at is None,
    why_not=why_not,
    do=do,
    page=_page,
    done=_done,
)
