"""Parameters in the addresses of staff pages: a page takes those it declares, and refuses every other.

Django's lists take any lookup on any column, and read a page number, an order or a date they do not understand as
another one. A link that is cut off or mistyped would then show rows that it does not name.
"""

import datetime as dt
from collections.abc import Callable, Collection, Iterator
from typing import Any, TypeVar

from django.contrib.admin import filters
from django.contrib.admin.options import IS_POPUP_VAR, TO_FIELD_VAR, IncorrectLookupParameters
from django.contrib.admin.views.main import (
    ALL_VAR,
    ORDER_VAR,
    PAGE_VAR,
    SEARCH_VAR,
    ChangeList,
)
from django.db import models
from django.http import HttpRequest, QueryDict
from django.utils.dateparse import parse_date, parse_datetime

from common.text import words
from ledger.errors import InvalidInput

KEPT_FILTERS = "_changelist_filters"
"""The list's filters, carried by a row's pages for the way back."""

_MAX_NUMBER = 2**31 - 1
_MAX_SHOWN = 50


View = TypeVar("View", bound=Callable[..., Any])


def takes(*names: str) -> Callable[[View], View]:
    """Declare the parameters of a page's address. Of a page that declares none every parameter is refused."""

    def declare(view: View) -> View:
        view.parameters = frozenset(names)  # type: ignore[attr-defined]
        return view

    return declare


def declared(view: Any) -> Collection[str]:
    """The parameters that `takes` declared. Decorators that wrap a view hand it on."""
    return getattr(view, "parameters", frozenset())


def check_names(sent: QueryDict, names: Collection[str]) -> None:
    """Refuse what the page does not declare, and what is said twice. Raises InvalidInput."""
    for name, values in sent.lists():
        if name not in names:
            raise InvalidInput(
                f"This page has no parameter “{_shown(name)}”. Correct the address, or begin from the"
                " start page.",
                code="unknown_parameter",
            )
        if len(values) > 1:
            raise unreadable(name, "it was given more than once")


def refuse_pop_up(sent: QueryDict) -> None:
    """Forms of Django's pop-ups name a field of any relation, and no page here is one. Raises InvalidInput."""
    for name in (IS_POPUP_VAR, TO_FIELD_VAR):
        if name in sent:
            raise InvalidInput(f"This form has no field “{name}”.", code="unknown_parameter")


def unreadable(name: str, right: str) -> InvalidInput:
    """A refusal that names the parameter and says what would be right, and never repeats the value."""
    return InvalidInput(
        f"The parameter “{_shown(name)}” of the address cannot be read: {right}.",
        code="unreadable_parameter",
    )


def whole_number(request: HttpRequest, name: str, default: int = 1) -> int:
    """A number from 1. Raises InvalidInput for anything else; what is not there is the default."""
    text = request.GET.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) < 11):
        raise unreadable(name, "a whole number from 1")
    if not 0 < int(text) <= _MAX_NUMBER:
        raise unreadable(name, f"a whole number from 1 to {_MAX_NUMBER:,}")
    return int(text)


def one_of(request: HttpRequest, name: str, known: Collection[str]) -> str:
    """One of the known words, or nothing. Raises InvalidInput."""
    word = request.GET.get(name, "")
    if word and word not in known:
        raise unreadable(name, f"one of {', '.join(known)}")
    return word


def _shown(name: str) -> str:
    return words.visible(name)[:_MAX_SHOWN]


# --- Lists --------------------------------------------------------------------------------------


def of_list(request: HttpRequest, model_admin: Any) -> set[str]:
    """The names that a list declares: its filters, its order and its pages; a search where it has one."""
    names = {PAGE_VAR, ORDER_VAR, ALL_VAR}
    if model_admin.get_search_fields(request):
        names.add(SEARCH_VAR)
    if field := model_admin.date_hierarchy:
        names |= {f"{field}__{part}" for part in ("year", "month", "day")}
    for one in model_admin.get_list_filter(request):
        names |= set(_of_filter(one, request, model_admin))
    return names


def _of_filter(one: Any, request: HttpRequest, model_admin: Any) -> Iterator[str]:
    if callable(one):
        # A class with parameters of its own; without any sent it declares them all.
        filter_ = one(request, {}, model_admin.model, model_admin)
    else:
        field, create = one if isinstance(one, tuple) else (one, filters.FieldListFilter.create)
        path, field = field, model_admin.opts.get_field(field)
        filter_ = create(field, request, {}, model_admin.model, model_admin, field_path=path)
    yield from (name for name in filter_.expected_parameters() if name is not None)


