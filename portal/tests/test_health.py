"""What `/healthz` and `/readyz` say when something is away."""

import datetime as dt

import pytest
import time_machine
from django.conf import settings
from django.db import OperationalError, connection
from django.utils import timezone

from common.identity import tokens
from common.processes import embedded
from ledger.append_only import unguard_sql
from objections.brings import MAX_UNSENT
from portal.version import __version__
from tools import factories
from training_runs.brings import MAX_UNVERIFIED, MAX_WAIT
from training_runs.runs import registering, sweeping

ALL_WELL = {
    "database": "ok",
    "guards": "ok",
    "broker": "ok",
    "free_space": "ok",
    "clocks": "ok",
    "oldest_account_map_range": "ok",
    "oldest_unverified_delivery": "ok",
    "oldest_requested_delivery": "ok",
    "oldest_requested_run": "ok",
    "oldest_unsent_letter": "ok",
    "oldest_unsigned_entry": "ok",
    "oldest_waiting_file": "ok",
    "oldest_unverified_manifest": "ok",
    "oldest_late_fact": "ok",
}


@pytest.fixture
def broker():
    with embedded.broker(settings.BROKER_SOCKET):
        yield


def away(*args):
    raise OperationalError("the server is at db.internal")


def test_a_living_process_says_so_without_a_database(client):
    answer = client.get("/healthz")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.django_db
def test_everything_is_there(client, broker):
    answer = client.get("/readyz")

    told = answer.json()
    assert answer.status_code == 200
    assert told.pop("free")["bytes"] > 0
    assert told == {
        "status": "ok",
        "version": __version__,
        "checks": ALL_WELL,
        "age_seconds": {name: None for name in ALL_WELL if name.startswith("oldest_")},
    }


@pytest.mark.django_db
def test_without_a_broker_the_portal_is_degraded_and_serves_on(client):
    answer = client.get("/readyz")

    assert answer.status_code == 200
    assert answer.json()["status"] == "degraded"
    assert answer.json()["checks"] == {**ALL_WELL, "broker": "failing"}


@pytest.mark.django_db
def test_without_its_database_the_portal_is_unavailable_and_says_no_more(client, broker):
    with connection.execute_wrapper(away):
        answer = client.get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["status"] == "unavailable"
    assert answer.json()["checks"]["database"] == "failing"
    assert b"db.internal" not in answer.content


@pytest.mark.django_db
def test_without_a_guard_the_portal_is_unavailable(client, broker):
    with connection.cursor() as cursor:
        for statement in unguard_sql(connection.vendor, "ledger_entry", "append-only"):
            cursor.execute(statement)

    answer = client.get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["checks"]["guards"] == "failing"


@pytest.mark.django_db(transaction=True)
def test_a_run_that_waits_too_long_is_seen(client, broker, officer, second_officer, engineer):
    factories.open_world(officer, second_officer)
    factories.add_members(1)
    registering.start(run=factories.register(engineer), actor=engineer)

    young = client.get("/readyz").json()
    with time_machine.travel(timezone.now() + MAX_WAIT + dt.timedelta(seconds=1)):
        old = client.get("/readyz").json()

    assert young["checks"] == ALL_WELL
    assert old["status"] == "degraded"
    assert old["checks"] == {**ALL_WELL, "oldest_requested_run": "too_old"}
    assert old["age_seconds"]["oldest_requested_run"] >= MAX_WAIT.total_seconds()


@pytest.mark.django_db(transaction=True)
def test_a_manifest_that_waits_too_long_for_its_verification_is_seen(
    client, broker, officer, second_officer, engineer
):
    factories.open_world(officer, second_officer)
    factories.add_members(1)
    manifest = factories.freeze(engineer, verified=False)
    young = client.get("/readyz").json()

    with time_machine.travel(manifest.frozen_at + MAX_UNVERIFIED + dt.timedelta(seconds=1)):
        old = client.get("/readyz").json()
        sweeping.sweep_verifications()
        verified = client.get("/readyz").json()

    assert young["checks"]["oldest_unverified_manifest"] == "ok"
    assert old["status"] == "degraded"
    assert old["checks"]["oldest_unverified_manifest"] == "too_old"
    assert old["age_seconds"]["oldest_unverified_manifest"] > MAX_UNVERIFIED.total_seconds()
    assert verified["checks"]["oldest_unverified_manifest"] == "ok"


@pytest.mark.django_db(transaction=True)
def test_a_letter_that_waits_too_long_is_seen(client, broker):
    factories.add_members(1)
    ticket = factories.objection("acc-0")
    young = client.get("/readyz").json()

    with time_machine.travel(timezone.now() + MAX_UNSENT + dt.timedelta(seconds=1)):
        old = client.get("/readyz").json()
        factories.send_letters(ticket)
        sent = client.get("/readyz").json()

    assert young["checks"]["oldest_unsent_letter"] == "ok"
    assert old["status"] == "degraded"
    assert old["checks"]["oldest_unsent_letter"] == "too_old"
    assert old["age_seconds"]["oldest_unsent_letter"] > MAX_UNSENT.total_seconds()
    assert sent["age_seconds"]["oldest_unsent_letter"] is None


@pytest.mark.django_db(transaction=True)
def test_a_letter_that_staff_put_into_the_post_keeps_no_mailer_waiting(client, broker):
    factories.add_members(1)
    factories.objection("acc-0", channel="paper", email="", postal_address="A street 1")

    with time_machine.travel(timezone.now() + dt.timedelta(days=3)):
        answer = client.get("/readyz").json()

    assert answer["age_seconds"]["oldest_unsent_letter"] is None


# --- Details are for who is signed in -----------------------------------------------------------


@pytest.fixture
def production(settings):
    settings.DEVELOPMENT = False


@pytest.mark.django_db
def test_strangers_learn_only_whether_it_is_ready(production, client, broker):
    ready = client.get("/readyz")
    with connection.execute_wrapper(away):
        away_ = client.get("/readyz")
    wrong = client.get("/readyz", headers={"Authorization": f"Bearer {'f' * 64}"})

    assert (ready.status_code, ready.json()) == (200, {"status": "ok"})
    assert (away_.status_code, away_.json()) == (503, {"status": "unavailable"})
    assert (wrong.status_code, wrong.json()) == (200, {"status": "ok"})


@pytest.mark.django_db
def test_who_is_signed_in_or_watches_sees_the_details(production, client_of, client, engineer):
    def seen_with(*scopes):
        _, plain = tokens.issue_token(
            user=engineer, name="monitor", scopes=scopes, days=1, actor="test"
        )
        return client.get("/readyz", headers={"Authorization": f"Bearer {plain}"}).json().keys()

    details = {"status", "version", "checks", "age_seconds", "free"}
    assert client_of(engineer).get("/readyz").json().keys() == details
    assert seen_with("health:read") == details
    assert seen_with("runs:read") == {"status"}


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/api/v1/schema/", "/api/v1/docs/", "/api/v1/docs/?script"])
def test_the_api_is_described_to_who_is_signed_in(path, production, client, client_of, stranger):
    assert client.get(path).status_code == 401
    assert client_of(stranger).get(path).status_code == 200
