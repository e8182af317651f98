"""Calendar days by place: which day it is in a country at an instant, first and last.

A rule, a notice, a majority has a day of the calendar, and a day begins in one place before another: in Auckland 21
hours before Honolulu. What tightens holds as soon as its day has begun anywhere in the country, what loosens once it
has begun everywhere there. The zones of countries come from the pinned package `tzdata` (IANA time zone database). A
place without zones (XK, BV, HM) has the first and the last zone there are: UTC+14 and UTC-12.
"""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.metadata import version
from importlib.resources import files
from typing import Any
from zoneinfo import ZoneInfo

VERSION = f"tzdata {version('tzdata')}"
QUARTER = dt.timedelta(minutes=15)
"""Every zone is whole quarters of an hour from UTC: within one no day begins anywhere."""
FIRST, LAST = dt.timedelta(hours=14), dt.timedelta(hours=-12)
"""The offsets of the zones in which a day begins first and last."""
_DAY = dt.timedelta(days=1)


@cache
def zones() -> dict[str, list[ZoneInfo]]:
    """Country (ISO 3166-1) to its zones."""
    found: dict[str, list[ZoneInfo]] = {}
    for line in (files("tzdata") / "zoneinfo" / "zone1970.tab").read_text("utf-8").splitlines():
        if line.startswith("#"):
            continue
        codes, _, name = line.split("\t")[:3]
        for code in codes.split(","):
            found.setdefault(code, []).append(_zone(name))
    return found


@cache
def _zone(name: str) -> ZoneInfo:
    """A zone of the package: the machine's own table may be older."""
    with (files("tzdata") / "zoneinfo").joinpath(*name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


@dataclass(frozen=True)
class Span:
    """The days that it is in a place: one, or two or three where it has several zones or none is known."""

    last: dt.date
    """The newest day that has begun everywhere in the place."""
    first: dt.date
    """The newest day that has begun anywhere in the place; never before `last`."""

    def __iter__(self) -> Iterator[dt.date]:
        """Each day from the one that has begun everywhere on."""
        return iter(self.last + n * _DAY for n in range((self.first - self.last).days + 1))

    def __str__(self) -> str:
        """A date, or two as an interval of ISO 8601."""
        return f"{self.last}" if self.first == self.last else f"{self.last}/{self.first}"


@dataclass(frozen=True)
class Days:
    """The days that it is at an instant, by country."""

    world: Span
    """For what has no place, and for a place of which no zone is known."""
    by_country: dict[str, Span]
    """Only those that have zones."""
    ahead: frozenset[str]
    """Countries in which no day begins later than in UTC."""

    def content_from(self, day: dt.date, country: str) -> dt.date:
        """The first day in UTC whose whole content is from a day on, as the country counts days.

        Content carries moments in UTC. Where the day begins later than in UTC, the day after is the first whole one.
        """
        return day if country in self.ahead else day + _DAY

    def of(self, country: str) -> Span:
        return self.by_country.get(country, self.world)

    def by_span(self) -> dict[Span, list[str]]:
        """The countries by the days that it is there, the oldest day first."""
        found: dict[Span, list[str]] = {}
        for country, span in sorted(self.by_country.items()):
            found.setdefault(span, []).append(country)
        return dict(sorted(found.items(), key=lambda item: (item[0].last, item[0].first)))

    def plain(self) -> dict[str, Any]:
        """The days as a manifest's header seals them (docs/reference/manifest-format.md)."""
        return {
            "zones": VERSION,
            "world": str(self.world),
            "places": {str(span): codes for span, codes in self.by_span().items()},
            "ahead": sorted(self.ahead),
        }


def at(moment: dt.datetime) -> Days:
    """The days that it is at a moment."""
    moment = moment.astimezone(dt.UTC)
    seconds = moment.timestamp() // QUARTER.total_seconds() * QUARTER.total_seconds()
    return _at(dt.datetime.fromtimestamp(seconds, dt.UTC))


@lru_cache(maxsize=64)
def _at(quarter: dt.datetime) -> Days:
    def span(country_zones: list[ZoneInfo]) -> Span:
        days = [quarter.astimezone(zone).date() for zone in country_zones]
        return Span(min(days), max(days))

    return Days(
        Span((quarter + LAST).date(), (quarter + FIRST).date()),
        {country: span(found) for country, found in zones().items()},
        _ahead(quarter.year),
    )


@cache
def _ahead(year: int) -> frozenset[str]:
    """Countries of which no zone is behind UTC in winter or in summer."""
    samples = [dt.datetime(year, month, 1, tzinfo=dt.UTC) for month in (1, 7)]
    return frozenset(
        country
        for country, found in zones().items()
        if all(
            (moment.astimezone(zone).utcoffset() or dt.timedelta()) >= dt.timedelta()
            for zone in found
            for moment in samples
        )
    )


def on(day: dt.date) -> Days:
    """A day that has begun everywhere and is the only one: for questions about a date of the calendar."""
    span = Span(day, day)
    return Days(span, dict.fromkeys(zones(), span), _ahead(day.year))


def same_days(one: dt.datetime, other: dt.datetime) -> bool:
    """Whether no day has begun anywhere between two moments."""
    return at(one) == at(other) and abs(one - other) < _DAY


def begins_everywhere(day: dt.date, country: str) -> dt.datetime:
    """The instant from which on a day has begun everywhere in a country."""
    return max(_midnights(day, country))


def begins_somewhere(day: dt.date, country: str) -> dt.datetime:
    """The instant at which a day begins in the first place of a country."""
    return min(_midnights(day, country))


def _midnights(day: dt.date, country: str) -> list[dt.datetime]:
    midnight = dt.datetime.combine(day, dt.time(), dt.UTC)
    if country not in zones():
        return [midnight - FIRST, midnight - LAST]
    # Where clocks go forward at midnight, Python takes the offset before: the instant at which the day begins.
    return [midnight.replace(tzinfo=zone).astimezone(dt.UTC) for zone in zones()[country]]
