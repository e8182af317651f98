"""One clock, the database's: what a wrong clock on a web server, or a database's that steps, can and cannot do."""

import datetime as dt
import itertools
import json
import re

import pytest
import time_machine
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from consent import accounts
from consent import decisions as consent
from consent.choices import Purpose, ReviewVerdict
from consent.decisions import DecisionInput
from consent.models import Consent, Member
from consent.public import member_links
from consent.rulebook import proposing
from ledger import checks, clock, entries, registry
from ledger.append_only import unguard_sql
from ledger.errors import ClocksDisagree
from ledger.models import ClockSettlement, ClockStep, Entry, LedgerHead
from ledger.verification import verifying
from outsider import verify
from tools import factories, sample_export
from training_runs.errors import FreezeRefused
from training_runs.models import Manifest, Run
from training_runs.runs import freezing
from training_runs.runs import registering as runs

_numbers = itertools.count(1)
DAYS = dt.timedelta(days=2)
WRONG = pytest.mark.parametrize("by", [DAYS, -DAYS, dt.timedelta(days=-3650)], ids=str)


@pytest.fixture
def web_clock(databases_own_clock):
    """The web server's clock alone is wrong by so much."""
    return lambda by: time_machine.travel(dt.datetime.now(dt.UTC) + by, tick=True)


@pytest.fixture
def database_clock():
    """The database's clock steps by so much; the web server's stays right. Its reading is all that is changed."""

    def step(by):
        real = clock.reading

        def stepped(database, asked):
            found = real(database, asked)
            at = found.at + by
            return clock.Reading(
                at, found.here, max(at - timezone.now(), asked - at, dt.timedelta(0))
            )

        patch.setattr(clock, "reading", stepped)

    patch = pytest.MonkeyPatch()
    yield step
    patch.undo()


def decide(choice, account_ref="acc-0"):
    return consent.record_decision(
        DecisionInput(
            account_ref=account_ref,
            purpose=Purpose.GENERATIVE_AI,
            choice=choice,
            channel="product",
            source_id=f"clock-{next(_numbers)}",
            decided_at=None,
        ),
        actor="test",
    )


# --- The web server's clock ---------------------------------------------------------------------


@WRONG
@pytest.mark.django_db
def test_an_entry_has_the_databases_time_whatever_the_web_server_says(web_clock, by):
    factories.add_member("acc-0")
    before = clock.now()

    with web_clock(by):
        decide("deny")
        ticket = factories.objection("acc-0")
        accounts.erase_member(account_ref="acc-0", actor="test", reason="asked for")

    entries = list(Entry.objects.filter(sequence__gt=1).order_by("sequence"))
    assert [entry.kind for entry in entries] == [
        "consent.decision", "objection.received", "member.erased",
    ]  # fmt: skip
    assert all(before <= entry.recorded_at <= clock.now() for entry in entries)
    assert before <= ticket.received_at <= clock.now()
    assert ClockStep.objects.count() == 3
    assert verifying.verify_ledger().problems == []


@WRONG
@pytest.mark.django_db(transaction=True)
def test_nothing_that_lets_in_is_written_while_the_clocks_disagree(
    web_clock, officer, second_officer, engineer, by
):
    factories.open_world(officer, second_officer)
    factories.add_member("acc-0")
    run, started = factories.register(engineer), factories.register(engineer)
    runs.start(run=started, actor=engineer)
    waiting = proposing.propose_rule(
        purpose="safety", countries=["CU"], rule="excluded",
        effective_from=factories.LONG_AGO, source="x", actor=officer,
    )  # fmt: skip
    assert not waiting.needs_approval
    loosening = proposing.propose_rule(
        purpose="safety", countries=["CU"], rule="default-on",
        effective_from=clock.today(), source="x", actor=officer,
    )  # fmt: skip
    size = Entry.objects.count()

    with web_clock(by):
        for refused in (
            lambda: decide("allow"),
            lambda: runs.start(run=run, actor=engineer),
            lambda: freezing.freeze(started.pk),
            lambda: factories.register(engineer),
            lambda: factories.add_member("acc-1"),
            lambda: proposing.review(
                proposal=loosening, verdict=ReviewVerdict.APPROVED, actor=second_officer, reason="x"
            ),
        ):
            with pytest.raises(ClocksDisagree):
                refused()

    assert Entry.objects.count() == size
    assert not ClockStep.objects.exists()
    assert decide("allow").in_force


@pytest.mark.django_db(transaction=True)
def test_who_is_17_by_the_databases_day_is_in_no_list_of_a_server_two_days_ahead(
    web_clock, officer, second_officer, engineer
):
    factories.open_world(officer, second_officer)
    adult_on = clock.today() + DAYS
    number = factories.add_member("nearly-18", adult_on=adult_on)
    factories.add_member("adult")
    run = factories.register(engineer)

    with web_clock(DAYS):
        assert "minor" in runs.preview(run).reasons(number)
        with pytest.raises(ClocksDisagree):
            runs.start(run=run, actor=engineer)
    with web_clock(dt.timedelta(seconds=50)):
        runs.start(run=run, actor=engineer)
        manifest = freezing.freeze(run.pk)

    assert Run.objects.get(pk=run.pk).as_of <= clock.now()
    assert freezing.load(manifest).reasons(number) == ["minor"]


