"""The legal clock of an objection: when an answer is due, and how that date came about.

Pure: nothing here reads a row, a setting or the time of day. What is computed is kept with the ticket, rule
and calendar included; only an answered identity request, a corrected receipt or country computes it again.

The calendar is that of the controller's establishment: Ireland for the EU and for countries without a rule
of their own, England for the UK. California counts business days, which its law does not define: the shortest
calendar holds, and only federal holidays are left out. Switzerland counts plain days: its law
names no calendar that would move an end on a Sunday (holidays are cantonal), so none moves it here.
"""

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from datetime import date, datetime, timedelta
from functools import cache
from importlib.metadata import version
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import holidays

from consent.countries import EEA, UNITED_KINGDOM, WITH_THE_EU, normalise
from consent.rulebook import days
from objections.choices import Regime

CALENDAR_VERSION: Final = f"holidays {version('holidays')}"
CALENDARS: Final = {Regime.EU: "IE", Regime.UK: "GB-ENG", Regime.US_CA: "US", Regime.CH: ""}

CALIFORNIA_ZONE: Final = "America/Los_Angeles"
FARTHEST_ZONE: Final = "Etc/GMT+12"
"""The zone in which a day begins last, UTC−12 (the sign of its name is the other way round)."""

# Data (Use and Access) Act 2025, s. 76: for requests received from this day on (SI 2026/82, reg. 4).
UK_ARTICLE_12A: Final = date(2026, 2, 5)

IDENTITY_WAIT_DAYS: Final = 30
"""Silence is neither refusal nor consent: so long the person has to answer before a ticket may be closed."""

TARGET_DAYS: Final = 28
CALIFORNIA_DAYS: Final = 15
SWISS_DAYS: Final = 30

# A receipt outside of them is a slip of the pen; the calendars end with the last.
YEARS: Final = range(2000, 2101)

_DAY: Final = timedelta(days=1)
_FRIDAY: Final = 4
_SATURDAY: Final = 5


@dataclass(frozen=True)
class Pause:
    """An identity request and its answer. `days` is how long the clock stood still, 0 if it ran on or restarted."""

    asked: date
    answered: date
    days: int


