"""Where another holds what a request waits for, it is told to come back, and no thread waits for long."""

import contextlib
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import InterfaceError, OperationalError, connection, connections, transaction
from django.test import Client
from django.urls import reverse

from common.identity import tokens
from common.processes import limits
from consent.models import Decision
from ledger.models import AccessRecord, Entry, LedgerHead
from objections.tests.test_form_page import typed
from tools import factories

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def web_limits(settings):
    """This process waits like a web server, but more briefly."""
    settings.WEB_LOCK_SECONDS, settings.WEB_STATEMENT_SECONDS, settings.WEB_SQLITE_SECONDS = 1, 2, 1
    options = connection.settings_dict["OPTIONS"]
    before = dict(options)
    connection.close()
    limits.for_web()
    yield
    connection.close()
    options.clear()
    options.update(before)


@contextlib.contextmanager
def another_holds_the_head():
    """Another process has the ledger's lock, and keeps it."""
    holds, may_end = threading.Event(), threading.Event()

    def hold():
        try:
            with transaction.atomic():
                LedgerHead.objects.select_for_update().get(pk=1)
                holds.set()
                may_end.wait(30)
        finally:
            connections.close_all()

    thread = threading.Thread(target=hold)
    thread.start()
    assert holds.wait(10)
    try:
        yield
    finally:
        may_end.set()
        thread.join()


@pytest.fixture
def product_header(product):
    _, plain = tokens.issue_token(
        user=product, name="product", scopes=["decisions:write"], days=1, actor="test"
    )
    return {"Authorization": f"Bearer {plain}"}


def opt_out(header, account_ref, source_id):
    return Client().post(
        "/api/v1/decisions",
        {
            "account_ref": account_ref,
            "purpose": "generative-ai",
            "choice": "deny",
            "channel": "product",
            "source_id": source_id,
            "decided_at": "2026-11-20T10:00:00Z",
        },
        content_type="application/json",
        headers=header,
    )


def test_an_opt_out_behind_a_held_lock_is_told_to_come_back_and_is_then_taken(
    web_limits, product_header
):
    factories.add_members(1)
    reference = "acc-0"

    with another_holds_the_head():
        started = time.monotonic()
        held = opt_out(product_header, reference, "event-1")
        seconds = time.monotonic() - started
        alive = Client().get("/healthz")
    after = opt_out(product_header, reference, "event-1")

    assert (held.status_code, held["Retry-After"]) == (503, "5")
    assert held["Content-Type"] == "application/problem+json"
    assert held.json()["code"] == "database_unavailable"
    assert held["Cache-Control"] == "no-store, private"
    assert seconds < 4
    assert alive.status_code == 200
    assert after.status_code == 201
    assert Decision.objects.count() == 1


def test_an_objection_behind_a_held_lock_is_told_to_come_back_and_leaves_no_file(
    web_limits, settings
):
    proof = SimpleUploadedFile("proof.txt", b"words")
    with another_holds_the_head():
        held = Client().post(
            reverse("objection"), typed(statement="Not my photographs.", attachments=[proof])
        )

    assert (held.status_code, held["Retry-After"]) == (503, "5")
    assert "Not my photographs." in held.text
    assert [path for path in settings.QUARANTINE_DIR.rglob("*") if path.is_file()] == []


@pytest.mark.skipif(
    connection.vendor == "sqlite", reason="SQLite has no time-out for a statement that computes"
)
def test_a_statement_that_takes_too_long_is_ended(web_limits):
    with pytest.raises(OperationalError, match="statement timeout"), connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(10)")


@pytest.mark.skipif(connection.vendor == "sqlite", reason="PostgreSQL's limits")
def test_workers_and_commands_have_the_long_limits():
    connection.close()
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == ("0",)
        cursor.execute("SHOW lock_timeout")
        assert cursor.fetchone() == ("30s",)


def raising(error):
    def execute(run, sql, params, many, context):
        raise error

    return execute


