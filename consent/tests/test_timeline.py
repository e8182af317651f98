"""The timeline: what it lets in on each date, loaded once, by two people."""

import datetime as dt
import io

import pytest
from django.core.management import CommandError, call_command

from consent.choices import Purpose, ReviewVerdict, RuleKind
from consent.countries import FOLLOWING_THE_EU, GROUPS, NAMES
from consent.models import Notice, RegionRule, Review
from consent.rulebook import days, policies, proposing, rules, timeline
from ledger.models import Entry

pytestmark = pytest.mark.django_db


def load(proposer, approver, until=""):
    out = io.StringIO()
    arguments = ["--proposed-by", proposer.username, "--approved-by", approver.username]
    call_command("load_timeline", *arguments, *(["--until", until] if until else []), stdout=out)
    return out.getvalue().splitlines()


NAMED_IN_2024 = [
    "profile",
    "posts",
    "feedback",
    "language-preference",
    "usage-frequency",
    "generative-inputs",
]


def usable(day, categories=NAMED_IN_2024):
    """Countries in which a rule and a notice in force let generative AI use these categories."""
    found = rules.ruling(Purpose.GENERATIVE_AI, days.on(day), categories)
    return found.allowed & found.covered


EEA_CH = GROUPS["EEA"] | {"CH"}
UK = {"GB", "GI", "JE", "GG", "IM"}
FIRST = set(NAMES) - EEA_CH - FOLLOWING_THE_EU - {"CN"}


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        ("2024-09-17", set()),
        ("2024-09-18", FIRST),
        ("2024-09-19", FIRST),
        ("2024-09-20", FIRST - UK),
        ("2024-10-10", FIRST - UK),
        ("2024-10-11", FIRST - UK - {"HK"}),
        ("2024-12-09", FIRST - UK - {"HK"}),
        ("2024-12-10", FIRST - UK - {"HK", "CA"}),
        ("2025-11-02", FIRST - UK - {"HK", "CA"}),
        ("2025-11-03", set(NAMES) - FOLLOWING_THE_EU - {"CN"}),
    ],
)
def test_each_date_lets_in_exactly_the_countries_of_its_day(officer, second_officer, day, expected):
    load(officer, second_officer)

    assert usable(dt.date.fromisoformat(day)) == expected


@pytest.mark.parametrize(
    ("category", "day", "expected"),
    [
        ("job-data", "2025-11-02", set()),
        ("group-activity", "2025-11-02", set()),
        # The notice of 2025 was given to the countries that joined with it, and to no other.
        ("job-data", "2025-11-03", EEA_CH | UK | {"CA", "HK"}),
        ("group-activity", "2025-11-03", EEA_CH | UK | {"CA", "HK"}),
    ],
)
def test_a_category_is_usable_only_where_a_notice_names_it(
    officer, second_officer, category, day, expected
):
    load(officer, second_officer)

    assert usable(dt.date.fromisoformat(day), [category]) == expected


def test_a_code_that_iso_adds_later_is_out_until_a_source_admits_it(
    officer, second_officer, monkeypatch
):
    monkeypatch.setitem(NAMES, "ZQ", "a country of tomorrow")

    load(officer, second_officer)

    assert usable(dt.date(2024, 9, 18)) == FIRST
    assert usable(dt.date(2025, 11, 3)) == FIRST | EEA_CH


def test_every_country_is_in_one_row_of_the_first_day_and_none_is_inferred():
    first = [
        row.countries
        for row in timeline.TIMELINE
        if isinstance(row, timeline.RuleRow) and row.effective_from == dt.date(2024, 9, 18)
    ]

    assert sorted(code for countries in first for code in countries) == sorted(NAMES)
    assert [set(countries) for countries in first if countries & set(OF_THEIR_OWN)] == [
        {"CN"},
        {"CA"},
        {"HK"},
        {"MO"},
        {"TW"},
    ]


OF_THEIR_OWN = ("CA", "CN", "HK", "MO", "TW")