@dataclass(frozen=True)
class Clock:
    """The dates of one ticket. The `raw` ones are before the roll to a working day.

    One month from 31 January 2026 ends on the last day of February, a Saturday; the answer is due on Monday:

    >>> clock = start(date(2026, 1, 31), Regime.EU, time_zone="Europe/Dublin")
    >>> clock.base_raw.isoformat(), clock.base_due.isoformat()
    ('2026-02-28', '2026-03-02')
    """

    regime: str
    rule: str
    calendar: str
    """ "IE", "GB-ENG", "US" (federal); empty where days are counted without one."""
    calendar_version: str
    time_zone: str
    """The zone of the day of receipt: the controller's, the law's own or the person's (`receipt_zone`)."""
    receipt_date: date
    """From where it counts; in the UK the answer to an identity request moves it."""
    base_raw: date
    base_due: date
    target: date
    """Internal: 28 days, never later than `base_due`."""
    alarm: date | None
    """UK: the day on which the strictest reading of the law wants the answer."""
    extended_raw: date | None
    extended_due: date | None
    """None where there is no extension."""
    refuse_by: date
    """The letter of a refusal; in the EU an extension does not move it."""
    refuse_by_extended: date | None
    pauses: tuple[Pause, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Texts, whole numbers, lists and None, dates as ISO 8601: `from_json` gives back an equal clock."""
        facts = {field.name: getattr(self, field.name) for field in fields(self)}
        pauses = [[p.asked.isoformat(), p.answered.isoformat(), p.days] for p in self.pauses]
        return {
            name: fact.isoformat() if isinstance(fact, date) else fact
            for name, fact in facts.items()
        } | {"pauses": pauses}

    @classmethod
    def from_json(cls, facts: dict[str, Any]) -> "Clock":
        """The clock that `as_json` wrote. Raises TypeError where a fact is missing or unknown."""
        pauses = tuple(
            Pause(date.fromisoformat(asked), date.fromisoformat(answer), days)
            for asked, answer, days in facts["pauses"]
        )
        read: dict[str, Any] = {
            name: fact if name in _TEXTS or fact is None else date.fromisoformat(fact)
            for name, fact in facts.items()
            if name != "pauses"
        }
        return cls(**read, pauses=pauses)


_TEXTS: Final = frozenset({"regime", "rule", "calendar", "calendar_version", "time_zone"})


# --- Whose rule, which day ----------------------------------------------------------------------
def regime_for(country: str, region: str = "") -> Regime:
    """The regime that applies to a person in `country` (ISO 3166-1) and `region` (ISO 3166-2, with or without "US-").

    Everywhere else, and where the country is unknown, it is the EU's.
    """
    code = normalise(country)
    if code in UNITED_KINGDOM:
        return Regime.UK
    if code == "CH":
        return Regime.CH
    if code == "US" and region.strip().upper().removeprefix("US-") == "CA":
        return Regime.US_CA
    return Regime.EU


def receipt_zone(received_at: datetime, regime: str, country: str, *, controller: str) -> str:
    """The time zone in which a moment of receipt becomes a day. `country` (ISO 3166-1) is the person's, or empty.

    The EU, the United Kingdom and Switzerland bind the controller where it is established, and California's days
    are California's. A country that only borrows the EU's rule names no zone: the earlier day of the controller's and
    the person's counts, and the answer is due no later than either wants it. Who names no country has the EU's rule
    as it is.

    In the evening in Brazil it is the next day in Dublin already:

    >>> evening = datetime.fromisoformat("2026-07-01T00:30Z")
    >>> receipt_zone(evening, "eu", "BR", controller="Europe/Dublin")
    'America/Noronha'
    >>> receipt_zone(evening, "eu", "FR", controller="Europe/Dublin")
    'Europe/Dublin'
    """
    ours = local_date(received_at, controller)
    if regime == Regime.US_CA:
        return CALIFORNIA_ZONE
    country = normalise(country)
    is_borrowed = regime == Regime.EU and country and country not in EEA | WITH_THE_EU
    # Outside of the years there is no clock, and the first and last days of the calendar have no neighbours.
    if not is_borrowed or ours.year not in YEARS or days.at(received_at).of(country).last >= ours:
        return controller
    theirs = [zone.key for zone in days.zones().get(country, [])] or [FARTHEST_ZONE]
    return min(theirs, key=lambda zone: local_date(received_at, zone))


def local_date(moment: datetime, time_zone: str) -> date:
    """The day on which `moment` falls in `time_zone`. Raises ValueError for a naive time or an unknown zone."""
    if moment.utcoffset() is None:
        raise ValueError("A time without an offset belongs to no day: say where it was read.")
    try:
        return moment.astimezone(_zone(time_zone)).date()
    except OverflowError as error:
        raise ValueError("The time is outside the calendar.") from error


def is_prompt(received_on: date, asked_on: date, *, within_days: int) -> bool:
    """Whether identity was asked for soon enough after receipt to stop a clock."""
    return received_on <= asked_on <= received_on + timedelta(days=within_days)


# --- The clock ----------------------------------------------------------------------------------
def start(received_at: datetime | date, regime: str, *, time_zone: str, country: str = "") -> Clock:
    """The clock of a request received at a moment, or on a day as the law counts it.

    `time_zone` is the controller's, `country` the person's: `receipt_zone` says which of their days counts. A weekend counts as any day does. Raises ValueError for a naive time, an unknown regime or time zone,
    and a year whose public holidays are not known (before 2000; from late in 2100 on).
    """
    _zone(time_zone)
    if isinstance(received_at, datetime):
        time_zone = receipt_zone(received_at, Regime(regime), country, controller=time_zone)
        received_at = local_date(received_at, time_zone)
    elif regime == Regime.US_CA:
        time_zone = CALIFORNIA_ZONE
    return _counted(Regime(regime), received_at, time_zone, pauses=())


def answered(clock: Clock, *, asked_on: date, answered_on: date, was_prompt: bool) -> Clock:
    """The clock after an identity request was answered; the request is kept with it even if the clock ran on.

    Raises ValueError for days that cannot have followed each other.
    """
    if asked_on < max([clock.receipt_date, *(pause.answered for pause in clock.pauses)]):
        raise ValueError("Identity cannot be asked for before the request was received.")
    if answered_on < asked_on:
        raise ValueError("An identity request cannot be answered before it was made.")

    stops = is_paused_by_identity(clock, asked_on=asked_on, was_prompt=was_prompt)
    if stops and _restarts(clock):
        pauses = (*clock.pauses, Pause(asked_on, answered_on, days=0))
        return _counted(Regime(clock.regime), answered_on, clock.time_zone, pauses=pauses)
    days = (answered_on - asked_on).days if stops else 0
    pauses = (*clock.pauses, Pause(asked_on, answered_on, days))
    if not days:
        # The dates stay as they were kept, whatever today's calendar says.
        return replace(clock, pauses=pauses)
    return _counted(Regime(clock.regime), clock.receipt_date, clock.time_zone, pauses=pauses)


def why_no_identity(regime: str | None) -> str:
    """Why the law lets no identity request be made to a person who opts out; empty where it does.

    California: an opt-out needs no verified identity (CCPA Regulations, 11 CCR § 7026(d)).
    """
    if regime == Regime.US_CA:
        return "In California an opt-out needs no identification (CCPA regulations, § 7026(d))."
    return ""


def is_paused_by_identity(clock: Clock, *, asked_on: date, was_prompt: bool) -> bool:
    """Whether the clock stops while an identity request made on `asked_on` is open.

    EU: if asked promptly (Art. 12(6); EDPB Guidelines 01/2022). UK: yes, under Art. 12A.
    A request received before Art. 12A applied is treated as in the EU, because the text was the same. California: never,
    because no identity is asked for (`why_no_identity`).
    Switzerland: never, no rule stops its thirty days. A period that has ended cannot be stopped.
    """
    if asked_on > clock.base_due:
        return False
    if _restarts(clock):
        return True
    return was_prompt and clock.regime in {Regime.EU, Regime.UK}


def _restarts(clock: Clock) -> bool:
    """Whether an identity request starts this clock again: a UK request received under Art. 12A.

    A request received before keeps its old clock, whenever identity is asked for (SI 2026/82, reg. 4). A
    restart moves `receipt_date` later, so the question stays answered.
    """
    return clock.regime == Regime.UK and clock.receipt_date >= UK_ARTICLE_12A


def _counted(
    regime: Regime, receipt_date: date, time_zone: str, *, pauses: tuple[Pause, ...]
) -> Clock:
    if receipt_date.year not in YEARS:
        raise ValueError(f"{receipt_date} is not in the years {YEARS[0]} to {YEARS[-1]}.")
    calendar = CALENDARS[regime]
    # What stood still before a restart no longer counts.
    shift = timedelta(days=sum(p.days for p in pauses if p.asked >= receipt_date))
    alarm = extended_raw = extended_due = refuse_by_extended = None
    if regime == Regime.US_CA:
        base_raw = base_due = _business_days_after(calendar, receipt_date, CALIFORNIA_DAYS)
    elif regime == Regime.CH:
        base_raw = base_due = receipt_date + timedelta(days=SWISS_DAYS)
    else:
        base_raw = _months_after(receipt_date, 1) + shift
        base_due = _rolled(calendar, base_raw)
        # From receipt, never from the due date.
        extended_raw = _months_after(receipt_date, 3) + shift
        extended_due = _rolled(calendar, extended_raw)
        refuse_by_extended = base_due
    if regime == Regime.UK:
        alarm = base_raw - _DAY
        # Art. 12A extends the time for a refusal too; the old Art. 12(4) was the EU's.
        if receipt_date >= UK_ARTICLE_12A:
            refuse_by_extended = extended_due
    return Clock(
        regime=regime.value,
        rule=_rule(regime, receipt_date),
        calendar=calendar,
        calendar_version=CALENDAR_VERSION if calendar else "",
        time_zone=time_zone,
        receipt_date=receipt_date,
        base_raw=base_raw,
        base_due=base_due,
        target=min(receipt_date + timedelta(days=TARGET_DAYS) + shift, base_due),
        alarm=alarm,
        extended_raw=extended_raw,
        extended_due=extended_due,
        refuse_by=base_due,
        refuse_by_extended=refuse_by_extended,
        pauses=pauses,
    )


def _rule(regime: Regime, receipt_date: date) -> str:
    if regime == Regime.UK:
        article = "12A" if receipt_date >= UK_ARTICLE_12A else "12(3)"
        return f"UK GDPR Art. {article}: one month, to the next working day."
    return {
        Regime.EU: "GDPR Art. 12(3): one month, to the next working day "
        "(Regulation 1182/71 Art. 3(4)).",
        Regime.US_CA: "CCPA Regulations, 11 CCR § 7026(f): 15 business days, "
        "without federal holidays (5 U.S.C. § 6103(a)).",
        # The Act sets no time for an objection: the ordinance's for a request for information is taken.
        Regime.CH: "FADP Art. 30(2)(b), with the time of DPO Art. 18(1): 30 days.",
    }[regime]


# --- Calendars ----------------------------------------------------------------------------------
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is no time zone: a name like Europe/Dublin.") from error


def _months_after(day: date, count: int) -> date:
    """The same day `count` months on, or that month's last (GDPR Art. 12(3) counts calendar months)."""
    year, month = divmod(day.year * 12 + day.month - 1 + count, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


# A calendar takes a millisecond to build, a deadline microseconds.
@cache
def _public_holidays(calendar: str, year: int) -> dict[date, str]:
    country, _, subdivision = calendar.partition("-")
    found = holidays.country_holidays(country, subdiv=subdivision or None, years=year)
    if not found:
        # The package answers for years it does not know as if all their weekdays were worked.
        raise ValueError(f"The public holidays of {calendar} in {year} are not known.")
    if calendar == CALENDARS[Regime.US_CA]:
        return {day: name for day, name in found.items() if not _is_day_off_before(day, name)}
    return dict(found)


def _is_day_off_before(day: date, name: str) -> bool:
    """Whether it is the Friday on which federal offices observe a holiday that falls on a Saturday.

    5 U.S.C. § 6103(b) gives that Friday to employees; the holiday of § 6103(a) keeps its own date, so the
    Friday is a business day. A holiday on a Sunday is observed on the Monday, which is none.
    """
    return day.weekday() == _FRIDAY and name.endswith("(observed)")


def _is_working_day(calendar: str, day: date) -> bool:
    return day.weekday() < _SATURDAY and day not in _public_holidays(calendar, day.year)


def _rolled(calendar: str, day: date) -> date:
    """`day`, or the next working day."""
    while not _is_working_day(calendar, day):
        day += _DAY
    return day


def _business_days_after(calendar: str, day: date, count: int) -> date:
    """The last of `count` business days, the first of which is the next after `day`."""
    for _ in range(count):
        day = _rolled(calendar, day + _DAY)
    return day


# --- In words -----------------------------------------------------------------------------------
def explained(clock: Clock, *, is_extended: bool = False) -> list[str]:
    """How each date came about, in sentences for staff. The dates are the clock's own, never computed again."""
    is_restarted = any(_has_restarted(clock, pause) for pause in clock.pauses)
    why = "the day of the answer" if is_restarted else "the day of receipt"
    sentences = [
        f"Counted from {in_words(clock.receipt_date)}, {why} in {_place(clock.time_zone)}.",
        clock.rule,
        *(_pause_explained(clock, pause) for pause in clock.pauses),
    ]
    if clock.regime == Regime.US_CA:
        sentences += _california_explained(clock)
    elif clock.regime == Regime.CH:
        sentences.append(
            f"Thirty days end on {in_words(clock.base_due)}. Weekends and holidays, which differ by canton, "
            "do not move that day, and there is no extension."
        )
    else:
        sentences += _months_explained(clock, is_extended=is_extended)
    days = (clock.target - clock.receipt_date).days
    return [*sentences, f"Our own target is {in_words(clock.target)}, after {days:,} days."]


def in_words(day: date) -> str:
    """Sunday 5 April 2026."""
    return f"{day:%A} {_short(day)}"


def _place(time_zone: str) -> str:
    return "UTC−12" if time_zone == FARTHEST_ZONE else time_zone


def _short(day: date) -> str:
    return f"{day.day} {day:%B} {day.year}"


def _has_restarted(clock: Clock, pause: Pause) -> bool:
    return _restarts(clock) and pause.days == 0 and pause.answered <= clock.receipt_date


def _pause_explained(clock: Clock, pause: Pause) -> str:
    what = f"Identity was asked for on {_short(pause.asked)} and answered on {_short(pause.answered)}: "
    if _has_restarted(clock, pause):
        return what + "the time counts anew from the answer (UK GDPR Art. 12A)."
    if pause.days:
        days = "1 day" if pause.days == 1 else f"{pause.days:,} days"
        return f"{what}the clock stood still for {days} (GDPR Art. 12(6))."
    if clock.regime == Regime.US_CA:
        return what + "the clock ran on, an opt-out needs no identity (11 CCR § 7026(d))."
    if clock.regime == Regime.CH:
        return what + "the clock ran on, no Swiss rule stops it."
    if pause.asked == pause.answered:
        return what + "nothing to add to the time."
    return what + "the clock ran on, it was asked for too late."


def _california_explained(clock: Clock) -> Iterator[str]:
    yield (
        f"Fifteen business days, the first of them the next after receipt, end on "
        f"{in_words(clock.base_due)}. There is no extension."
    )
    # Under another calendar the days left out may have been others.
    if clock.calendar_version == CALENDAR_VERSION:
        span = (clock.base_due - clock.receipt_date).days
        days = [clock.receipt_date + timedelta(days=n) for n in range(1, span)]
        left_out = [
            f"{_short(day)} ({_public_holidays(clock.calendar, day.year)[day]})"
            for day in days
            if day.weekday() < _SATURDAY and not _is_working_day(clock.calendar, day)
        ]
        if left_out:
            yield f"No business day: {', '.join(left_out)}."


def _months_explained(clock: Clock, *, is_extended: bool) -> Iterator[str]:
    assert clock.extended_raw and clock.extended_due and clock.refuse_by_extended
    yield f"One month ends on {_end_explained(clock, 1, clock.base_raw)}."
    yield from _roll_explained(clock, clock.base_raw, clock.base_due)
    yield f"An answer is due by {in_words(clock.base_due)}."
    if clock.alarm:
        yield (
            f"The strictest reading takes the first day into the month, which then ends a day earlier: "
            f"the alarm is set for {in_words(clock.alarm)}."
        )
    end = _end_explained(clock, 3, clock.extended_raw)
    if is_extended:
        yield f"Extended: three months, from the same start and not from the due date, end on {end}."
    else:
        yield (
            "It can be extended once, by a notice sent before that day is over: three months from the "
            f"same start end on {end}."
        )
    yield from _roll_explained(clock, clock.extended_raw, clock.extended_due)
    if clock.regime == Regime.UK and clock.receipt_date >= UK_ARTICLE_12A:
        yield f"An extension moves a refusal too: to {in_words(clock.refuse_by_extended)}."
    else:
        yield (
            f"An extension does not move a refusal: its letter is due by "
            f"{in_words(clock.refuse_by_extended)} (GDPR Art. 12(4))."
        )


def _end_explained(clock: Clock, count: int, raw: date) -> str:
    end = _months_after(clock.receipt_date, count)
    words = in_words(end)
    if end.day < clock.receipt_date.day:
        words += ", the last day of a shorter month"
    if raw > end:
        words += f"; with the pause, on {in_words(raw)}"
    return words


def _roll_explained(clock: Clock, raw: date, due: date) -> Iterator[str]:
    if due > raw:
        skipped = [raw + timedelta(days=n) for n in range((due - raw).days)]
        reasons = ", ".join(f"{_short(day)} is {_why_not_working(clock, day)}" for day in skipped)
        yield f"{reasons}: the next working day is {in_words(due)}."


def _why_not_working(clock: Clock, day: date) -> str:
    known = _public_holidays(clock.calendar, day.year)
    if known.get(day + _DAY) == "Easter Monday":
        return "Easter Sunday"
    reasons = [f"a {day:%A}"] if day.weekday() >= _SATURDAY else []
    reasons += [known[day]] if day in known else []
    return " and ".join(reasons) or f"no working day in {clock.calendar_version}"
