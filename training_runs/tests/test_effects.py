"""Effects of a proposed rule or notice on members, by the freeze's own code, before anything is approved."""

import datetime as dt
import time

import pytest
from django.urls import reverse

from common import registry
from consent.choices import DataCategory, ReviewVerdict, RuleKind
from consent.models import Census, Notice, RegionRule
from consent.rulebook import days, effects, proposing
from ledger import clock
from ledger.errors import LedgerError
from ledger.models import Entry
from tools import factories
from training_runs.eligibility.exclusions import ask, decide

pytestmark = pytest.mark.django_db(transaction=True)

TODAY = dt.date(2025, 11, 3)


def rule(codes, kind="default-on", **more):
    return {
        "purpose": "generative-ai",
        "countries": codes,
        "rule": kind,
        "effective_from": TODAY,
        "source": "a statement",
        **more,
    }


@pytest.fixture
def europe(officer, second_officer, product):
    """A notice everywhere; the United States are in, Germany and France have no rule."""
    factories.publish(officer, second_officer)
    factories.allow(officer, second_officer, codes=["US"])
    factories.add_members(3, country="US", prefix="us")
    factories.add_members(6, country="DE", prefix="de")
    factories.add_members(4, country="FR", prefix="fr")
    factories.add_member("child", country="DE", adult_on=clock.today() + dt.timedelta(days=400))
    factories.decide("de-1", "deny", actor=product)
    factories.objection("fr-1")


def in_country(effect):
    return {
        row.country: (row.let_in, row.kept_out, row.objected, row.out_otherwise)
        for row in effect.by_country
    }


def test_a_lift_says_whom_it_lets_in_and_who_objected_and_stays_out(europe, officer):
    entries_before = Entry.objects.count()
    row = proposing.drafted_rule(**rule(["DE", "FR", "IT"]), actor=officer)

    (effect,) = effects.effects_of(row).found

    assert effect.sentence == "lets in 8 members in 2 countries; 2 more objected and stay out"
    assert in_country(effect) == {"DE": (5, 0, 1, 1), "FR": (3, 0, 1, 0)}
    assert (RegionRule.objects.filter(countries=["DE", "FR", "IT"]).exists(), row.pk) == (
        False,
        None,
    )
    assert Entry.objects.count() == entries_before


def test_the_figures_are_those_of_the_freeze_after_the_approval(europe, officer, second_officer):
    row = proposing.propose_rule(**rule(["DE", "FR"]), actor=officer)
    (foretold,) = effects.effects_of(row).found
    asked = ("generative-ai", days.on(clock.today()), [DataCategory.POSTS])
    before = decide(ask(*asked)).included

    proposing.review(
        proposal=row, verdict=ReviewVerdict.APPROVED, actor=second_officer, reason="read"
    )

    assert foretold.let_in == len(decide(ask(*asked)).included - before) == 8


def test_an_exclusion_says_whom_it_keeps_out(europe, officer):
    row = proposing.drafted_rule(**rule(["US"], "excluded"), actor=officer)

    (effect,) = effects.effects_of(row).found

    assert effect.sentence == "keeps out 3 members in 1 country"
    assert in_country(effect) == {"US": (0, 3, 0, 0)}


def test_an_opt_in_rule_lets_in_only_who_said_yes(europe, officer):
    row = proposing.drafted_rule(**rule(["DE", "FR"], "opt-in"), actor=officer)

    (effect,) = effects.effects_of(row).found

    assert effect.sentence == "lets in no member and keeps out none"


def test_a_rule_without_a_notice_lets_in_no_member(officer):
    factories.add_members(6, country="DE", prefix="de")
    row = proposing.drafted_rule(**rule(["DE"]), actor=officer)

    (effect,) = effects.effects_of(row).found

    assert (effect.categories, effect.by_country) == ((), ())


def test_a_later_exclusion_stands_against_a_lift_of_an_earlier_day(europe, officer):
    later = TODAY + dt.timedelta(days=5)
    proposing.propose_rule(**rule(["FR"], "excluded", effective_from=later), actor=officer)
    row = proposing.drafted_rule(**rule(["DE", "FR"]), actor=officer)

    (effect,) = effects.effects_of(row).found

    assert in_country(effect) == {"DE": (5, 0, 1, 1)}


def notice(**more):
    return {
        "version": "wider",
        "purposes": ["generative-ai"],
        "data_categories": [DataCategory.POSTS, DataCategory.JOBS],
        "countries": ["US", "DE"],
        "published_on": TODAY,
        "in_force_from": TODAY + dt.timedelta(days=46),
        "texts": factories.TEXTS,
        "source": "the text",
        **more,
    }


