"""Filters with given options: what a filter offers, it accepts, and it accepts nothing else."""

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import PAGE_VAR
from django.db.models import QuerySet
from django.http import HttpRequest


class OptionFilter(admin.SimpleListFilter):
    """A filter whose options are its `lookups`. A value that is none of them is refused, never read as another.

    A subclass says in `rows_with` which rows an option keeps, and in `rows_without` what is listed without one.
    """

    def value(self) -> str | None:
        # A choice box sends its first option, which stands for all, as an empty value.
        return super().value() or None

    def rows_with(self, rows: QuerySet[Any], option: str) -> QuerySet[Any]:
        raise NotImplementedError

    def rows_without(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        return rows

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Raises IncorrectLookupParameters."""
        option = self.value()
        if option is None:
            return self.rows_without(queryset)
        if option not in self._options:
            raise IncorrectLookupParameters(f"{self.title} has no such option")
        return self.rows_with(queryset, option)

    @property
    def _options(self) -> list[str]:
        return [str(value) for value, _ in self.lookup_choices]


class BoxFilter(OptionFilter):
    """Options as a choice box: two hundred links would be longer than the page.

    The box is a form: the other parameters of the list travel with it as hidden fields, the page number does not.
    """

    template = "admin/box_filter.html"

    def choices(self, changelist: Any) -> Iterator[Any]:
        # What Django yields has the address of each option, but a box sends the option's value.
        values = ["", *self._options]
        for value, choice in zip(values, super().choices(changelist), strict=True):
            yield {**choice, "value": value}

    @property
    def carried(self) -> list[tuple[str, str]]:
        """(name, value) of what the list is narrowed to beside this filter, and how it is sorted."""
        without = {self.parameter_name, PAGE_VAR}
        return [
            (name, value)
            for name, values in self.request.GET.lists()
            if name not in without
            for value in values
        ]
