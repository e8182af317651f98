"""The changes of an entry, described for people: each row it touched before and after, column by column.

A tracked row's state is in its history; the state before is the row of history before that one. What is sealed as it
is was only added.
"""

import datetime as dt
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import models
from django.db.models import OuterRef, Subquery

from common.staff import subjects
from common.text import words
from ledger import sealing
from ledger.models import LedgerHistory

SHOWN_ROWS = 50
"""An entry may have written ten thousand rows of a model: the page shows the first ones and says how many there are."""
LONG = 400
_TELLING = ("reference", "username", "version")
"""Columns by which a row is named, the first one that a model has."""
_UNSAID = frozenset({"id", "history_id", "history_date", "history_type", "history_change_reason"})

May = Callable[[str], bool]


@dataclass(frozen=True)
class Value:
    """A column's value in words; empty text is no value. `url` leads to what it names."""

    text: str
    url: str = ""

    @property
    def is_long(self) -> bool:
        """Longer than one reads in a table."""
        return len(self.text) > LONG


@dataclass(frozen=True)
class ChangedColumn:
    """A column whose value is another than before."""

    column: str
    before: Value
    after: Value


@dataclass(frozen=True)
class Row:
    """One row that an entry wrote."""

    name: str
    url: str
    is_new: bool
    lines: Sequence[ChangedColumn]


@dataclass(frozen=True)
class Part:
    """The rows of one model that an entry wrote."""

    name: str
    is_tracked: bool
    rows: Sequence[Row]
    count: int

    @property
    def hidden(self) -> int:
        return self.count - len(self.rows)


def changes_of(sequence: int, may: May) -> list[Part]:
    """The rows that an entry wrote, model by model. `may` says which permissions the reader has: links lead to no closed door.

    A number of queries for each model that does not depend on how many rows there are.
    """
    return [
        part
        for model in sealing.sealed_models().values()
        if (part := _part(model, sequence, may)) is not None
    ]


def _part(model: type[models.Model], sequence: int, may: May) -> Part | None:
    rows = model._default_manager.filter(entry_id=sequence).order_by("pk")
    is_tracked = issubclass(model, LedgerHistory)
    asked: Any = rows
    if is_tracked:
        before = model._default_manager.filter(
            id=OuterRef("id"), history_id__lt=OuterRef("history_id")
        )
        last = before.order_by("-history_id").values("history_id")[:1]
        asked = rows.annotate(before_id=Subquery(last))
    shown = list(asked[: SHOWN_ROWS + 1])
    if not shown:
        return None
    count = rows.count() if len(shown) > SHOWN_ROWS else len(shown)
    shown = shown[:SHOWN_ROWS]
    earlier: dict[Any, Any] = {}
    if is_tracked:
        numbers = [row.before_id for row in shown if row.before_id]
        earlier = model._default_manager.in_bulk(numbers) if numbers else {}
    teller = Teller(model, [*shown, *earlier.values()], may)
    return Part(
        name=str(tracked_model(model)._meta.verbose_name),
        is_tracked=is_tracked,
        rows=[teller.row(row, earlier.get(getattr(row, "before_id", None))) for row in shown],
        count=count,
    )


def tracked_model(model: type[models.Model]) -> type[models.Model]:
    """The model whose history this is, or the model itself."""
    return getattr(model, "instance_type", model)


class Teller:
    """Tells rows of one model in words. What they refer to is named with one query for each model referred to."""

    def __init__(self, model: type[models.Model], rows: Iterable[Any], may: May) -> None:
        self.model = model
        self.may = may
        self.fields: list[Any] = [
            model._meta.get_field(column)
            for column in sealing.sealed_columns(model)
            if column not in _UNSAID
        ]
        self._names = _names_of(self.fields, list(rows))

    def row(self, row: Any, before: Any = None) -> Row:
        return Row(self.name(row), self.url(row), before is None, self.lines(before, row))

    def name(self, row: Any) -> str:
        model = tracked_model(self.model)
        telling = next((getattr(row, name) for name in _TELLING if hasattr(row, name)), None)
        key = row.id if issubclass(self.model, LedgerHistory) else row.pk
        name = f"{model._meta.verbose_name} {telling or key}"
        # A row that has no name of its own is told by what it is for.
        purpose = getattr(row, "get_purpose_display", None)
        return f"{name} ({purpose()})" if purpose and not telling else name

    def named(self, column: str, row: Any) -> str:
        """The value of a column in words."""
        field = next(field for field in self.fields if field.name == column)
        return self.value(field, getattr(row, field.attname)).text

    def url(self, row: Any) -> str:
        key = row.id if issubclass(self.model, LedgerHistory) else row.pk
        return subjects.page_of_row(tracked_model(self.model)._meta.label_lower, key, self.may)

    def lines(self, before: Any, after: Any, *, also_same: bool = False) -> list[ChangedColumn]:
        """The columns that differ; of a row that was not there before, those that have a value."""
        found = []
        for field in self.fields:
            old = getattr(before, field.attname, None) if before is not None else None
            new = getattr(after, field.attname, None) if after is not None else None
            line = ChangedColumn(
                str(field.verbose_name), self.value(field, old), self.value(field, new)
            )
            if also_same or line.before.text != line.after.text:
                found.append(line)
        return found

    def value(self, field: Any, value: object) -> Value:
        if field.is_relation and value is not None:
            target = field.related_model._meta
            named = self._names.get(target.label_lower, {}).get(value)
            text = named or f"{target.verbose_name} {value}"
            return Value(text, subjects.page_of_row(target.label_lower, value, self.may))
        choices = dict(field.flatchoices)
        known = isinstance(value, str) and value in choices
        return Value(str(choices[value]) if known else in_words(value))


def _names_of(fields: Iterable[Any], rows: Sequence[Any]) -> dict[str, Mapping[Any, str]]:
    """The rows' references: label of the model -> key -> name, for models that have names."""
    wanted: dict[type[models.Model], set[Any]] = {}
    for field in fields:
        if field.is_relation and _name_column(field.related_model):
            keys = {getattr(row, field.attname) for row in rows} - {None}
            wanted.setdefault(field.related_model, set()).update(keys)
    return {
        model._meta.label_lower: dict(
            model._default_manager.filter(pk__in=keys).values_list("pk", _name_column(model))
        )
        for model, keys in wanted.items()
        if keys
    }


def _name_column(model: type[models.Model]) -> str:
    columns = {field.name for field in model._meta.concrete_fields}
    return next((name for name in _TELLING if name in columns), "")


def in_words(value: object) -> str:
    """A value as people read it; nothing is empty."""
    match value:
        case None:
            text = ""
        case bool():
            text = "yes" if value else "no"
        case dt.datetime():
            text = f"{value.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S} UTC"
        case list() if all(isinstance(one, str | int) for one in value):
            text = ", ".join(map(str, value))
        case list() | dict():
            text = json.dumps(value, sort_keys=True, ensure_ascii=False)
        case _:
            text = str(value)
    return words.visible(text)