@pytest.mark.parametrize(
    ("until", "notices", "loaded"),
    [
        ("2024-09-17", [], 1),
        ("2024-09-18", ["2024-09-18"], 12),
        ("2024-09-20", ["2024-09-18"], 14),
        ("2024-10-11", ["2024-09-18"], 15),
        ("2024-12-10", ["2024-09-18"], 16),
        ("2025-09-18", ["2024-09-18", "2025-09-18"], 17),
        ("2025-11-03", ["2024-09-18", "2025-09-18"], 18),
    ],
)
def test_until_loads_what_was_known_by_that_day(officer, second_officer, until, notices, loaded):
    lines = load(officer, second_officer, until)

    assert len(lines) == loaded
    assert list(Notice.objects.order_by("id").values_list("version", flat=True)) == notices
    assert usable(dt.date.fromisoformat(until)) == usable_after_all(officer, second_officer, until)


def usable_after_all(officer, second_officer, until):
    load(officer, second_officer)
    return usable(dt.date.fromisoformat(until))


def test_loading_in_steps_and_again_loads_each_row_once(officer, second_officer):
    for day in ("2024-09-18", "2024-10-11", "2025-11-03"):
        load(officer, second_officer, day)
    entries = Entry.objects.count()

    again = load(officer, second_officer)

    assert [line.rsplit(": ", 1)[1] for line in again] == ["there already"] * len(timeline.TIMELINE)
    assert Entry.objects.count() == entries
    assert (Notice.objects.count(), RegionRule.objects.count()) == (2, 13)


def test_rules_that_admit_members_were_proposed_by_one_and_approved_by_the_other(
    officer, second_officer
):
    load(officer, second_officer)

    assert set(RegionRule.objects.values_list("rule", "needs_approval", "proposed_by")) == {
        (RuleKind.DEFAULT_ON, True, officer.pk),
        (RuleKind.EXCLUDED, False, officer.pk),
    }
    assert set(Review.objects.values_list("verdict", "reviewer")) == {
        (ReviewVerdict.APPROVED, second_officer.pk)
    }
    assert Review.objects.count() == 10


def test_one_person_in_both_parts_is_refused(officer):
    with pytest.raises(CommandError, match="name two different people"):
        load(officer, officer)

    assert Entry.objects.count() == 0


def test_a_person_whose_role_may_not_propose_or_approve_is_refused(officer, engineer):
    with pytest.raises(CommandError, match="emil may not do this"):
        load(officer, engineer)
    with pytest.raises(CommandError, match="emil may not do this"):
        load(engineer, officer)

    assert not Entry.objects.exclude(kind="team.created").exists()


def test_an_unknown_user_is_named(officer, stranger):
    stranger.username = "not-here"

    with pytest.raises(CommandError, match="There is no user 'not-here'"):
        load(officer, stranger)


def test_a_load_that_broke_off_before_an_approval_is_completed(officer, second_officer):
    timeline.TIMELINE[1].propose(officer)

    lines = load(officer, second_officer, "2024-09-18")

    assert lines[1].endswith(": was proposed, now approved")
    assert usable(dt.date(2024, 9, 18)) == FIRST


def test_a_rejected_row_stays_rejected(officer, second_officer):
    period, notice = timeline.TIMELINE[1:3]
    for row, verdict in ((period, ReviewVerdict.APPROVED), (notice, ReviewVerdict.REJECTED)):
        proposing.review(
            proposal=row.propose(officer), verdict=verdict, actor=second_officer, reason="not yet"
        )

    lines = load(officer, second_officer, "2024-09-18")

    assert lines[2].endswith(": was rejected, left so")
    assert usable(dt.date(2024, 9, 18)) == set()


def test_without_the_exception_of_2024_its_notice_is_refused(officer, second_officer):
    period, notice = timeline.TIMELINE[1:3]
    proposing.review(
        proposal=period.propose(officer),
        verdict=ReviewVerdict.REJECTED,
        actor=second_officer,
        reason="no exceptions",
    )

    with pytest.raises(CommandError, match="from 2024-10-18 at the earliest: 30 days of notice"):
        load(officer, second_officer)

    assert (notice.find(), usable(dt.date(2025, 1, 1))) == (None, set())


def test_the_exception_holds_for_its_day_only(officer, second_officer):
    load(officer, second_officer)

    days = [policies.notice_days(dt.date(2024, 9, day), NAMES) for day in (17, 18, 19)]

    assert [set(found.values()) for found in days] == [{30}, {0}, {30}]


def test_every_text_says_that_it_is_reconstructed(officer, second_officer):
    load(officer, second_officer)

    for row in Notice.objects.all():
        assert "Reconstructed" in row.texts["en"]
    assert Notice.objects.get(version="2025-09-18").languages == ["de", "en"]
