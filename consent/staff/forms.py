"""The forms for staff. None of them can record an *allow*."""

import datetime as dt
import re
from typing import Any

from django import forms
from django.utils.text import capfirst

from consent import countries
from consent.choices import (
    PURPOSES,
    Control,
    DataCategory,
    NoticeChannel,
    PolicyKind,
    Purpose,
    ReviewVerdict,
    RuleKind,
)
from consent.models import MAJORITY, MAX_AGE, Notice
from ledger import clock


class DateInput(forms.DateInput):
    input_type = "date"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(format="%Y-%m-%d", **kwargs)


class CountriesField(forms.CharField):
    """ISO codes and group names in any order; the value is the sorted list of codes."""

    def __init__(self, **kwargs: Any) -> None:
        groups = ", ".join(countries.GROUPS)
        super().__init__(
            widget=forms.Textarea(attrs={"rows": 3}),
            help_text=f"ISO codes (DE, FR) and groups ({groups}, ALL), with spaces or commas between.",
            **kwargs,
        )

    def clean(self, value: str) -> list[str]:
        words = [word.upper() for word in re.split(r"[\s,;]+", super().clean(value)) if word]
        try:
            return countries.expand(words)
        except ValueError as error:
            raise forms.ValidationError(f"{capfirst(str(error))}.") from error


class TextsField(forms.CharField):
    """A notice's text in each language, below a line with the language's tag; the value is a dict."""

    LINE = re.compile(r"\[([A-Za-z0-9-]{2,20})\][ \t]*\Z")

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            widget=forms.Textarea(attrs={"rows": 14}),
            help_text="The text as it is published. Begin each language with its tag on a line of its own: [en].",
            strip=False,
            **kwargs,
        )

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, dict):
            return "\n\n".join(f"[{language}]\n{text}" for language, text in value.items())
        return value

    def clean(self, value: str) -> dict[str, str]:
        found: dict[str, list[str]] = {}
        lines: list[str] | None = None
        for line in super().clean(value).splitlines():
            tag = self.LINE.match(line)
            if tag and tag[1] in found:
                raise forms.ValidationError(f"[{tag[1]}] is there twice.")
            if tag:
                lines = found.setdefault(tag[1], [])
            elif lines is not None:
                lines.append(line)
            elif line.strip():
                raise forms.ValidationError("Begin with a line such as [en].")
        return {language: "\n".join(text).strip() for language, text in found.items()}


class LookUpForm(forms.Form):
    """Posted, never in a URL: a reference is personal data."""

    account_ref = forms.CharField(
        max_length=1_000,
        strip=False,
        label="Account reference",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text="The product's key of the account. It is not kept in the address or in any log.",
    )


class DenyForm(forms.Form):
    purpose = forms.ChoiceField(
        choices=[
            (purpose, Purpose(purpose).label)
            for purpose, facts in PURPOSES.items()
            if facts.control == Control.SETTING
        ],
        help_text="Only purposes that the member's setting rules; for the others the member objects.",
    )
    reason = forms.CharField(
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="How the member told us. The ledger keeps this for good: no names, no addresses.",
    )


class ReviewForm(forms.Form):
    verdict = forms.ChoiceField(
        choices=[(ReviewVerdict.APPROVED, "Approve it"), (ReviewVerdict.REJECTED, "Reject it")],
        widget=forms.RadioSelect,
        label="Your word",
    )
    reason = forms.CharField(
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="What you checked. The ledger keeps this permanently.",
    )

    def clean_verdict(self) -> ReviewVerdict:
        return ReviewVerdict(self.cleaned_data["verdict"])


def today() -> dt.date:
    return clock.today()


class RegionRuleForm(forms.Form):
    purpose = forms.ChoiceField(choices=Purpose.choices)
    countries = CountriesField()
    rule = forms.ChoiceField(
        choices=RuleKind.choices,
        help_text="A rule that admits members needs a second person's approval. A stricter rule applies at once.",
    )
    effective_from = forms.DateField(widget=DateInput(), initial=today)
    data_from = forms.DateField(
        widget=DateInput(),
        required=False,
        label="Content from",
        help_text="The oldest content that may be used; empty for any. An earlier day than before needs approval.",
    )
    source = forms.CharField(
        max_length=300,
        help_text="The law, statement or decision behind it, so that others can read it.",
    )
    reason = forms.CharField(
        max_length=500, required=False, widget=forms.Textarea(attrs={"rows": 2})
    )