@pytest.mark.django_db(transaction=True)
def test_a_run_as_of_a_moment_that_has_not_come_is_not_frozen(officer, second_officer, engineer):
    """As an earlier release, or a hand in the database, would have left it."""
    factories.open_world(officer, second_officer)
    factories.add_member("acc-0")
    run = runs.start(run=factories.register(engineer), actor=engineer)
    with entries.entry("run.as_of_changed", actor="test"):
        run = Run.objects.get(pk=run.pk)
        run.as_of = clock.now() + dt.timedelta(days=1)
        run.save()

    with pytest.raises(FreezeRefused, match="it waits for that moment"):
        freezing.freeze(run.pk)

    assert not Manifest.objects.exists()


# --- The database's clock -----------------------------------------------------------------------


@pytest.mark.django_db
def test_a_small_step_back_takes_the_time_of_the_entry_before(database_clock):
    factories.add_member("acc-0")
    first = Entry.objects.get()

    database_clock(dt.timedelta(seconds=-4))
    decide("allow")

    assert Entry.objects.get(sequence=2).recorded_at == first.recorded_at
    assert not ClockStep.objects.exists()
    assert entries.clocks_agree()


@pytest.mark.django_db
def test_a_deny_after_a_step_back_is_in_force_and_marked(database_clock, administrator):
    decide("allow")

    database_clock(-DAYS)
    answer = decide("deny")

    assert answer.in_force
    assert Consent.objects.get().choice == "deny"
    step = ClockStep.objects.get()
    assert (step.entry_id, step.previous_at) == (2, Entry.objects.get(pk=1).recorded_at)
    assert LedgerHead.objects.get().stepped_in == 2
    assert verifying.verify_ledger().problems == []
    history = verify.History()
    for line in sample_export.lines_of_the_database():
        history.add(json.loads(line))
    assert [choice for _, choice, _ in history.choices.values()] == ["deny"]


@pytest.mark.django_db
def test_an_administrator_settles_the_clocks_with_a_reason_once_they_agree(
    database_clock, administrator, officer, client_of
):
    decide("allow")
    database_clock(-DAYS)
    decide("deny")
    page = reverse("admin:ledger_clocksettlement_add")
    browser = client_of(administrator)

    early = browser.post(page, {"reason": "NTP was off"})
    database_clock(DAYS)  # and it is right again
    with pytest.raises(ClocksDisagree):
        decide("allow")
    start = browser.get(reverse("admin:index")).text
    answer = browser.post(page, {"reason": "NTP was off"}, follow=True)

    assert "still" in early.text
    assert "apart" in early.text
    assert "A step is unsettled since entry 2" in start
    assert "The clocks are settled" in answer.text
    settled = ClockSettlement.objects.select_related("entry").get()
    assert (settled.stepped_in, settled.entry.reason) == (2, "NTP was off")
    assert settled.entry.actor_name == administrator.username
    assert decide("allow").in_force
    assert verifying.verify_ledger().problems == []
    assert client_of(officer).get(page).status_code == 403


@pytest.mark.django_db
def test_after_a_step_the_denies_of_a_bulk_are_taken_and_its_allows_wait(
    database_clock, client_of, product
):
    decide("allow")
    database_clock(-DAYS)
    line = {
        "purpose": "generative-ai", "channel": "product", "decided_at": "2025-11-03T09:30:00Z",
    }  # fmt: skip
    text = "\n".join(
        json.dumps(
            {**line, "account_ref": f"b-{number}", "source_id": f"b-{number}", "choice": choice}
        )
        for number, choice in enumerate(["deny", "allow", "deny"])
    )

    api = client_of(product)
    answer = api.post("/api/v1/decisions/bulk", text, content_type="application/x-ndjson")
    one = api.post(
        "/api/v1/decisions",
        {**line, "account_ref": "c", "source_id": "c", "choice": "allow"},
        content_type="application/json",
    )

    lines = [json.loads(part) for part in answer.content.splitlines()]
    assert [(said["status"], said.get("code")) for said in lines] == [
        ("recorded", None), ("refused", "clocks_disagree"), ("recorded", None),
    ]  # fmt: skip
    assert (one.status_code, one.json()["code"]) == (503, "clocks_disagree")
    assert int(one["Retry-After"]) > 0


