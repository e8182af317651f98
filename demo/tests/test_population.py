import csv
import datetime as dt
import gzip
from collections import Counter

import pytest

from consent.countries import NAMES
from demo import population

TODAY = dt.date(2026, 3, 1)


@pytest.fixture(scope="module")
def people():
    return list(population.members(50_000, today=TODAY))


def test_the_same_seed_gives_the_same_members():
    first, again = (list(population.members(500, today=TODAY, seed=7)) for _ in range(2))

    assert first == again
    assert first != list(population.members(500, today=TODAY, seed=8))


def test_a_larger_population_begins_with_the_smaller_one():
    assert list(population.members(900, today=TODAY))[:300] == list(
        population.members(300, today=TODAY)
    )


def test_no_reference_comes_twice(people):
    assert len({person.account_ref for person in people}) == len(people)


def test_every_country_of_the_table_is_one_the_portal_knows():
    assert population.MILLIONS.keys() - NAMES.keys() == set()


@pytest.mark.parametrize("country", ["IN", "US", "DE", "GB", "CA"])
def test_a_country_has_its_share_of_the_world(people, country):
    found = Counter(person.country for person in people)[country] / len(people)

    expected = population.MILLIONS[country] / sum(population.MILLIONS.values())
    assert found == pytest.approx(expected, abs=0.005)


@pytest.mark.parametrize(
    ("share", "belongs"),
    [
        (population.CLOSED_SHARE, lambda person: person.status == "closed"),
        (population.UNKNOWN_AGE_SHARE, lambda person: person.birth_date == ""),
        (population.MINOR_SHARE, lambda person: person.birth_date > "2008-03-01"),
        (population.ODD_COUNTRY_SHARE, lambda person: person.country in population.ODD_COUNTRIES),
    ],
    ids=["closed", "unknown age", "minor", "odd country"],
)
def test_the_awkward_cases_have_their_share(people, share, belongs):
    assert sum(map(belongs, people)) / len(people) == pytest.approx(share, rel=0.25)


def test_the_file_says_what_the_population_is(tmp_path):
    path = tmp_path / "members.csv.gz"

    population.write_csv(path, population.members(20, today=TODAY))

    with gzip.open(path, "rt", newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["account_ref", "country", "birth_date", "status"]
    assert [population.Person(*row) for row in rows[1:]] == list(
        population.members(20, today=TODAY)
    )
