from django import forms
from django.contrib.auth.models import User

from common import registry
from common.identity import tokens


class IssueTokenForm(forms.Form):
    """A token's use, its account, and its scopes."""

    name = forms.CharField(
        max_length=100, help_text="What it is for, for example the tracker's name."
    )
    user = forms.ModelChoiceField(
        User.objects.filter(is_active=True, is_superuser=False).order_by("username"),
        help_text="The token has this account's permissions, limited to the token's scopes.",
    )
    scopes = forms.MultipleChoiceField(
        choices=lambda: [(scope, scope) for scope in registry.scopes],
        widget=forms.CheckboxSelectMultiple,
    )
    days = forms.IntegerField(
        label="Valid for (days)", min_value=1, max_value=tokens.MAX_DAYS, initial=90
    )


class SettleClocksForm(forms.Form):
    reason = forms.CharField(
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Which clock was wrong, and what was done about it. The ledger keeps this for good.",
    )


class ConfirmForm(forms.Form):
    """An empty form: the POST itself confirms."""
