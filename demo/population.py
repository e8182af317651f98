"""Synthetic members of a network that people all over the world use.

Country shares follow the total population at mid-2024 in United Nations, Department of Economic and Social
Affairs, Population Division, *World Population Prospects 2024* (medium variant), in millions, rounded. The other
shares are the demo's own. No person here exists: references are numbered and scrambled, and the same seed and day give
the same members.
"""

import csv
import datetime as dt
import gzip
import itertools
import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

MILLIONS = {
    "IN": 1450.9, "CN": 1419.3, "US": 345.4, "ID": 283.5, "PK": 251.3, "NG": 232.7, "BR": 212.0,
    "BD": 173.6, "RU": 144.8, "ET": 132.1, "MX": 130.9, "JP": 123.8, "EG": 116.5, "PH": 115.8,
    "VN": 101.0, "IR": 91.6, "TR": 87.5, "DE": 84.6, "TH": 71.7, "GB": 69.1, "FR": 66.5, "ZA": 64.0,
    "IT": 59.3, "KE": 56.4, "CO": 52.9, "KR": 51.7, "ES": 47.9, "AR": 45.7, "CA": 39.7, "PL": 38.5,
    "MA": 38.1, "UA": 37.9, "MY": 35.6, "GH": 34.4, "PE": 34.2, "SA": 34.0, "CI": 31.9, "AU": 26.7,
    "TW": 23.2, "LK": 23.1, "CL": 19.8, "RO": 19.0, "GT": 18.4, "NL": 18.2, "EC": 18.1, "BE": 11.7,
    "AE": 11.0, "CZ": 10.7, "SE": 10.6, "PT": 10.4, "GR": 10.0, "HU": 9.7, "IL": 9.4, "AT": 9.1,
    "CH": 8.9, "HK": 7.4, "DK": 6.0, "SG": 5.8, "FI": 5.6, "NO": 5.6, "IE": 5.3, "NZ": 5.2,
    "RE": 0.9, "MT": 0.5, "IS": 0.4, "JE": 0.1,
}  # fmt: skip

# What senders write besides clean codes: names of other standards, groups, nothing.
ODD_COUNTRIES = ("UK", "EL", "ZZ", "EU", "", "Atlantis")

ODD_COUNTRY_SHARE = 0.005
MINOR_SHARE = 0.02
UNKNOWN_AGE_SHARE = 0.01
CLOSED_SHARE = 0.03

_ODD_NUMBER = 2_654_435_761


class Person(NamedTuple):
    account_ref: str
    country: str
    birth_date: str
    """ISO date, or empty when the product does not know it."""
    status: str


def members(count: int, *, today: dt.date, seed: int = 2024) -> Iterator[Person]:
    """`count` members whose ages are counted on `today`; a larger count begins with the smaller one."""
    chance = random.Random(seed)
    countries, shares = list(MILLIONS), list(itertools.accumulate(MILLIONS.values()))
    for number in range(1, count + 1):
        if chance.random() < ODD_COUNTRY_SHARE:
            country = chance.choice(ODD_COUNTRIES)
        else:
            country = chance.choices(countries, cum_weights=shares)[0]
        yield Person(
            # Multiplying by an odd number only shuffles the numbers below 2^32: none comes twice.
            account_ref=f"acc-{number * _ODD_NUMBER % 2**32:08x}",
            country=country,
            birth_date=_birth_date(chance, today),
            status="closed" if chance.random() < CLOSED_SHARE else "open",
        )


def _birth_date(chance: random.Random, today: dt.date) -> str:
    kind = chance.random()
    if kind < UNKNOWN_AGE_SHARE:
        return ""
    if kind < UNKNOWN_AGE_SHARE + MINOR_SHARE:
        years = chance.uniform(13, 17)
    else:
        # Working age, most of all the thirties.
        years = chance.triangular(19, 75, 32)
    return (today - dt.timedelta(days=int(years * 365.25))).isoformat()


def write_csv(path: Path, people: Iterable[Person]) -> None:
    """A file as the product would send it, for `manage.py import_members`."""
    with gzip.open(path, "wt", compresslevel=1, newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(Person._fields)
        table.writerows(people)
