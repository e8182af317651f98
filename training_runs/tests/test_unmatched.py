"""Objections that reach no account: a start says how many there are, and asks where one is too old."""

import datetime as dt

import pytest
from django.urls import reverse
from django.utils import timezone

from consent.choices import ReviewVerdict
from consent.rulebook import proposing
from ledger.models import Entry
from objections import acts
from objections.models import Ticket
from tools import factories
from training_runs.runs import unmatched

pytestmark = pytest.mark.django_db(transaction=True)

GENERATIVE = "generative-ai"


@pytest.fixture
def api(client_of, engineer):
    return client_of(engineer)


@pytest.fixture(autouse=True)
def world(officer, second_officer):
    factories.open_world(officer, second_officer)
    return factories.add_members(3)


def days_ago(days: float) -> dt.datetime:
    return timezone.now() - dt.timedelta(days=days)


def unmatched_objection(days: float, **more) -> Ticket:
    return factories.objection(channel="paper", received_at=days_ago(days), **more)


def start(client, run, **body):
    return client.post(f"/api/v1/runs/{run.reference}/start", body, "application/json")


def reason_of(run) -> str:
    return Entry.objects.get(kind="run.requested", subject=run.reference).reason


def test_a_young_one_is_counted_and_asks_for_nothing(api, engineer):
    unmatched_objection(6.9)
    run = factories.register(engineer)

    answer = start(api, run)

    assert answer.status_code == 202
    found = answer.json()["unmatched_objections"]
    assert (found["count"], found["max_days"], found["needs_acceptance"]) == (1, 7, False)
    assert reason_of(run) == ""


def test_an_old_one_refuses_the_start_until_it_is_accepted(api, engineer):
    unmatched_objection(2)
    oldest = unmatched_objection(12.5)
    run = factories.register(engineer)

    refused = start(api, run)
    started = start(api, run, accept_unmatched=True)

    assert (refused.status_code, refused.json()["code"]) == (409, "unmatched_objections")
    (reason,) = refused.json()["reasons"]
    assert (reason["count"], reason["oldest_days"], reason["max_days"]) == (2, 12, 7)
    assert dt.datetime.fromisoformat(reason["oldest_received_at"]) == oldest.received_at
    assert started.status_code == 202
    assert reason_of(run) == (
        "Accepted by who started it: 2 open objections to the purpose reach no account yet;"
        " the oldest was received 12 days ago."
    )


def test_the_policy_of_the_day_decides(api, engineer, officer, second_officer):
    unmatched_objection(12.5)
    row = proposing.propose_policy(
        kind="unmatched-days",
        value=20,
        effective_from=factories.LONG_AGO,
        source="x",
        actor=officer,
    )
    assert row.needs_approval
    before = unmatched.of_purpose(GENERATIVE)

    proposing.review(proposal=row, verdict=ReviewVerdict.APPROVED, actor=second_officer, reason="x")

    assert before.needs_acceptance
    assert not unmatched.of_purpose(GENERATIVE).needs_acceptance
    assert start(api, factories.register(engineer)).status_code == 202


def test_only_open_ones_of_the_purpose_that_reach_no_account_count(officer):
    unmatched_objection(12, purposes=["safety"])
    factories.objection("acc-0", is_vouched=False)
    factories.uphold(unmatched_objection(12), officer)
    matched = unmatched_objection(12)
    without = unmatched_objection(12)
    waiting = unmatched_objection(12)

    acts.match.do(
        ticket=matched, account_ref="acc-1", reason="x", version=matched.version, actor=officer
    )
    acts.no_account.do(ticket=without, reason="x", version=without.version, actor=officer)

    found = unmatched.of_purpose(GENERATIVE)
    assert (found.count, found.oldest_received_at) == (1, waiting.received_at)
    assert unmatched.of_purpose("personalisation").count == 0


def test_a_person_without_an_account_who_is_matched_later_has_one(officer):
    ticket = unmatched_objection(12)
    acts.no_account.do(ticket=ticket, reason="x", version=ticket.version, actor=officer)
    ticket.refresh_from_db()

    acts.match.do(
        ticket=ticket, account_ref="acc-1", reason="x", version=ticket.version, actor=officer
    )

    ticket.refresh_from_db()
    assert ticket.without_account_at is None


def test_the_start_page_asks_with_a_tick(client_of, engineer):
    unmatched_objection(12)
    run = factories.register(engineer)
    page = reverse("admin:training_runs_run_start", args=[run.pk])
    browser = client_of(engineer)

    shown = browser.get(page).content.decode()
    refused = browser.post(page, {}).content.decode()
    browser.post(page, {"accept_unmatched": "on"})

    assert (
        "1 open objection to the purpose reaches no account yet; it was received 12 days ago."
        in shown
    )
    assert "Start without finding the accounts of 1 objection" in shown
    assert "longer than the 7 days that the policy allows" in refused
    assert reason_of(run).startswith("Accepted by who started it: 1 open objection")


def test_the_runs_page_says_how_many_until_it_is_frozen(client_of, engineer):
    run = factories.register(engineer)
    frozen = factories.freeze(engineer).run
    unmatched_objection(2)
    browser = client_of(engineer)

    def page_of(one) -> str:
        return browser.get(
            reverse("admin:training_runs_run_change", args=[one.pk])
        ).content.decode()

    assert "1 open objection to the purpose reaches no account yet" in page_of(run)
    assert "reaches no account" not in page_of(frozen)


def test_the_run_in_the_api_has_it_until_it_is_frozen(api, engineer):
    run = factories.register(engineer)
    frozen = factories.freeze(engineer).run
    unmatched_objection(2)

    def said(one):
        return api.get(f"/api/v1/runs/{one.reference}").json()["unmatched_objections"]

    assert said(run)["count"] == 1
    assert said(frozen) is None