def test_a_notice_is_counted_by_the_data_that_it_and_the_others_name(officer, second_officer):
    factories.publish(officer, second_officer, categories=[DataCategory.POSTS], codes=["US"])
    factories.allow(officer, second_officer)
    factories.add_members(3, country="US", prefix="us")
    factories.add_members(2, country="DE", prefix="de")
    row = proposing.drafted_notice(**notice(), actor=officer)

    found = {one.categories: in_country(one) for one in effects.effects_of(row).found}

    assert found == {
        (DataCategory.POSTS,): {"DE": (2, 0, 0, 0)},
        (DataCategory.JOBS,): {"DE": (2, 0, 0, 0), "US": (3, 0, 0, 0)},
    }


def test_a_narrower_notice_keeps_out_the_countries_it_does_not_name_any_more(
    officer, second_officer
):
    old = factories.publish(officer, second_officer, codes=["US", "DE"])
    factories.allow(officer, second_officer, purposes=["safety"])
    factories.add_members(3, country="US", prefix="us")
    facts = notice(countries=["DE"], data_categories=DataCategory.values, supersedes=old)
    row = proposing.drafted_notice(**facts, actor=officer)

    found = {one.purpose: in_country(one) for one in effects.effects_of(row).found}

    assert found == {
        "generative-ai": {},
        "personalisation": {},
        "safety": {"US": (0, 3, 0, 0)},
    }


def test_members_are_judged_on_the_day_the_row_takes_effect(europe, officer):
    soon = clock.today() + dt.timedelta(days=401)
    row = proposing.drafted_rule(**rule(["DE"], effective_from=soon), actor=officer)

    (effect,) = effects.effects_of(row).found

    assert (effect.on, effect.let_in) == (soon, 6)


def test_without_the_runs_the_effect_is_an_error_and_never_none(europe, officer, monkeypatch):
    monkeypatch.setitem(registry._hooks, "consent.effect_on_members", [])
    row = proposing.drafted_rule(**rule(["DE"]), actor=officer)

    with pytest.raises(LedgerError, match="eligibility"):
        effects.effects_of(row)


def test_a_guard_of_the_freeze_refuses_in_words(europe, officer):
    Census.objects.update(complete=1)
    row = proposing.drafted_rule(**rule(["DE"]), actor=officer)

    assert "the census says 1" in effects.effects_of(row).refusal


def test_the_preview_of_a_rule_counts_and_records_nothing(europe, officer, client_of):
    typed = rule("DE FR", reason="") | {"effective_from": "2025-11-03"}
    address = reverse("admin:consent_regionrule_add")

    shown = client_of(officer).post(address, typed | {"preview": "Preview"})

    assert "lets in 8 members in 2 countries; 2 more objected and stay out." in shown.text
    assert "Nothing is recorded yet" in shown.text
    assert not RegionRule.objects.filter(source="a statement").exists()


def test_a_preview_of_a_broken_form_asks_to_correct_it(europe, officer, client_of):
    address = reverse("admin:consent_notice_add")

    shown = client_of(officer).post(address, {"version": "x", "preview": "Preview"})

    assert "Correct the fields below" in shown.text
    assert not Notice.objects.filter(version="x").exists()


def test_the_reviewer_sees_the_count_and_so_does_the_rules_own_page(
    europe, officer, second_officer, client_of
):
    row = proposing.propose_rule(**rule(["DE", "FR"]), actor=officer)
    sentence = "lets in 8 members in 2 countries; 2 more objected and stay out."

    for name in ("review", "change"):
        shown = client_of(second_officer).get(
            reverse(f"admin:consent_regionrule_{name}", args=[row.pk])
        )
        assert sentence in shown.text


def test_the_api_answers_a_proposal_with_its_counts(europe, officer, client_of):
    sent = rule(["DE", "FR"]) | {"effective_from": "2025-11-03"}

    answer = client_of(officer).post("/api/v1/region-rules", sent, content_type="application/json")

    (effect,) = answer.json()["effects"]["found"]
    assert answer.json()["effects"]["refusal"] == ""
    assert (effect["let_in"], effect["objected"], effect["data_categories"]) == (
        8,
        2,
        list(DataCategory.values),
    )
    assert effect["by_country"][0] == {
        "country": "DE",
        "let_in": 5,
        "kept_out": 0,
        "objected": 1,
        "out_otherwise": 1,
    }


@pytest.mark.slow
def test_two_hundred_thousand_members_are_counted_in_seconds(officer, second_officer):
    factories.publish(officer, second_officer)
    factories.add_members(100_000, country="US", prefix="us")
    factories.add_members(100_000, country="DE", prefix="de")
    row = proposing.drafted_rule(**rule(["DE", "US"], RuleKind.DEFAULT_ON), actor=officer)

    started = time.perf_counter()
    (effect,) = effects.effects_of(row).found

    assert (effect.let_in, len(effect.by_country)) == (200_000, 2)
    assert time.perf_counter() - started < 10
