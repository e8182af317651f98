"""Staff forms: keying in an objection."""

import secrets
from typing import Any

from django import forms
from django.conf import settings

from consent.choices import Purpose
from objections.acts.fields import (
    ControllerTimeField,
    CountryForm,
    FilesField,
    WordsField,
    place,
)
from objections.choices import Channel, Kind
from objections.clock import days, deadlines
from objections.intake import receiving


def _fresh_id() -> str:
    return secrets.token_hex(12)


OLD_DAYS = 31
"""A receipt so long ago is more often a typing mistake than a letter that lay around; the clock has run by then."""


class KeyInForm(CountryForm):
    """An objection from an e-mail or a paper, as it stands there."""

    field_order = (
        "source_id", "channel", "received_at", "is_that_old", "kind", "purposes", "name", "email",
        "postal_address", "account_ref", "country", "is_californian", "statement", "attachments",
    )  # fmt: skip

    # A form sent twice, by a double click or a reload, is one ticket.
    source_id = forms.CharField(widget=forms.HiddenInput, max_length=64, initial=_fresh_id)
    channel = forms.ChoiceField(
        choices=[(Channel.EMAIL, "e-mail"), (Channel.PAPER, "paper")],
        widget=forms.RadioSelect,
        label="It came by",
    )
    received_at = ControllerTimeField(
        label="It reached us at",
        required=False,
        help_text="Empty: now.",
    )
    is_that_old = forms.BooleanField(
        required=False,
        label="It is that old",
        help_text=f"Needed where it reached us more than {OLD_DAYS} days ago.",
    )
    kind = forms.ChoiceField(choices=Kind.choices, widget=forms.RadioSelect, initial=Kind.OBJECTION)
    purposes = forms.MultipleChoiceField(
        choices=Purpose.choices,
        widget=forms.CheckboxSelectMultiple,
        help_text="In doubt all of them: the restriction starts with what is ticked here.",
    )
    name = forms.CharField(max_length=200, required=False, strip=True)
    email = forms.CharField(
        max_length=254,
        required=False,
        label="E-mail",
        widget=forms.TextInput(attrs={"autocomplete": "off", "inputmode": "email"}),
        help_text="Where the answer goes; without it, by post.",
    )
    postal_address = WordsField(max_characters=500, rows=3, required=False)
    account_ref = forms.CharField(
        max_length=100,
        required=False,
        label="Account reference",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text="If the person names an account: it is out from now on, whether it is theirs or not.",
    )
    statement = WordsField(
        max_characters=20_000, rows=8, required=False, help_text="The person's own words."
    )
    attachments = FilesField(required=False, label="Files")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["received_at"].help_text = (
            f"In {settings.CONTROLLER_TIME_ZONE}; empty: now. Runs frozen since then with the person's data "
            "are recorded as incidents."
        )

    def clean(self) -> None:
        received_at = self.cleaned_data.get("received_at")
        if not received_at or self.cleaned_data["is_that_old"]:
            return
        day = days.day_of(received_at)
        if (days.today() - day).days > OLD_DAYS:
            self.add_error(
                "received_at",
                f"{deadlines.in_words(day)} is more than {OLD_DAYS} days ago: look at the date again, and if"
                " it is right, tick “It is that old”.",
            )

    def filing(self) -> receiving.Filing:
        """Raises InvalidInput."""
        said = dict(self.cleaned_data)
        rest = {name: v for name, v in said.items() if name not in _NOT_OF_A_FILING}
        return receiving.Filing(**{**rest, **place(said), "files": said["attachments"]})


_NOT_OF_A_FILING = frozenset({"attachments", "is_californian", "is_that_old"})
