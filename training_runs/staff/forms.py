"""The forms for runs."""

from typing import Any

from django import forms
from django.contrib.auth.models import User
from django.db.models import TextField
from django.utils.text import capfirst

from common.staff.site import VersionedForm
from consent.choices import DataCategory, Purpose, ReviewVerdict
from consent.lookup import look_up, look_up_number
from consent.models import Member
from training_runs.models import MAX_POINT, Assessment, Run, Team
from training_runs.querysets import teams_of
from training_runs.runs import assessments
from training_runs.runs.unmatched import Unmatched


class RegisterForm(forms.Form):
    tracker_run_id = forms.CharField(
        max_length=100,
        label="Tracker's run id",
        help_text="The experiment tracker's id. The same id again gives the same run.",
    )
    title = forms.CharField(max_length=200, required=False)
    purpose = forms.ChoiceField(choices=Purpose.choices)
    data_categories = forms.MultipleChoiceField(
        choices=DataCategory.choices,
        widget=forms.CheckboxSelectMultiple,
        help_text="What kinds of data the run uses. A notice in force must cover each of them.",
    )
    parent = forms.CharField(
        max_length=20,
        required=False,
        help_text=(
            "For resuming, fine-tuning or handing over: the reference of the run whose manifest is used again,"
            " for example TR-2026-000012. For a purpose other than its own, the run needs an approved compatibility"
            " assessment before it starts."
        ),
    )

    team = forms.ModelChoiceField(
        queryset=Team.objects.none(),
        to_field_name="name",
        required=False,
        empty_label="the only one you are in",
        help_text="The run belongs to it. Administrators make teams.",
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        own = Team.objects.filter(pk__in=teams_of(user))
        team = self.fields["team"]
        assert isinstance(team, forms.ModelChoiceField)
        team.queryset = own
        team.initial = own.first() if own.count() == 1 else None

    def clean_parent(self) -> Run | None:
        reference = self.cleaned_data["parent"]
        if not reference:
            return None
        parent = Run.objects.filter(reference=reference).first()
        if parent is None:
            raise forms.ValidationError(f"There is no run {reference}.")
        return parent


class StartForm(forms.Form):
    """Starting a run. It asks for a tick where objections have reached no account for too long."""

    def __init__(self, *args: Any, unmatched: Unmatched, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if unmatched.needs_acceptance:
            self.fields["accept_unmatched"] = forms.BooleanField(
                required=False,
                label=f"Start without finding the accounts of {unmatched.count:,}"
                f" objection{'' if unmatched.count == 1 else 's'}",
                help_text="The run may use the data of these people. The ledger keeps that you accepted it.",
            )


def _point(name: str) -> tuple[str, str, str]:
    column = Assessment._meta.get_field(name)
    assert isinstance(column, TextField)
    return name, capfirst(str(column.verbose_name)), str(column.help_text)


POINTS = [_point(name) for name in assessments.POINTS]
"""(name, title, what it says) of the points of an assessment."""


class AssessmentForm(forms.Form):
    """The five points of GDPR Art. 6(4)."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, title, words in POINTS:
            self.fields[name] = forms.CharField(
                label=title,
                help_text=words,
                max_length=MAX_POINT,
                widget=forms.Textarea(attrs={"rows": 4}),
            )


class AssessmentReviewForm(forms.Form):
    verdict = forms.ChoiceField(
        choices=[(ReviewVerdict.APPROVED, "Approve it"), (ReviewVerdict.REJECTED, "Reject it")],
        widget=forms.RadioSelect,
        label="Your word",
    )
    reason = forms.CharField(
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="What you checked. The ledger keeps this for good: no names, no addresses.",
    )

    def clean_verdict(self) -> ReviewVerdict:
        return ReviewVerdict(self.cleaned_data["verdict"])


class RenameForm(VersionedForm):
    title = forms.CharField(max_length=200, required=False)


class CancelForm(forms.Form):
    reason = forms.CharField(
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="The ledger keeps this for good: no names, no addresses.",
    )


class ExplainForm(forms.Form):
    """Posted, never in a URL: a reference is personal data.

    Only people who may read members' records may ask by number: others could count through all members.
    """

    who = forms.CharField(
        max_length=1_000,
        strip=False,
        label="Account reference",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text="The product's key of the account. It is not kept in the address or in any log.",
    )

    def __init__(self, *args: Any, by_number: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.by_number = by_number
        if by_number:
            self.fields["who"].label = "Account reference or member number"
            self.fields[
                "who"
            ].help_text = "Write a member number with a hash: #12. Anything else is read as the product's reference."

    def find(self, *, reader: User, purpose: str) -> Member:
        """The member who was asked for, once that is on record. Raises NotFound, also on record."""
        who = self.cleaned_data["who"]
        if self.by_number and who.startswith("#") and who[1:].isdecimal() and len(who) < 11:
            return look_up_number(
                int(who[1:]), reader=reader, kind="run.explained", purpose=purpose
            )
        return look_up(who, reader=reader, kind="run.explained", purpose=purpose)
