"""The forms for auditors."""

from typing import Any

from django import forms
from django.contrib.auth.models import User

from common.staff import subjects
from consent.choices import Purpose
from consent.staff.forms import DateInput


class FindForm(forms.Form):
    """Sent by GET: our own numbers and references identify no person."""

    of = forms.CharField(
        max_length=40,
        label="Member, run or ticket",
        help_text="A member's number (12), TR-2026-000012, OBJ-2026-000431. Not the product's key of an account:"
        " what is typed here ends up in the address of the page.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )

    def __init__(self, data: Any, *, reader: User) -> None:
        super().__init__(data)
        self.reader = reader

    def clean_of(self) -> str:
        """The address of the page about it."""
        typed = str(self.cleaned_data["of"])
        reference = f"member:{typed}" if typed.isascii() and typed.isdecimal() else typed.upper()
        if reference.startswith("MEMBER:"):
            reference = reference.lower()
        address = subjects.page_of(reference, self.reader.has_perm)
        if not address:
            raise forms.ValidationError(f"There is no member, run or ticket {typed}.")
        return address


MEMBER, RULES, NOTICES, TICKET, RUN = "member", "rules", "notices", "ticket", "run"


class StateForm(forms.Form):
    """The subject and the time of a question. Sent by GET, so that a link shows the same again."""

    what = forms.ChoiceField(
        label="What",
        choices=[
            (MEMBER, "a member"),
            (RULES, "the region rules of a purpose"),
            (NOTICES, "the notices"),
            (TICKET, "an objection ticket"),
            (RUN, "a run"),
        ],
    )
    which = forms.CharField(
        max_length=40,
        required=False,
        label="Which",
        help_text="The member's number, the ticket's or the run's reference.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    purpose = forms.ChoiceField(
        required=False, choices=Purpose.choices, help_text="For region rules only."
    )
    entry = forms.IntegerField(
        required=False,
        label="At entry",
        min_value=1,
        help_text="Count the ledger up to this entry.",
    )
    day = forms.DateField(
        required=False,
        label="Or at the end of the day",
        widget=DateInput(),
        help_text="UTC. Everything recorded by the end of that day counts.",
    )

    def clean(self) -> dict[str, Any]:
        typed = super().clean() or {}
        if typed.get("what") in (MEMBER, TICKET, RUN) and not typed.get("which"):
            self.add_error("which", "Choose one.")
        if typed.get("what") == RULES and not typed.get("purpose") and "purpose" not in self.errors:
            typed["purpose"] = Purpose.values[0]
        if not {"entry", "day"} & self.errors.keys():
            given = [name for name in ("entry", "day") if typed.get(name)]
            if not given:
                self.add_error("entry", "Give the number of an entry, or a day.")
            if len(given) > 1:
                self.add_error("day", "Give an entry or a day, not both.")
        return typed
