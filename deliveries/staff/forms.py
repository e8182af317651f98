"""The forms of deliveries, waivers and recipients."""

from typing import Any

from django import forms

from consent.staff.forms import DateInput
from deliveries.choices import DeliveryForm, RecipientKind
from deliveries.models import Recipient
from deliveries.receipts.waivers import MIN_REASONS
from deliveries.trained_models import FACTS
from training_runs.models import Team


class RequestForm(forms.Form):
    form = forms.ChoiceField(
        choices=DeliveryForm.choices,
        label="Form",
        initial=DeliveryForm.LIST,
        help_text="A set serves a lake that has joined our member numbers once.",
    )
    recipient = forms.ModelChoiceField(
        Recipient.objects.filter(is_active=True),
        required=False,
        empty_label="the run's own team",
        help_text="To whom it is handed out.",
    )


class ReasonForm(forms.Form):
    reason = forms.CharField(
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="The ledger keeps this for good: no names, no addresses.",
    )


class WaiverForm(forms.Form):
    reasons = forms.CharField(
        min_length=MIN_REASONS,
        max_length=1000,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="Why there is no receipt. A privacy officer reads it: no names, no addresses.",
    )


class DecisionForm(forms.Form):
    verdict = forms.ChoiceField(
        choices=[
            ("approve", "Approve: the run may complete without a receipt"),
            ("refuse", "Refuse: a receipt is needed"),
        ],
        widget=forms.RadioSelect,
    )
    decision = forms.CharField(
        max_length=1000, widget=forms.Textarea(attrs={"rows": 3}), label="Your reasons"
    )


class TellForm(forms.Form):
    told_on = forms.DateField(
        widget=DateInput(), label="Told on", help_text="The day on which the recipient was told."
    )
    how = forms.CharField(
        max_length=300,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="How the recipient was told, and what about: no names, no addresses.",
    )


class ModelForm(forms.Form):
    name = forms.SlugField(
        max_length=60, help_text="Small letters, digits and dashes. It does not change."
    )
    title = forms.CharField(max_length=200)
    version = forms.CharField(max_length=60, required=False)
    released_on = forms.DateField(widget=DateInput(), required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, words in FACTS.items():
            self.fields[name] = forms.CharField(
                max_length=2000,
                required=False,
                widget=forms.Textarea(attrs={"rows": 2}),
                help_text=words,
            )

    def facts(self) -> dict[str, str]:
        """The facts that were given, by name."""
        return {name: self.cleaned_data[name] for name in FACTS if self.cleaned_data[name]}


class ModelRunForm(forms.Form):
    run = forms.CharField(max_length=20, help_text="A run of your team: TR-2026-000012.")


class RecipientForm(forms.Form):
    name = forms.SlugField(
        max_length=60, help_text="Small letters, digits and dashes. It does not change."
    )
    title = forms.CharField(max_length=200, help_text="As letters and documents name it.")
    kind = forms.ChoiceField(choices=RecipientKind.choices)
    team = forms.ModelChoiceField(
        Team.objects.filter(is_active=True),
        required=False,
        help_text="For a recipient that is a team of our own.",
    )
    country = forms.CharField(max_length=2, required=False, help_text="ISO 3166-1: IE.")
    mailbox = forms.EmailField(
        required=False, help_text="A mailbox of the organisation, not of a person."
    )
    is_active = forms.BooleanField(required=False, initial=True, label="Active")
