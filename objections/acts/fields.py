"""Fields that the forms of acts are made of. They ask for what the law requires; the acts enforce it."""

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.conf import settings
from django.contrib.auth.models import User
from django.utils import timezone

from common.text import words
from consent import countries
from ledger.errors import InvalidInput
from objections.acts import required_words
from objections.acts.act import ActForm
from objections.querysets import working_officers
from objections.ticket import uploads

MAX_TEXT_LENGTH = 10_000
MAX_REASON_LENGTH = 500
FOR_GOOD = "The ledger keeps this for good: no names, no addresses."


class WordsField(forms.CharField):
    """A text field: invisible characters are removed, and the visible text is kept whole."""

    def __init__(
        self, *, max_characters: int = MAX_TEXT_LENGTH, rows: int = 4, **kwargs: Any
    ) -> None:
        super().__init__(widget=forms.Textarea(attrs={"rows": rows}), **kwargs)
        self.max_characters = max_characters

    def to_python(self, value: Any) -> str:
        try:
            return words.clean(
                super().to_python(value) or "", max_length=self.max_characters, field=""
            )
        except InvalidInput as refusal:
            raise forms.ValidationError(str(refusal)) from refusal


class ControllerTimeField(forms.DateTimeField):
    """A time in the controller's time zone.

    In the repeated hour when clocks go back, it is the first of the two: the earlier receipt protects the person more.
    """

    widget = forms.DateTimeInput(format="%Y-%m-%dT%H:%M", attrs={"type": "datetime-local"})

    def to_python(self, value: Any) -> dt.datetime | None:
        with timezone.override(settings.CONTROLLER_TIME_ZONE):
            try:
                return super().to_python(value)
            except forms.ValidationError as error:
                if error.code != "ambiguous_timezone" or not error.params:
                    raise
                moment = _first_of_two(error.params["datetime"])
                if moment is None:
                    raise
                return moment

    def prepare_value(self, value: Any) -> Any:
        with timezone.override(settings.CONTROLLER_TIME_ZONE):
            return super().prepare_value(value)


def _first_of_two(local: dt.datetime) -> dt.datetime | None:
    """The earlier moment at which the establishment's clocks show a time; None for one that spring leaves out."""
    zone = ZoneInfo(settings.CONTROLLER_TIME_ZONE)
    moment = local.replace(tzinfo=zone, fold=0)
    back = moment.astimezone(dt.UTC).astimezone(zone)
    return moment if back.replace(tzinfo=None) == local else None


class RequiredWordsField(WordsField):
    """Words that the law requires; the service says when there are too few of them."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        asked = required_words.FIELDS[name]
        super().__init__(label=asked.label, help_text=asked.help_text, **kwargs)


class ReasonField(WordsField):
    """Why, in words that the ledger keeps."""

    def __init__(self, *, help_text: str = "", **kwargs: Any) -> None:
        super().__init__(
            max_characters=MAX_REASON_LENGTH,
            rows=2,
            help_text=f"{help_text} {FOR_GOOD}".strip(),
            **kwargs,
        )


class Files(forms.ClearableFileInput):
    allow_multiple_selected = True


class FilesField(forms.FileField):
    """Files, checked by their content; the value is the list of uploads."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            widget=Files,
            help_text=f"At most {uploads.MAX_FILES} files, each {uploads.ALLOWED}, "
            f"up to {uploads.MAX_BYTES // 2**20} MiB, together up to {settings.MAX_BODY_BYTES // 2**20} MiB.",
            **kwargs,
        )

    def would_take(self, file: Any) -> bool:
        """Whether one file by itself can be kept."""
        data = file.read()
        file.seek(0)
        try:
            uploads.check_all([(file.name, data)])
        except InvalidInput:
            return False
        return True

    def clean(self, data: Any, initial: Any = None) -> Any:
        given = data if isinstance(data, list | tuple) else [data] if data else []
        if not given:
            if self.required:
                raise forms.ValidationError("Choose a file.")
            return []
        try:
            return uploads.check_all([(file.name, file.read()) for file in given])
        except InvalidInput as refusal:
            raise forms.ValidationError(str(refusal)) from refusal


def officer_field(label: str) -> "forms.ModelChoiceField[User]":
    """A person to whom a ticket may be assigned now, by name; empty means unassigned."""
    officers = working_officers().order_by("username")
    return forms.ModelChoiceField(officers, required=False, empty_label="unassigned", label=label)


class ReasonForm(ActForm):
    """An act that needs its reason and nothing else."""

    reason = ReasonField()
    LABEL = ""
    HELP = ""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["reason"].label = self.LABEL
        self.fields["reason"].help_text = f"{self.HELP} {FOR_GOOD}".strip()


def _country_choices() -> list[tuple[str, str]]:
    by_name = sorted((name, code) for code, name in countries.NAMES.items())
    return [("", "not known"), *((code, name) for name, code in by_name)]


class CountryForm(forms.Form):
    """The person's country and region, which set the clock."""

    country = forms.ChoiceField(
        choices=_country_choices, required=False, help_text="It sets the clock."
    )
    is_californian = forms.BooleanField(required=False, label="Lives in California")

    def clean_is_californian(self) -> bool:
        is_californian: bool = self.cleaned_data["is_californian"]
        if is_californian and self.cleaned_data.get("country") not in ("", "US"):
            raise forms.ValidationError("California is in the United States.")
        return is_californian


def place(said: dict[str, Any]) -> dict[str, str]:
    """Country and region, as a country form says them."""
    region = "CA" if said.get("is_californian") else ""
    return {"country": said.get("country") or ("US" if region else ""), "region": region}
