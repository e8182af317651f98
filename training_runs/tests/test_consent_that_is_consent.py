"""In a country that asks, a yes counts only under a notice that was in force and covers the use, after the rule was known."""

import datetime as dt

import pytest
import time_machine

from consent.models import Member, Notice
from tools import factories
from training_runs.tests.three_ways import agreed

pytestmark = pytest.mark.django_db(transaction=True)

OUT, IN = ["not_opted_in"], []


def at(text):
    return time_machine.travel(dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC), tick=False)


@pytest.fixture(autouse=True)
def past(officer, second_officer):
    with at("2025-01-01T12:00"):
        factories.allow(officer, second_officer)
        factories.publish(officer, second_officer, version="profiles", categories=["profile"])
        factories.add_members(3)
        factories.add_member("korean", country="KR")


def opt_in(officer, second_officer, day, moment):
    with at(moment):
        factories.allow(
            officer, second_officer, codes=["KR"], rule="opt-in",
            effective_from=dt.date.fromisoformat(day),
        )  # fmt: skip


def publish(officer, second_officer, moment, **facts):
    with at(moment):
        return factories.publish(
            officer, second_officer, in_force_from=dt.date.fromisoformat(moment[:10]), **facts
        )


def yes(product, moment, notice):
    with at(moment):
        factories.decide("korean", "allow", actor=product, notice_version=notice)


def reasons(engineer, moment="2025-12-01T12:00") -> list[str]:
    """In a run on posts."""
    with at(moment):
        archive = agreed(factories.freeze(engineer))
    return archive.reasons(Member.objects.get(reference__account_ref="korean").pk)


@pytest.fixture
def world(officer, second_officer):
    publish(officer, second_officer, "2025-02-01T12:00", version="posts")
    opt_in(officer, second_officer, "2025-03-01", "2025-02-20T12:00")


def test_a_yes_under_a_notice_in_force_that_names_the_data_counts(world, product, engineer):
    yes(product, "2025-03-02T12:00", "posts")

    assert reasons(engineer) == IN


@pytest.mark.parametrize("notice", ["", "never-published", "profiles"])
def test_a_yes_under_no_notice_or_one_that_does_not_name_the_data_is_none(
    world, product, engineer, notice
):
    yes(product, "2025-03-02T12:00", notice)

    assert reasons(engineer) == OUT


def test_a_yes_under_a_notice_that_is_not_in_force_yet_is_none(
    world, officer, second_officer, product, engineer
):
    with at("2025-04-01T12:00"):
        factories.publish(
            officer, second_officer, version="later", in_force_from=dt.date(2025, 5, 1)
        )
    yes(product, "2025-04-30T14:59", "later")

    assert reasons(engineer) == OUT

    # In Seoul the day begins at 15:00 UTC.
    yes(product, "2025-04-30T15:00", "later")
    assert reasons(engineer) == IN


def test_a_yes_under_a_notice_that_was_superseded_by_then_is_none(
    world, officer, second_officer, product, engineer
):
    yes(product, "2025-03-02T12:00", "posts")
    publish(
        officer, second_officer, "2025-06-01T00:00", version="newer",
        supersedes=Notice.objects.get(version="posts"),
    )  # fmt: skip
    assert reasons(engineer) == IN

    yes(product, "2025-06-02T12:00", "posts")
    assert reasons(engineer) == OUT


def test_widening_the_notice_asks_again_and_narrowing_keeps_what_was_given(
    officer, second_officer, product, engineer
):
    opt_in(officer, second_officer, "2025-03-01", "2025-02-20T12:00")
    yes(product, "2025-03-02T12:00", "profiles")
    wide = publish(
        officer, second_officer, "2025-06-01T00:00", version="wide",
        supersedes=Notice.objects.get(version="profiles"),
    )  # fmt: skip
    assert reasons(engineer, "2025-06-02T12:00") == OUT

    yes(product, "2025-06-03T12:00", "wide")
    publish(
        officer, second_officer, "2025-07-01T00:00", version="narrow", supersedes=wide,
        categories=["posts", "profile"],
    )  # fmt: skip
    assert reasons(engineer, "2025-07-02T12:00") == IN


@pytest.mark.parametrize(
    ("day", "recorded", "said", "expected"),
    [
        # Back-dated: it asked no member in March.
        ("2025-03-01", "2025-05-01T12:00", "2025-04-01T12:00", OUT),
        ("2025-03-01", "2025-05-01T12:00", "2025-05-01T12:01", IN),
        # Known ahead: it asks from its day in Seoul on.
        ("2025-06-01", "2025-05-01T12:00", "2025-05-31T14:59", OUT),
        ("2025-06-01", "2025-05-01T12:00", "2025-05-31T15:00", IN),
    ],
)
def test_a_setting_left_on_never_becomes_consent(
    officer, second_officer, product, engineer, day, recorded, said, expected
):
    publish(officer, second_officer, "2025-02-01T12:00", version="posts")
    moments = sorted([(recorded, "rule"), (said, "yes")])
    for _, act in moments:
        if act == "rule":
            opt_in(officer, second_officer, day, recorded)
        else:
            yes(product, said, "posts")

    assert reasons(engineer) == expected


@pytest.mark.parametrize("day", ["2025-02-01", "2025-03-01", "2025-09-01"])
def test_listing_the_same_rule_again_keeps_what_was_given(
    world, officer, second_officer, product, engineer, day
):
    yes(product, "2025-03-02T12:00", "posts")
    opt_in(officer, second_officer, day, "2025-08-01T12:00")

    assert reasons(engineer) == IN


def test_a_rule_that_asked_nothing_in_between_begins_anew(
    world, officer, second_officer, product, engineer
):
    yes(product, "2025-03-02T12:00", "posts")
    with at("2025-05-01T12:00"):
        factories.allow(officer, second_officer, codes=["KR"], effective_from=dt.date(2025, 5, 1))
    opt_in(officer, second_officer, "2025-08-01", "2025-08-01T12:00")

    assert reasons(engineer) == OUT
