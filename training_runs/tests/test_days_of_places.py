"""A day begins in one place before another: what tightens holds from the first on, what loosens from the last."""

import datetime as dt
import itertools

import pytest
import time_machine

from consent.countries import NAMES
from consent.models import Member, Notice
from consent.rulebook import days
from outsider import verify
from tools import factories
from training_runs.eligibility import calendars
from training_runs.models import Manifest
from training_runs.runs import freezing, registering
from training_runs.tests.three_ways import agreed

pytestmark = pytest.mark.django_db(transaction=True)

LONG_AGO = dt.date(2024, 9, 18)


def at(text):
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def reasons(engineer, moment, account) -> list[str]:
    """The reasons in a run frozen at a moment."""
    with time_machine.travel(at(moment), tick=False):
        archive = agreed(factories.freeze(engineer))
    number = Member.objects.get(reference__account_ref=account).pk
    return archive.reasons(number)


@pytest.fixture
def past(officer, second_officer):
    with time_machine.travel(at("2024-09-18T15:00"), tick=False):
        factories.open_world(officer, second_officer)
        factories.add_members(3)


@pytest.mark.parametrize(
    ("moment", "expected"),
    [("2024-10-10T15:45", []), ("2024-10-10T16:00", ["region"]), ("2024-10-10T20:00", ["region"])],
)
def test_hong_kong_is_out_as_soon_as_the_day_of_its_exclusion_begins_there(
    past, officer, second_officer, engineer, moment, expected
):
    with time_machine.travel(at("2024-10-01T00:00"), tick=False):
        factories.add_member("hongkonger", country="HK")
        factories.allow(
            officer,
            second_officer,
            codes=["HK"],
            rule="excluded",
            effective_from=dt.date(2024, 10, 11),
        )

    assert reasons(engineer, moment, "hongkonger") == expected


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2025-11-03T03:00", ["region"]),  # the day has begun nowhere in Canada
        ("2025-11-03T04:00", ["region"]),  # it has in Newfoundland
        ("2025-11-03T07:59", ["region"]),
        ("2025-11-03T08:00", []),  # it has in Vancouver too
    ],
)
def test_canada_is_in_once_the_day_has_begun_everywhere_there(
    past, officer, second_officer, engineer, moment, expected
):
    with time_machine.travel(at("2025-09-18T12:00"), tick=False):
        factories.add_member("canadian", country="CA")
        for rule, day in (
            ("excluded", dt.date(2024, 12, 10)),
            ("default-on", dt.date(2025, 11, 3)),
        ):
            factories.allow(officer, second_officer, codes=["CA"], rule=rule, effective_from=day)

    assert reasons(engineer, moment, "canadian") == expected


@pytest.mark.parametrize(
    ("country", "moment", "expected"),
    [
        ("US", "2026-05-02T02:00", ["minor"]),  # 16:00 of the day before in Honolulu
        ("US", "2026-05-02T10:00", []),
        ("JP", "2026-05-01T15:00", []),
        ("JP", "2026-05-01T14:59", ["minor"]),
        ("XK", "2026-05-02T11:59", ["minor"]),  # no zone is known: the last one on Earth
        ("XK", "2026-05-02T12:00", []),
    ],
)
def test_a_member_is_of_age_once_the_day_has_begun_everywhere_in_the_country(
    past, engineer, country, moment, expected
):
    factories.add_member("young", country=country, adult_on=dt.date(2026, 5, 2))

    assert reasons(engineer, moment, "young") == expected


def test_a_notice_covers_once_its_day_has_begun_everywhere(past, officer, second_officer, engineer):
    """Superseded by a narrower one, a notice covers nothing more from the first place on."""
    with time_machine.travel(at("2025-01-01T00:00"), tick=False):
        factories.add_member("australian", country="AU")
        factories.add_member("briton", country="GB")
        factories.publish(
            officer, second_officer, categories=["profile"], in_force_from=dt.date(2025, 3, 1),
            supersedes=Notice.objects.get(),
        )  # fmt: skip

    moment = "2025-02-28T14:00"
    assert reasons(engineer, moment, "australian") == ["no_notice"]
    assert reasons(engineer, moment, "briton") == []


def test_a_run_that_waited_past_a_midnight_somewhere_is_as_of_then(past, engineer):
    with time_machine.travel(at("2025-11-03T07:50"), tick=False):
        run = registering.start(run=factories.register(engineer), actor=engineer)
    with time_machine.travel(at("2025-11-03T07:55"), tick=False):
        pass
    with time_machine.travel(at("2025-11-03T08:05"), tick=False):
        manifest = freezing.freeze(run.pk)

    # Midnight in Vancouver lay in between.
    assert Manifest.objects.get().run.as_of == at("2025-11-03T08:05")
    assert manifest.header["as_of"] == "2025-11-03T08:05:00.000000Z"


def test_the_header_seals_the_days_it_was_where(past, engineer):
    with time_machine.travel(at("2025-06-01T15:30"), tick=False):
        sealed = factories.freeze(engineer).header["days"]

    assert sealed["world"] == "2025-06-01/2025-06-02"
    assert "JP" in sealed["places"]["2025-06-02"]
    assert "US" in sealed["places"]["2025-06-01"]
    assert "AU" in sealed["places"]["2025-06-01/2025-06-02"]
    assert not {"XK", "BV", "HM"} & {code for codes in sealed["places"].values() for code in codes}


# --- Two calendars, and what the outsider accepts ------------------------------------------------------


def test_both_calendars_say_the_same_of_every_country():
    start = at("2024-09-18T00:00")
    for number in range(60):
        moment = start + number * dt.timedelta(days=17, hours=5, minutes=15)
        assert days.at(moment).plain() == calendars.Calendar.at(moment, None).plain()
    some = sorted(NAMES)[::9]
    for country, number in itertools.product(some, range(0, 800, 113)):
        day = LONG_AGO + dt.timedelta(days=number)
        assert days.begins_everywhere(day, country) == calendars.everywhere_from(day, country)
        assert days.begins_somewhere(day, country) == calendars.somewhere_from(day, country)


@pytest.mark.parametrize(
    "change",
    [
        {"world": "2025-06-01"},
        {"world": "2025-06-01/2025-06-03"},
        {"places": {"2025-06-03": ["JP"]}},
        {"places": {"2025-06-02": ["JP"], "2025-06-01": ["JP"]}},
        {"places": {"2025-06-02/2025-06-01": ["JP"]}},
    ],
)
def test_the_outsider_refuses_days_that_it_cannot_be(change):
    sealed = days.at(at("2025-06-01T15:30")).plain()
    verify.Calendar(sealed, "2025-06-01T15:30:00.000000Z")

    with pytest.raises(ValueError):
        verify.Calendar({**sealed, **change}, "2025-06-01T15:30:00.000000Z")