class AgeRuleForm(forms.Form):
    countries = CountriesField()
    age = forms.IntegerField(
        min_value=MAJORITY,
        max_value=MAX_AGE,
        help_text=f"{MAJORITY} to {MAX_AGE}. A higher age than before applies at once, a lower one needs approval."
        f" Under {MAJORITY} is out everywhere.",
    )
    effective_from = forms.DateField(widget=DateInput(), initial=today)
    source = forms.CharField(
        max_length=300,
        help_text="The law, statement or decision behind it, so that others can read it.",
    )
    reason = forms.CharField(
        max_length=500, required=False, widget=forms.Textarea(attrs={"rows": 2})
    )


class PolicyForm(forms.Form):
    kind = forms.ChoiceField(choices=PolicyKind.choices)
    purpose = forms.ChoiceField(choices=[("", "every purpose"), *Purpose.choices], required=False)
    country = forms.ChoiceField(
        choices=[("", "every country not named"), *countries.NAMES.items()],
        required=False,
        help_text="Only for the days until a letter counts as delivered, and for days of notice.",
    )
    value = forms.IntegerField(
        min_value=0, max_value=366, help_text="Days; or 1 for on, 0 for off."
    )
    effective_from = forms.DateField(widget=DateInput(), initial=today)
    source = forms.CharField(max_length=300, help_text="The decision behind it.")
    reason = forms.CharField(
        max_length=500, required=False, widget=forms.Textarea(attrs={"rows": 2})
    )


class NoticeForm(forms.Form):
    version = forms.CharField(
        max_length=40,
        validators=Notice._meta.get_field("version").validators,
        help_text="Letters, digits, dots, dashes: 2025-11-03.",
    )
    purposes = forms.MultipleChoiceField(
        choices=Purpose.choices, widget=forms.CheckboxSelectMultiple
    )
    data_categories = forms.MultipleChoiceField(
        choices=DataCategory.choices, widget=forms.CheckboxSelectMultiple
    )
    countries = CountriesField()
    published_on = forms.DateField(widget=DateInput())
    in_force_from = forms.DateField(
        widget=DateInput(),
        help_text="The end of its notice period; not before the date of publication.",
    )
    texts = TextsField()
    address = forms.URLField(
        max_length=300,
        required=False,
        assume_scheme="https",
        help_text="Where the product publishes it.",
    )
    supersedes = forms.ModelChoiceField(
        Notice.objects.all(), required=False, empty_label="no other notice"
    )
    source = forms.CharField(max_length=300, help_text="Where the text was taken from.")
    reason = forms.CharField(
        max_length=500, required=False, widget=forms.Textarea(attrs={"rows": 2})
    )


class NoticeDeliveryForm(forms.Form):
    channel = forms.ChoiceField(choices=NoticeChannel.choices)
    countries = CountriesField(required=False)
    cohort = forms.CharField(
        max_length=100,
        required=False,
        help_text="The sender's name of the cohort, if countries do not say it. No names of people.",
    )
    delivered_from = forms.DateField(widget=DateInput())
    delivered_until = forms.DateField(
        widget=DateInput(), help_text="The last day, not in the future."
    )
    recipients = forms.IntegerField(min_value=0, label="Number of recipients")
    source = forms.CharField(max_length=300, help_text="The evidence: a send log, a report.")
    reason = forms.CharField(
        max_length=500, required=False, widget=forms.Textarea(attrs={"rows": 2})
    )


class NoticeWithdrawalForm(forms.Form):
    withdrawn_from = forms.DateField(
        widget=DateInput(),
        initial=today,
        help_text="The first day on which the notice covers nothing. It may have passed.",
    )
    source = forms.CharField(max_length=300, help_text="The decision or finding behind it.")
    reason = forms.CharField(
        max_length=500, required=False, widget=forms.Textarea(attrs={"rows": 2})
    )