@pytest.mark.parametrize("error", [OperationalError("db.internal"), InterfaceError("db.internal")])
@pytest.mark.parametrize("path", ["/admin/", "/admin/ledger/entry/", "/admin/password_change/"])
def test_a_page_without_its_database_is_a_page_that_says_so(error, path, officer, client_of):
    client = client_of(officer)

    with connection.execute_wrapper(raising(error)):
        answer = client.get(path)

    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert "The portal cannot do this now" in answer.text
    assert "db.internal" not in answer.text


def test_what_fails_in_a_middleware_is_told_to_come_back_too(officer, client_of):
    """A session is saved after the page is made."""
    client = client_of(officer)
    client.raise_request_exception = False

    def only_sessions(run, sql, params, many, context):
        if "django_session" in sql and not sql.startswith("SELECT"):
            raise OperationalError("database is locked")
        return run(sql, params, many, context)

    with connection.execute_wrapper(only_sessions):
        answer = client.post(
            reverse("admin:login"), {"username": "olga", "password": "correct horse battery"}
        )

    assert (answer.status_code, answer["Retry-After"]) == (503, "5")


def test_an_error_of_ours_is_still_an_error(officer, client_of):
    client = client_of(officer)
    client.raise_request_exception = False

    with connection.execute_wrapper(raising(ValueError("a mistake"))):
        answer = client.get("/admin/ledger/entry/")

    assert answer.status_code == 500


def test_a_read_that_cannot_be_recorded_says_when_to_come_back(officer, client_of):
    client = client_of(officer)

    def no_records(run, sql, params, many, context):
        if AccessRecord._meta.db_table in sql and "INSERT" in sql:
            raise OperationalError("database is locked")
        return run(sql, params, many, context)

    with connection.execute_wrapper(no_records):
        answer = client.get("/admin/consent/member/")

    assert (answer.status_code, answer["Retry-After"]) == (503, "5")


# --- Alive --------------------------------------------------------------------------------------


def test_the_liveness_check_asks_no_service(settings, client, django_assert_num_queries):
    settings.ALLOWED_HOSTS = ["portal.example"]
    settings.SECURE_SSL_REDIRECT = True

    with django_assert_num_queries(0), connection.execute_wrapper(raising(OperationalError())):
        answer = client.get("/healthz", headers={"Host": "10.1.2.3:8000"})
        with_session = client.get(
            "/healthz", headers={"Host": "10.1.2.3", "Cookie": "sessionid=nul\\000byte"}
        )

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert with_session.status_code == 200


# --- Nothing is kept by a cache -----------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    ["/api/v1/runs", "/api/v1/members/standing", "/api/v1/nowhere", "/api/v1/schema/",
     "/admin/", "/admin/login/", "/admin/jsi18n/", "/admin/nowhere/", "/readyz"],
)  # fmt: skip
@pytest.mark.parametrize("is_signed_in", [True, False])
def test_api_and_staff_pages_are_stored_nowhere(path, is_signed_in, engineer, client_of):
    client = client_of(engineer) if is_signed_in else Client()

    assert "no-store" in client.get(path)["Cache-Control"]


# --- The web server has the web's limits --------------------------------------------------------


def test_the_web_server_waits_less_than_its_own_time_out(tmp_path):
    """In a process of its own, as a web server begins."""
    program = """
import django
django.setup()
from ledger import checks
checks.require_triggers = lambda: None  # the database is not what this is about
import portal.wsgi
from django.db import connection
print(connection.settings_dict["OPTIONS"].get("options") or connection.settings_dict["OPTIONS"]["timeout"])
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PORTAL_DATA_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "portal.settings"},
        cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True,
    )  # fmt: skip

    expected = (
        "8"
        if connection.vendor == "sqlite"
        else "-c lock_timeout=30s -c idle_in_transaction_session_timeout=60s"
        " -c lock_timeout=3s -c statement_timeout=30s"
    )
    assert done.stdout.splitlines()[-1] == expected
    assert Entry.objects.count() == 0
