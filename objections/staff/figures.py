"""The figures of the desk: counted by `figures`, drawn by `charts`, shown and given out here."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.decorators import permission_required
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.utils.safestring import SafeString
from django.views.decorators.http import require_GET

from common.files.exports import csv_response
from common.staff.parameters import takes, unreadable
from common.staff.site import page
from objections.clock.days import today
from objections.reports import charts, figures
from objections.reports.figures import Table
from objections.staff.letter_forms import FiguresForm

MAX_ROWS = 15
"""Longer tables go on below a fold; the file has all of it."""


@dataclass(frozen=True)
class Figure:
    """A table on the page, with its graph or a bar in each row."""

    table: Table
    graph: SafeString | str = ""
    legend: tuple[tuple[str, str], ...] = ()
    """(tone, words) of each kind of column."""
    bars: tuple[SafeString, ...] = ()

    @property
    def rows(self) -> list[tuple[SafeString | str, Any]]:
        """Each row with its bar."""
        bars = self.bars or [""] * len(self.table.rows)
        return list(zip(bars, self.table.rows, strict=True))

    @property
    def first_rows(self) -> list[tuple[SafeString | str, Any]]:
        return [] if self.graph else self.rows[:MAX_ROWS]

    @property
    def other_rows(self) -> list[tuple[SafeString | str, Any]]:
        return self.rows if self.graph else self.rows[MAX_ROWS:]


@takes(*FiguresForm.base_fields, "export")
@require_GET
@permission_required("objections.view_ticket", raise_exception=True)
def show(request: HttpRequest) -> HttpResponseBase:
    """All figures for a period; `?export=NAME` gives one of them as a file."""
    form = FiguresForm(request.GET, today=today())
    tables = figures.tables(form.period, today()) if form.is_valid() else []
    if name := request.GET.get("export"):
        for field, errors in form.errors.items():
            raise unreadable(field, str(errors[0]).rstrip(".").lower())
        for table in tables:
            if table.name == name:
                filename = f"objections-{name}-{form.period.first}-{form.period.last}.csv"
                return csv_response(filename, table.header, table.rows)
        raise Http404
    query = request.GET.copy()
    return page(
        request,
        "admin/objections/figures/figures.html",
        title="Figures of the objection desk",
        form=form,
        figures=[DRAWN[table.name](table) for table in tables],
        query=query.urlencode(),
    )


def _weeks(table: Table) -> Figure:
    received, closed = table.column(1), table.column(2)
    return Figure(
        table,
        graph=charts.columns(
            table.name,
            title=table.title,
            description=(
                f"{len(table.rows)} weeks. Received: {sum(received):,}, at most {max(received):,} in a week."
                f" Closed: {sum(closed):,}, at most {max(closed):,} in a week. The table has every number."
            ),
            labels=[f"{row[0]:%-d %b}" for row in table.rows],
            series=[
                charts.Series("Received", "first", received),
                charts.Series("Closed", "second", closed),
            ],
        ),
        legend=(("first", "received"), ("second", "closed")),
    )


def _ages(table: Table) -> Figure:
    """The overdue part of each bar first."""
    counts, overdue = table.column(1), table.column(2)
    return Figure(
        table,
        bars=tuple(
            charts.bar([("late", late), ("first", count - late)], max(counts))
            for count, late in zip(counts, overdue, strict=True)
        ),
        legend=(("late", "overdue"), ("first", "other open tickets")),
    )


def _answers(table: Table) -> Figure:
    closed, in_time, late, unsent = (table.column(place) for place in (1, 2, 3, 4))
    return Figure(
        table,
        bars=tuple(
            charts.bar([("first", one), ("late", two), ("waiting", three)], whole)
            for whole, one, two, three in zip(closed, in_time, late, unsent, strict=True)
        ),
        legend=(("first", "in time"), ("late", "late"), ("waiting", "letter not sent yet")),
    )


def _received(table: Table) -> Figure:
    most = max(table.column(1), default=0)
    return Figure(table, bars=tuple(charts.bar([("first", n)], most) for n in table.column(1)))


DRAWN: dict[str, Callable[[Table], Figure]] = {
    "weeks": _weeks,
    "ages": _ages,
    "answers": _answers,
    "countries": _received,
    "purposes": _received,
}
