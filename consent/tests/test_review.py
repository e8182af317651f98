"""Proposals and their review: two people, one final word."""

import datetime as dt

import pytest

from consent.choices import Purpose, ReviewVerdict, RuleKind
from consent.errors import (
    AlreadyReviewed,
    AlreadySuperseded,
    NeedsSecondPerson,
    VersionReused,
)
from consent.models import Notice, RegionRule, Review
from consent.rulebook import proposing
from ledger.errors import InvalidInput
from ledger.models import Entry
from ledger.verification import verifying
from tools import factories

pytestmark = pytest.mark.django_db

DAY = dt.date(2025, 6, 1)


def a_rule(actor, **other):
    facts = {
        "purpose": Purpose.GENERATIVE_AI,
        "countries": ["US"],
        "rule": RuleKind.DEFAULT_ON,
        "effective_from": DAY,
        "source": "test",
    }
    return proposing.propose_rule(**{**facts, **other}, actor=actor)


def a_notice(actor, **other):
    facts = {
        "version": "2025-06",
        "purposes": [Purpose.GENERATIVE_AI],
        "data_categories": ["posts"],
        "countries": ["US"],
        "published_on": DAY - factories.NOTICE_PERIOD,
        "in_force_from": DAY,
        "texts": factories.TEXTS,
        "source": "test",
    }
    return proposing.propose_notice(**{**facts, **other}, actor=actor)


def review(proposal, actor, verdict=ReviewVerdict.APPROVED, reason="read and agreed"):
    return proposing.review(proposal=proposal, verdict=verdict, actor=actor, reason=reason)


@pytest.mark.parametrize("propose", [a_rule, a_notice])
def test_the_proposer_may_not_decide_and_nothing_is_written(propose, officer):
    proposal = propose(officer)
    entries = Entry.objects.count()

    for verdict in ReviewVerdict:
        with pytest.raises(NeedsSecondPerson):
            review(proposal, officer, verdict)

    assert Review.objects.count() == 0
    assert Entry.objects.count() == entries


@pytest.mark.parametrize("propose", [a_rule, a_notice])
@pytest.mark.parametrize("verdict", ReviewVerdict)
def test_a_verdict_is_final(propose, verdict, officer, second_officer):
    proposal = propose(officer)
    review(proposal, second_officer, verdict)

    for other in ReviewVerdict:
        with pytest.raises(AlreadyReviewed):
            review(type(proposal).objects.get(pk=proposal.pk), second_officer, other)

    assert Review.objects.get().verdict == verdict
    approved = type(proposal).objects.approved()
    assert list(approved) == ([proposal] if verdict == ReviewVerdict.APPROVED else [])
    assert list(type(proposal).objects.waiting()) == []


def test_a_tightening_holds_at_once_and_takes_no_verdict(officer, second_officer):
    proposal = a_rule(officer, rule=RuleKind.EXCLUDED)

    assert list(RegionRule.objects.approved()) == [proposal]
    with pytest.raises(AlreadyReviewed):
        review(proposal, second_officer, ReviewVerdict.REJECTED)


def test_each_step_is_an_entry_with_its_person(officer, second_officer):
    rule, notice = a_rule(officer), a_notice(officer)
    review(rule, second_officer)
    review(notice, second_officer, ReviewVerdict.REJECTED, reason="not clear enough")

    assert list(
        Entry.objects.order_by("sequence").values_list("kind", "actor_name", "subject", "reason")
    ) == [
        ("rule.proposed", "olga", f"region-rule:{rule.pk}", ""),
        ("notice.proposed", "olga", "notice:2025-06", ""),
        ("rule.approved", "otto", f"region-rule:{rule.pk}", "read and agreed"),
        ("notice.rejected", "otto", "notice:2025-06", "not clear enough"),
    ]
    assert verifying.verify_ledger().problems == []


def test_a_verdict_says_why(officer, second_officer):
    with pytest.raises(InvalidInput) as refusal:
        review(a_rule(officer), second_officer, reason=" ")

    assert refusal.value.field == "reason"


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"purpose": "advertising"}, "purpose"),
        ({"rule": "maybe"}, "rule"),
        ({"countries": []}, "countries"),
        ({"source": " "}, "source"),
        ({"source": "x" * 301}, "source"),
    ],
)
def test_a_rule_that_means_nothing_is_refused(officer, wrong, field):
    with pytest.raises(InvalidInput) as refusal:
        a_rule(officer, **wrong)

    assert refusal.value.field == field
    assert Entry.objects.count() == 0


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"purposes": ["advertising"]}, "purposes"),
        ({"purposes": []}, "purposes"),
        ({"data_categories": ["private-messages"]}, "data_categories"),
        ({"countries": []}, "countries"),
        ({"source": ""}, "source"),
        ({"in_force_from": DAY - dt.timedelta(days=31)}, "in_force_from"),
    ],
)
def test_a_notice_that_means_nothing_is_refused(officer, wrong, field):
    with pytest.raises(InvalidInput) as refusal:
        a_notice(officer, **wrong)

    assert refusal.value.field == field
    assert Entry.objects.count() == 0


def test_a_version_is_used_once_and_superseded_once(officer):
    first = a_notice(officer)
    assert a_notice(officer) == first
    with pytest.raises(VersionReused):
        a_notice(officer, source="elsewhere")

    a_notice(officer, version="2", supersedes=first)
    with pytest.raises(AlreadySuperseded):
        a_notice(officer, version="3", supersedes=first)

    assert set(Notice.objects.values_list("version", flat=True)) == {"2025-06", "2"}


def test_the_latest_rule_sent_again_is_the_same_rule(officer):
    first = a_rule(officer)

    assert a_rule(officer) == first
    assert RegionRule.objects.count() == 1


def test_the_same_words_after_another_rule_are_a_change_back(officer):
    first = a_rule(officer, rule="excluded")
    a_rule(officer, rule="opt-in")

    again = a_rule(officer, rule="excluded")

    assert again != first


def test_a_rejected_rule_may_be_proposed_again(officer, second_officer):
    first = a_rule(officer, rule="default-on")
    proposing.review(
        proposal=first, verdict=ReviewVerdict.REJECTED, actor=second_officer, reason="no"
    )

    assert a_rule(officer, rule="default-on") != first


def test_a_rejected_notice_blocks_no_other(officer, second_officer):
    first = a_notice(officer)
    rejected = a_notice(officer, version="2", supersedes=first)
    proposing.review(
        proposal=rejected, verdict=ReviewVerdict.REJECTED, actor=second_officer, reason="no"
    )

    assert a_notice(officer, version="3", supersedes=first).supersedes == first
    with pytest.raises(VersionReused):
        a_notice(officer, version="2", supersedes=first)