class StrictList(ChangeList):
    """A list that reads the values of its parameters as they are meant, or refuses them. Raises InvalidInput.

    Their names are checked before, by the site.
    """

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        whole_number(request, PAGE_VAR)
        if request.GET.get(ALL_VAR, "") not in ("", "1"):
            raise unreadable(ALL_VAR, "it takes no value")
        super().__init__(request, *args, **kwargs)
        if self.page_num > self.paginator.num_pages:
            # Of a list on one page Django shows that page, whatever number is asked for.
            raise _no_page(self.paginator.num_pages)
        if self.show_all and not self.can_show_all:
            raise unreadable(ALL_VAR, f"this list has more than {self.list_max_show_all} rows")

    def get_filters(self, request: HttpRequest) -> Any:
        for part in ("year", "month", "day") if self.date_hierarchy else ():
            whole_number(request, f"{self.date_hierarchy}__{part}")
        found = super().get_filters(request)
        for filter_ in found[0]:
            for name in filter_.expected_parameters():
                if name is not None and name in request.GET:
                    _check_value(filter_, name, request.GET[name])
        return found

    def get_results(self, request: HttpRequest) -> None:
        try:
            super().get_results(request)
        except IncorrectLookupParameters:
            pages = self.model_admin.get_paginator(request, self.queryset, self.list_per_page)
            raise _no_page(pages.num_pages) from None

    def get_ordering(self, request: HttpRequest, queryset: Any) -> Any:
        if order := request.GET.get(ORDER_VAR):
            for column in order.split("."):
                self._check_column(column.removeprefix("-"))
        return super().get_ordering(request, queryset)

    def _check_column(self, column: str) -> None:
        is_number = column.isascii() and column.isdecimal() and len(column) < 4
        if not is_number or int(column) >= len(self.list_display):
            raise unreadable(ORDER_VAR, "numbers of columns, with a point between them")
        name = self.list_display[int(column)]
        is_sortable = self.sortable_by is None or name in self.sortable_by
        if not is_sortable or not self.get_ordering_field(name):
            raise unreadable(ORDER_VAR, "the list is not sorted by this column")


def _no_page(pages: int) -> InvalidInput:
    return unreadable(PAGE_VAR, f"the list has {pages:,} page{'s' * (pages != 1)}")


def _check_value(filter_: Any, name: str, value: str) -> None:
    """A filter takes what it offers; a form of several fields says itself what it cannot read. Raises InvalidInput."""
    if isinstance(filter_, filters.SimpleListFilter) and value:
        # A choice box sends an empty value for all.
        _among(name, value, [str(word) for word, _ in filter_.lookup_choices])
    if not isinstance(filter_, filters.FieldListFilter):
        return
    if name.endswith("__isnull"):
        _among(name, value, ("True", "False"))
    elif isinstance(filter_, filters.DateFieldListFilter):
        _check_time(name, value, has_time=isinstance(filter_.field, models.DateTimeField))
    elif isinstance(filter_, filters.ChoicesFieldListFilter):
        _among(name, value, [str(word) for word, _ in filter_.field.flatchoices])
    elif isinstance(filter_, filters.BooleanFieldListFilter):
        _among(name, value, ("0", "1"))
    elif hasattr(filter_, "lookup_choices"):
        _among(
            name,
            value,
            [str(one[0] if isinstance(one, tuple) else one) for one in filter_.lookup_choices],
        )


def _among(name: str, value: str, known: Collection[str]) -> None:
    if value not in known:
        raise unreadable(name, "the filter does not offer this value")


def _check_time(name: str, value: str, *, has_time: bool) -> None:
    """A day, or a time with an offset that can be put into UTC: at the edges of the calendar some lead out of it."""
    found: dt.date | None
    try:
        found = parse_datetime(value) if has_time else parse_date(value)
        if isinstance(found, dt.datetime):
            found = found.astimezone(dt.UTC) if found.tzinfo else None
    except (ValueError, OverflowError):
        found = None
    if found is None:
        right = (
            "a time with its offset, as 2026-03-05 00:00:00+00:00"
            if has_time
            else "a day, as 2026-03-05"
        )
        raise unreadable(name, right)
