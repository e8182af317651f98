"""Staff forms about letters and figures."""

import datetime as dt
from typing import Any

from django import forms

from common.staff.site import VersionedForm
from consent.choices import Purpose
from consent.staff.forms import DateInput
from objections.choices import Regime
from objections.intake.receiving import EARLIEST
from objections.letters import texts
from objections.letters.texts import Text
from objections.reports.figures import MAX_WEEKS, Period


class LetterTemplateForm(VersionedForm):
    """A letter's text. What it must say, and what it cannot, `letter_texts.check` decides."""

    subject = forms.CharField(strip=False)
    body = forms.CharField(
        strip=False,
        widget=forms.Textarea(attrs={"rows": 26, "cols": texts.WIDTH, "class": "letter"}),
        help_text=(
            f"Plain text, about {texts.WIDTH} characters a line. Placeholders are written like"
            " {{ reference }}."
        ),
    )
    reason = forms.CharField(
        label="What changed, and why",
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="The ledger keeps this for good: no names, no addresses.",
    )

    def is_valid_text(self) -> bool:
        """Whether it can be previewed: a preview needs no reason, because nothing is recorded."""
        self.errors.pop("reason", None)
        return self.is_valid()

    @property
    def text(self) -> Text:
        return texts.tidy(Text(self.cleaned_data["subject"], self.cleaned_data["body"]))


class FiguresForm(forms.Form):
    """Which tickets are counted. It is sent by GET: it holds no personal data, and a link shows the same again."""

    first = forms.DateField(label="From", widget=DateInput())
    last = forms.DateField(label="To", widget=DateInput())
    purpose = forms.ChoiceField(choices=[("", "all"), *Purpose.choices], required=False)
    regime = forms.ChoiceField(label="Law", choices=[("", "all"), *Regime.choices], required=False)

    def __init__(self, data: Any, *, today: dt.date) -> None:
        standard = Period.until(today)
        initial = {"first": standard.first, "last": standard.last}
        # A page that is opened without a filter shows the same as with the standard one.
        super().__init__({**initial, **data.dict()})
        self.today = today

    def clean(self) -> dict[str, Any]:
        facts = super().clean() or {}
        first, last = facts.get("first"), facts.get("last")
        if first is None or last is None:
            return facts
        if first > last:
            self.add_error("last", "This is before the first day.")
        elif first < EARLIEST.date():
            self.add_error("first", f"There are no tickets before {EARLIEST.date()}.")
        elif last > self.today:
            self.add_error("last", f"At most today, {self.today}.")
        elif (last - first).days >= 7 * MAX_WEEKS:
            self.add_error("first", f"At most {MAX_WEEKS} weeks.")
        return facts

    @property
    def period(self) -> Period:
        return Period(**self.cleaned_data)
