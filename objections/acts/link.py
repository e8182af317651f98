"""Linking two tickets of one person, which are then handled together; the later one is linked to the first."""

from typing import Any

from django import forms
from django.contrib.auth.models import User

from ledger.errors import InvalidInput
from ledger.registry import EntryKind
from objections.acts.act import Act, ActForm, Page, Said, acting
from objections.acts.fields import ReasonField
from objections.models import Ticket
from objections.ticket.case import Case
from objections.ticket.notes import must_say
from objections.ticket.states import join_groups, locked


class LinkForm(ActForm):
    other = forms.CharField(
        max_length=20,
        label="The other ticket",
        widget=forms.TextInput(attrs={"placeholder": "OBJ-2026-000431"}),
        help_text="Its reference. The later ticket is linked to the first.",
    )
    reason = ReasonField(label="How you know it is one person")

    def clean_other(self) -> Ticket:
        reference = self.cleaned_data["other"].strip().upper()
        found: Ticket | None = Ticket.objects.worked().filter(reference=reference).first()
        if found is None:
            raise forms.ValidationError("There is no such ticket.")
        return found


def why_not(case: Case, actor: User) -> str:
    """Any ticket can be linked, open or closed."""
    return ""


def do(*, ticket: Ticket, other: Ticket, reason: str, version: int, actor: User) -> Ticket:
    must_say(
        "reason", reason, "Say how you know it is one person: the ledger keeps it, so no names."
    )
    with acting("objection.linked", ticket, actor, why_not, version=version) as (case, opened):
        row = case.ticket
        other = locked(other)
        if other == row:
            raise InvalidInput("That is the same ticket.", field="other")
        if not join_groups(row, other):
            opened.abandon()
            return row
        opened.reason = f"{other} and {row} are one person's: {reason}"
    row.refresh_from_db()
    return row


def _page(case: Case, actor: User) -> Page:
    return Page(
        will=[
            "Both tickets count as one person's and can be decided together.",
            "Each keeps its own clock and restriction.",
        ]
    )


def _done(case: Case, said: Said, result: Any) -> str:
    return f"{case.ticket} and {said['other']} are linked."


ACT = Act(
    name="link",
    title="Link another ticket",
    kinds=[EntryKind("objection.linked", "Linked", despite_clocks=True)],
    form=LinkForm,
    why_not=why_not,
    do=do,
    page=_page,
    done=_done,
)
