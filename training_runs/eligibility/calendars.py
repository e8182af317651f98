"""The second way's calendar: which days it is where, found apart from `consent.rulebook.days`.

It reads the same table, `zone1970.tab` of the pinned time zone database, a country at a time, and finds a day's
beginning by looking at one quarter of an hour after the other instead of by arithmetic.
"""

import datetime as dt
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from typing import Any, Self
from zoneinfo import ZoneInfo

_DAY = dt.timedelta(days=1)
_HOUR = dt.timedelta(hours=1)
_STEP = dt.timedelta(minutes=15)


@cache
def _zones_of(country: str) -> list[ZoneInfo]:
    found = []
    for row in _rows():
        if country in row[0].split(","):
            with (files("tzdata") / "zoneinfo").joinpath(*row[2].split("/")).open("rb") as file:
                found.append(ZoneInfo.from_file(file))
    return found


def _rows() -> list[list[str]]:
    table = (files("tzdata") / "zoneinfo" / "zone1970.tab").read_text("utf-8")
    return [line.split("\t") for line in table.splitlines() if not line.startswith("#")]


@cache
def _countries() -> list[str]:
    return sorted({country for row in _rows() for country in row[0].split(",")})


def _dates(country: str, moment: dt.datetime) -> list[dt.date]:
    zones = _zones_of(country)
    if not zones:
        return [(moment - 12 * _HOUR).date(), (moment + 14 * _HOUR).date()]
    return [moment.astimezone(zone).date() for zone in zones]


def everywhere_from(day: dt.date, country: str) -> dt.datetime:
    """The first quarter of an hour in which it is this day, or a later one, in each zone of a country."""
    moment = dt.datetime.combine(day, dt.time(), dt.UTC) - 15 * _HOUR
    while min(_dates(country, moment)) < day:
        moment += _STEP
    return moment


def somewhere_from(day: dt.date, country: str) -> dt.datetime:
    """The first quarter of an hour in which it is this day, or a later one, in any zone of a country."""
    moment = dt.datetime.combine(day, dt.time(), dt.UTC) - 15 * _HOUR
    while max(_dates(country, moment)) < day:
        moment += _STEP
    return moment


class Calendar:
    """The days that it is at an instant, by country: computed, or as a header seals them."""

    def __init__(self, sealed: Mapping[str, Any]) -> None:
        self._sealed = dict(sealed)
        self._spans = {
            country: span for span, countries in sealed["places"].items() for country in countries
        }

    @classmethod
    def at(cls, moment: dt.datetime, sealed: Mapping[str, Any] | None) -> Self:
        """Computed from the zones of this release, unless another release's days are sealed."""
        own = f"tzdata {version('tzdata')}"
        if sealed is not None and sealed["zones"] != own:
            return cls(sealed)
        moment = moment.astimezone(dt.UTC)
        places: dict[str, list[str]] = {}
        for country in _countries():
            days = _dates(country, moment)
            places.setdefault(_interval(min(days), max(days)), []).append(country)
        year = moment.year
        samples = [
            dt.datetime(year, 1, 1, 12, tzinfo=dt.UTC),
            dt.datetime(year, 7, 1, 12, tzinfo=dt.UTC),
        ]
        ahead = [
            country
            for country in _countries()
            if all(
                sample.astimezone(zone).replace(tzinfo=dt.UTC) >= sample
                for zone in _zones_of(country)
                for sample in samples
            )
        ]
        world = _interval((moment - 12 * _HOUR).date(), (moment + 14 * _HOUR).date())
        return cls({"zones": own, "world": world, "places": places, "ahead": ahead})

    def plain(self) -> dict[str, Any]:
        return self._sealed

    @property
    def world_days(self) -> list[dt.date]:
        return _days_of(self._sealed["world"])

    def days_in(self, country: str) -> list[dt.date]:
        """The days that it is in a country, from the one that has begun everywhere on."""
        return _days_of(self._spans.get(country, self._sealed["world"]))

    def everywhere(self, country: str) -> dt.date:
        return self.days_in(country)[0]

    def content_from(self, day: dt.date, country: str) -> dt.date:
        """The first day in UTC whose whole content is from a day of the country on."""
        return day if country in self._sealed["ahead"] else day + _DAY


def _interval(last: dt.date, first: dt.date) -> str:
    return str(last) if last == first else f"{last}/{first}"


def _days_of(interval: str) -> list[dt.date]:
    ends = [dt.date.fromisoformat(text) for text in interval.split("/")]
    return [ends[0] + n * _DAY for n in range((ends[-1] - ends[0]).days + 1)]