@pytest.mark.django_db
def test_an_allow_on_a_members_page_is_told_to_come_back_and_a_deny_is_taken(
    database_clock, officer, second_officer
):
    factories.open_world(officer, second_officer)
    browser = Client()
    member = Member.objects.get(pk=factories.add_member("acc-0"))
    browser.get(member_links.link_for(member).url.removeprefix(settings.PUBLIC_URL))
    page = reverse("setting")

    def press(choice):
        form_id = re.search(r'name="form_id" value="([^"]+)"', browser.get(page).text)[1]
        return browser.post(page, {"choice": choice, "form_id": form_id})

    press("deny")
    database_clock(-DAYS)
    allow = press("allow")
    deny = press("deny")

    assert (allow.status_code, allow["Retry-After"]) == (503, "5")
    assert "We cannot do this at the moment" in allow.text
    assert "clock" not in allow.text
    assert deny.status_code == 302
    assert Consent.objects.get().choice == "deny"


@pytest.mark.django_db
def test_letters_wait_for_the_clocks(database_clock, mailoutbox):
    factories.add_member("acc-0")
    ticket = factories.objection("acc-0")
    database_clock(-DAYS)

    factories.send_letters(ticket)
    assert mailoutbox == []

    database_clock(DAYS)
    factories.send_letters(ticket)
    assert len(mailoutbox) == 1


# --- Watching -----------------------------------------------------------------------------------


@pytest.mark.django_db
def test_readyz_and_the_start_see_that_the_clocks_disagree(web_clock, client):
    assert client.get("/readyz").json()["checks"]["clocks"] == "ok"
    assert checks.clocks_agree(None, ["default"]) == []

    with web_clock(dt.timedelta(minutes=2)):
        answer = client.get("/readyz")
        (warning,) = checks.clocks_agree(None, ["default"])

    assert answer.json()["checks"]["clocks"] == "failing"
    assert warning.id == "portal.W001"
    assert "120 seconds apart" in warning.msg or "119 seconds" in warning.msg


@pytest.mark.django_db
def test_an_entry_dated_backwards_without_a_mark_is_found():
    factories.add_member("acc-0")
    decide("deny")
    with connection.cursor() as cursor:
        for statement in unguard_sql(connection.vendor, "ledger_entry", Entry.guard):
            cursor.execute(statement)
        cursor.execute(
            "UPDATE ledger_entry SET recorded_at = %s WHERE sequence = 2",
            [dt.datetime(2016, 1, 1, tzinfo=dt.UTC)],
        )

    problems = verifying.verify_ledger().problems

    assert any("Entry 2 is recorded before entry 1" in problem for problem in problems)


def test_every_kind_of_entry_is_written_anyway_or_waits_for_the_clocks():
    """Each new kind needs a choice: an act that can admit a member waits."""
    waits = [kind.code for kind in registry.entry_kinds.values() if not kind.despite_clocks]

    assert sorted(kind for kind in waits if not kind.startswith(("test.", "bench."))) == WAIT


WAIT = [
    "account_map.made",
    "account_map.requested",
    "age_rule.approved",
    "assessment.approved",
    "assessment.written",
    "canary.objection_filed",
    "canary.opened",
    "canary.planted",
    "delivery.made",
    "delivery.requested",
    "delivery.verified",
    "delivery.withdrawals_acknowledged",
    "letter.cancelled",
    "letter.failed",
    "letter.repeated",
    "letter.requeued",
    "letter.sent",
    "letter.text_changed",
    "letter.text_proposed",
    "letter.text_returned",
    "manifest.verified",
    "members.imported",
    "model.changed",
    "notice.approved",
    "notice.delivery_recorded",
    "objection.address_confirmed",
    "objection.address_corrected",
    "objection.answer_delivered",
    "objection.candidate_chosen",
    "objection.country_corrected",
    "objection.decided",
    "objection.delivery_put_off",
    "objection.extension_asked",
    "objection.files_kept",
    "objection.identity_answered",
    "objection.identity_requested",
    "objection.identity_waived",
    "objection.no_account_confirmed",
    "objection.outcome_approved",
    "objection.outcome_proposed",
    "objection.released",
    "objection.review_begun",
    "policy.approved",
    "receipt.accepted",
    "recipient.changed",
    "recipient.received",
    "redaction.corrected",
    "redaction.erased",
    "redaction.keys_rotated",
    "redaction.lent",
    "redaction.person_told",
    "reveal.granted",
    "rule.approved",
    "run.as_of_changed",
    "run.completed",
    "run.failed",
    "run.frozen",
    "run.registered",
    "run.renamed",
    "run.requested",
    "run.training",
    "runner_key.registered",
    "team.changed",
    "team.created",
    "team.person_added",
    "token.issued",
    "token.renewed",
    "verification.requested",
    "waiver.asked",
    "waiver.decided",
]


def test_time_is_played_in_development_only(settings):
    settings.DEVELOPMENT = False

    with pytest.raises(ImproperlyConfigured), clock.played_by(timezone.now):
        pass
