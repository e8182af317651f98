"""The desk in figures: counted in the database, in weeks and days of the controller's time zone."""

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import (
    Case,
    CharField,
    Count,
    DateField,
    DurationField,
    ExpressionWrapper,
    F,
    Q,
    Value,
    When,
)
from django.db.models.functions import TruncDate, TruncWeek

from consent import countries
from consent.choices import Purpose
from objections.choices import ENDINGS, Outcome, TicketState
from objections.models import Objection, Ticket
from objections.querysets import TicketQuerySet, ending, overdue

WEEKS = 26
MAX_WEEKS = 104
"""More bars than these cannot be told apart."""
_DAY = dt.timedelta(days=1)
_WEEK = dt.timedelta(days=7)


@dataclass(frozen=True, kw_only=True)
class Period:
    """Days of the establishment, both included, and of which tickets; empty means all."""

    first: dt.date
    last: dt.date
    purpose: str = ""
    regime: str = ""

    @classmethod
    def until(cls, today: dt.date, **more: str) -> "Period":
        """The week of `today` and the whole weeks before it, so many that a graph shows half a year."""
        return cls(first=monday(today) - (WEEKS - 1) * _WEEK, last=today, **more)

    @property
    def weeks(self) -> list[dt.date]:
        """The Mondays of every week that a day of it falls in."""
        start = monday(self.first)
        return [start + i * _WEEK for i in range((monday(self.last) - start).days // 7 + 1)]

    @property
    def moments(self) -> tuple[dt.datetime, dt.datetime]:
        """Its first moment, and the first one after it."""
        return midnight(self.first), midnight(self.last + _DAY)


def monday(day: dt.date) -> dt.date:
    return day - day.weekday() * _DAY


def midnight(day: dt.date) -> dt.datetime:
    """The start of the day in the controller's time zone."""
    return dt.datetime.combine(day, dt.time(), _zone())


def _zone() -> ZoneInfo:
    return ZoneInfo(settings.CONTROLLER_TIME_ZONE)


Cell = str | int | float | dt.date | None


@dataclass(frozen=True)
class Table:
    """A figure as rows: what is shown and what is exported are the same."""

    name: str
    title: str
    note: str
    """The sentence that says which tickets were counted."""
    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]

    def column(self, index: int) -> list[int]:
        """The whole numbers of a column."""
        return [value for row in self.rows if isinstance(value := row[index], int)]


# --- Which tickets ------------------------------------------------------------------------------


def _tickets(period: Period) -> TicketQuerySet:
    tickets = Ticket.objects.worked()
    if period.purpose:
        # A ticket names a purpose once: the join doubles nothing.
        tickets = tickets.filter(objections__purpose=period.purpose)
    if period.regime:
        tickets = tickets.filter(regime=period.regime)
    return tickets


def _received(period: Period) -> TicketQuerySet:
    start, end = period.moments
    # A ticket is recorded when it is received or later: the second condition changes nothing, and has an index.
    return _tickets(period).filter(
        received_at__gte=start, received_at__lt=end, recorded_at__gte=start
    )


def _closed(period: Period) -> TicketQuerySet:
    start, end = period.moments
    return _tickets(period).filter(closed_at__gte=start, closed_at__lt=end)


# --- The figures --------------------------------------------------------------------------------


def per_week(period: Period) -> Table:
    """Tickets received and closed in each week."""
    received = _by_week(_received(period), "received_at")
    closed = _by_week(_closed(period), "closed_at")
    return Table(
        "weeks",
        "Received and closed per week",
        "Weeks begin on Monday. The first and the last may be cut by the period.",
        ["Week of", "Received", "Closed"],
        [[week, received.get(week, 0), closed.get(week, 0)] for week in period.weeks],
    )


def _by_week(tickets: TicketQuerySet, field: str) -> dict[dt.date, int]:
    week = TruncWeek(field, output_field=DateField(), tzinfo=_zone())
    counted = tickets.order_by().values(week=week).annotate(count=Count("pk"))
    return {row["week"]: row["count"] for row in counted}


AGES = (7, 14, 28, 60, 90)
"""The last day of each band; 28 days is the internal target."""


def open_by_age(period: Period, today: dt.date) -> Table:
    """Open tickets by days since receipt. Of the period only purpose and regime count: it is about now."""
    starts = [0, *(age + 1 for age in AGES)]
    names = [
        f"{start} to {end} days" if end is not None else f"more than {start - 1} days"
        for start, end in zip(starts, [*AGES, None], strict=True)
    ]
    # Received on the first moment of this day or later: not older than the band.
    oldest = [midnight(today - age * _DAY) for age in AGES]
    conditions = [
        (Q(received_at__gte=oldest[i]) if i < len(oldest) else Q())
        & (Q(received_at__lt=oldest[i - 1]) if i else Q())
        for i in range(len(names))
    ]
    asked = Q(state=TicketState.IDENTITY_CHECK)
    late = overdue(today)
    counts = (
        _tickets(period)
        .open()
        .aggregate(
            **{f"all_{i}": Count("pk", filter=one) for i, one in enumerate(conditions)},
            **{f"late_{i}": Count("pk", filter=one & late) for i, one in enumerate(conditions)},
            **{f"asked_{i}": Count("pk", filter=one & asked) for i, one in enumerate(conditions)},
        )
    )
    return Table(
        "ages",
        "Age of open tickets",
        f"On {today}, in days since receipt, whatever the period.",
        ["Age", "Open", "Of them overdue", "Of them asked who they are"],
        [
            [name, counts[f"all_{i}"], counts[f"late_{i}"], counts[f"asked_{i}"]]
            for i, name in enumerate(names)
        ],
    )


IN_TIME, LATE, UNSENT, NO_LETTER = "in time", "late", "letter not sent yet", "no letter owed"


def _answers(period: Period, today: dt.date) -> dict[str, Counter[tuple[str, int | None]]]:
    """For each ending how many were answered in time or late after how many days."""
    # A refusal has a day of its own (GDPR Art. 12(4)): an extension does not move it in the EU.
    last_day = Case(
        When(state__in=[TicketState.REFUSED, TicketState.PARTLY_UPHELD], then=F("refuse_by")),
        default=F("due_on"),
        output_field=DateField(),
    )
    counted = (
        _closed(period)
        .order_by()
        .annotate(last_day=last_day, answered_on=TruncDate("answered_at", tzinfo=_zone()))
        .values(
            ending=ending(),
            standing=Case(
                When(is_set_aside=True, then=Value(NO_LETTER)),
                When(answered_at__isnull=True, last_day__lt=today, then=Value(LATE)),
                When(answered_at__isnull=True, then=Value(UNSENT)),
                When(answered_on__gt=F("last_day"), then=Value(LATE)),
                default=Value(IN_TIME),
                output_field=CharField(),
            ),
            took=ExpressionWrapper(
                F("answered_on") - TruncDate("received_at", tzinfo=_zone()),
                output_field=DurationField(),
            ),
        )
        .annotate(count=Count("pk"))
    )
    found: dict[str, Counter[tuple[str, int | None]]] = defaultdict(Counter)
    for row in counted:
        days = row["took"].days if row["took"] is not None else None
        found[row["ending"]][row["standing"], days] += row["count"]
    return found


def _open_and_late(period: Period, today: dt.date) -> int:
    """Tickets whose day was in the period and that have no outcome."""
    # Their day is the due day: what is open was not refused.
    return (
        _tickets(period)
        .overdue(today)
        .filter(due_on__gte=period.first, due_on__lte=period.last)
        .count()
    )


def answered(period: Period, today: dt.date) -> Table:
    """Closed tickets by outcome: how many were answered in time, and after how many days.

    Who has waited beyond the day without an outcome was not answered in time either.
    """
    by_ending = _answers(period, today)
    rows = [
        _answer_row(label, by_ending[word]) for word, label in ENDINGS.items() if word in by_ending
    ]
    if waiting := _open_and_late(period, today):
        rows.append(_answer_row("still open", {}, waiting=waiting))
    everything: Counter[tuple[str, int | None]] = sum(by_ending.values(), Counter())
    return Table(
        "answers",
        "Answered in time",
        "Tickets closed in the period. In time: the outcome letter left by the day it was due, a refusal by the"
        " day of its own. A letter that is not sent and past its day is late, and so is a ticket that is still open"
        " and overdue, if its day was in the period: both count as not in time. To what is closed as abuse no"
        " letter is owed: it is in no share.",
        ["Outcome", "Closed", "In time", "Late", "Letter not sent yet", "Share in time (%)", "Median days"],
        [*rows, _answer_row("All", everything, waiting=waiting)],
    )  # fmt: skip


def _answer_row(
    label: str, counted: Mapping[tuple[str, int | None], int], *, waiting: int = 0
) -> list[Cell]:
    """A row of the table; `waiting` are late without being closed."""
    standing: Counter[str] = Counter()
    days: Counter[int] = Counter()
    for (word, took), count in counted.items():
        standing[word] += count
        if took is not None:
            days[took] += count
    closed, late = standing.total(), standing[LATE] + waiting
    decided = standing[IN_TIME] + late
    share = round(100 * standing[IN_TIME] / decided, 1) if decided else None
    return [
        label,
        closed,
        standing[IN_TIME],
        late,
        standing[UNSENT],
        share,
        median(days),
    ]


def median(counted: Mapping[int, int]) -> float | None:
    """The median of numbers given by how often each occurs.

    >>> median({3: 1, 10: 2, 40: 1})
    10.0
    >>> median({3: 1, 4: 1})
    3.5
    """
    total = sum(counted.values())
    if not total:
        return None
    middle = {(total - 1) // 2, total // 2}
    seen, found = 0, []
    for number in sorted(counted):
        found += [number for place in middle if seen <= place < seen + counted[number]]
        seen += counted[number]
    return sum(found) / len(found)


def by_country(period: Period) -> Table:
    """Tickets received, by the country given; the most frequent first."""
    counted = (
        _received(period)
        .order_by()
        .values("country")
        .annotate(count=Count("pk"), still_open=Count("pk", filter=Q(closed_at__isnull=True)))
    )
    total: Counter[str] = Counter()
    still_open: Counter[str] = Counter()
    for row in counted:
        name = _country_name(row["country"])
        total[name] += row["count"]
        still_open[name] += row["still_open"]
    return Table(
        "countries",
        "By country",
        "Tickets received in the period.",
        ["Country", "Received", "Still open"],
        [
            [name, count, still_open[name]]
            for name, count in sorted(total.items(), key=lambda item: (-item[1], item[0]))
        ],
    )


def _country_name(code: str | None) -> str:
    return countries.name(code) if code in countries.NAMES else "not known"


def by_purpose(period: Period) -> Table:
    """Purposes of the tickets received, and the outcomes. A ticket may name several purposes."""
    counted = (
        Objection.objects.filter(ticket__in=_received(period).order_by().values("pk"))
        .order_by()
        .values("purpose", "outcome")
        .annotate(count=Count("pk"))
    )
    if period.purpose:
        counted = counted.filter(purpose=period.purpose)
    found = {(row["purpose"], row["outcome"]): row["count"] for row in counted}
    purposes = [one for one in Purpose if any(purpose == one for purpose, _ in found)]
    columns: Iterable[Any] = [None, *Outcome]
    return Table(
        "purposes",
        "By purpose",
        "Tickets received in the period; one that names several purposes counts for each of them.",
        ["Purpose", "Received", "Not decided yet", *(outcome.label.capitalize() for outcome in Outcome)],
        [
            [
                one.label,
                sum(count for (purpose, _), count in found.items() if purpose == one),
                *(found.get((one, outcome), 0) for outcome in columns),
            ]
            for one in purposes
        ],
    )  # fmt: skip


def tables(period: Period, today: dt.date) -> list[Table]:
    """All of them: eight questions to the database, however many tickets there are."""
    return [
        per_week(period),
        open_by_age(period, today),
        answered(period, today),
        by_country(period),
        by_purpose(period),
    ]
