"""Form-based filters: a form above a list, sent by GET, that works without script."""

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.db import connection, models
from django.db.models import Q, QuerySet, Value
from django.http import HttpRequest
from django.utils.text import capfirst

from common.staff import subjects
from ledger import registry

ONE_DAY = dt.timedelta(days=1)
MAX_LINKED_ENTRIES = 5_000
"""More entries than these are not looked for beside those that name their subject."""


def midnight(day: dt.date) -> dt.datetime:
    """The first moment of a day, UTC."""
    return dt.datetime.combine(day, dt.time(), dt.UTC)


def end_of(day: dt.date) -> dt.datetime:
    """The first moment after a day, UTC; the last day of the calendar ends with its last microsecond."""
    return midnight(day) + ONE_DAY if day < dt.date.max else dt.datetime.max.replace(tzinfo=dt.UTC)


class FormFilter(admin.ListFilter):
    """One filter with several fields. What cannot be understood is said in the form, and the list is empty."""

    title = "what is typed"
    form_class: ClassVar[type["ListForm"]]

    def __init__(self, request: HttpRequest, params: Any, model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        names = self.form_class.declared_fields
        given = {name: params.pop(name)[-1] for name in names if name in params}
        self.used_parameters = {name: value for name, value in given.items() if value.strip()}
        self.form = self.form_class(self.used_parameters)

    def has_output(self) -> bool:
        return True

    def expected_parameters(self) -> list[str | None]:
        return list(self.form_class.declared_fields)

    def choices(self, changelist: Any) -> Iterator[Mapping[str, object]]:
        return iter(())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return self.form.narrow(queryset) if self.form.is_valid() else queryset.none()


class ListForm(forms.Form):
    """The filters of a list; every field may be left empty."""

    declared_fields: ClassVar[dict[str, forms.Field]]

    def narrow(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        raise NotImplementedError


class DayInput(forms.DateInput):
    input_type = "date"

    def __init__(self) -> None:
        super().__init__(format="%Y-%m-%d")


def _text(label: str, help_text: str, max_length: int = 100) -> forms.CharField:
    attrs = {"autocomplete": "off", "spellcheck": "false"}
    return forms.CharField(
        label=label,
        help_text=help_text,
        max_length=max_length,
        required=False,
        widget=forms.TextInput(attrs=attrs),
    )


class PeriodForm(ListForm):
    first = forms.DateField(label="From", required=False, widget=DayInput())
    last = forms.DateField(label="To", required=False, widget=DayInput())

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        first, last = cleaned.get("first"), cleaned.get("last")
        if first and last and first > last:
            self.add_error("last", "This is before the first day.")
        return cleaned

    def narrow_to_days(self, rows: QuerySet[Any], column: str) -> QuerySet[Any]:
        """From the beginning of the first day to the end of the last one, UTC."""
        if first := self.cleaned_data["first"]:
            rows = rows.filter(**{f"{column}__gte": midnight(first)})
        if last := self.cleaned_data["last"]:
            rows = rows.filter(**{f"{column}__lt": end_of(last)})
        return rows


class EntryForm(PeriodForm):
    """Every field has an index: the ledger may have millions of entries."""

    field_order = ["kind", "by", "actor", "subject", "about", "words", "first", "last"]

    kind = forms.ChoiceField(required=False)
    by = forms.ChoiceField(
        label="By",
        required=False,
        choices=[
            ("", "any actor"),
            ("person", "a person or service account"),
            ("system", "the system itself"),
        ],
    )
    actor = _text("Who", "The whole username, or a part of the system: system:freezer.", 150)
    subject = _text("Subject", "In full, as the list shows it.")
    about = _text("Everything about", "")
    words = _text("Words of the reason", "The entry must contain all of them, in any order.", 200)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Asking the table which there are would read all of its rows.
        self.fields[
            "about"
        ].help_text = f"{capfirst(subjects.in_words())}, and everything linked to it."
        kinds = [(kind, kind) for kind in sorted(registry.entry_kinds)]
        self.fields["kind"] = forms.ChoiceField(required=False, choices=[("", "any"), *kinds])

    def clean_about(self) -> tuple[str, list[int]] | None:
        """The reference, and the entries that hang on what it names."""
        reference = self.cleaned_data["about"]
        if not reference:
            return None
        found = subjects.find(reference)
        if found is None:
            raise forms.ValidationError(f"There is no {reference}: it takes {subjects.in_words()}.")
        subject, key = found
        return reference, sorted(set(subject.entries(key)))[-MAX_LINKED_ENTRIES:]

    def narrow(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        typed = self.cleaned_data
        if typed["kind"]:
            rows = rows.filter(kind=typed["kind"])
        if typed["by"]:
            rows = rows.filter(actor__isnull=typed["by"] == "system")
        if typed["actor"]:
            rows = rows.filter(actor_name=typed["actor"])
        if typed["subject"]:
            rows = rows.filter(subject=typed["subject"])
        if typed["about"]:
            reference, numbers = typed["about"]
            rows = rows.filter(Q(subject=reference) | Q(sequence__in=numbers))
        if typed["words"]:
            rows = with_words(rows, typed["words"])
        return self.narrow_to_days(rows, "recorded_at")


class _HasWords(models.Func):
    """PostgreSQL: whether a text has all words of another. The index of `ledger.0002` is over the same expression."""

    template = "(to_tsvector('simple', %(expressions)s))"
    arg_joiner = ") @@ plainto_tsquery('simple', "
    output_field = models.BooleanField()


def with_words(entries: QuerySet[Any], words: str) -> QuerySet[Any]:
    """Entries whose reason has all the words: whole ones on PostgreSQL, parts of words on SQLite."""
    if connection.vendor == "postgresql":
        return entries.exclude(reason="").filter(_HasWords("reason", Value(words)))
    for word in words.split():
        entries = entries.filter(reason__icontains=word)
    return entries
