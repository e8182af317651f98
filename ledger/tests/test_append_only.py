"""The database itself refuses what may not change, by any statement, on both engines."""

import datetime as dt
import importlib
import io
import sys
from collections.abc import Collection

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from auditing import services, verification
from common.identity import roles
from consent import account_changes, accounts
from deliveries.made import verifying as delivered
from ledger import entries
from ledger.append_only import guard_sql, guarded_models, missing_guards, trigger_name
from ledger.checkpoints import signing
from ledger.checks import require_triggers
from ledger.errors import GuardsMissing
from ledger.models import ClockSettlement, ClockStep, LedgerTile
from ledger.reads.recording import record_read
from objections.letters import texts
from objections.redaction import lending
from portal import celery
from tools import factories, guards
from training_runs.runs import freezing, verifying
from training_runs.runs import registering as runs

in_the_database = pytest.mark.django_db(transaction=True)

POSTGRESQL = connection.vendor == "postgresql"
TABLES = guarded_models()


@pytest.fixture(scope="module")
def rows_everywhere(shared_database) -> None:
    """At least one row in every guarded table: a trigger for each row needs a row to fire. No test changes one."""
    officer = factories.person("olga", roles.PRIVACY_OFFICER)
    second_officer = factories.person("otto", roles.PRIVACY_OFFICER)
    engineer = factories.person("emil", roles.ML_ENGINEER)
    product = factories.person("product", roles.PRODUCT)
    auditor = factories.person("ada", roles.AUDITOR)
    factories.open_world(officer, second_officer)
    factories.add_members(4)
    factories.decide("acc-0", "deny", actor=product)
    account_changes.merged(
        source_id="m-1",
        account_ref="acc-0",
        into="acc-3",
        merged_at=timezone.now(),
        actor=product,
    )
    accounts.erase_member(account_ref="acc-1", actor=officer, reason="test")
    run = runs.start(run=factories.register(engineer), actor=engineer)
    manifest = freezing.freeze(run.pk)
    verifying.verify(manifest)
    child = factories.register(engineer, purpose="personalisation", parent=run)
    factories.assess(child, engineer, officer)
    factories.live(run, engineer, officer, second_officer, product)
    ticket = factories.objection("acc-2", received_at=manifest.frozen_at - dt.timedelta(days=1))
    factories.assessed(run.incidents.get(), officer, second_officer)
    factories.withdraw(ticket, officer, second_officer)
    delivered.verify_due()
    text = texts.Text("Upheld", texts.built_in("upheld").body)
    factories.put_into_use("upheld", text, officer, second_officer)
    factories.objection(name="Quilla Zebrowski")
    loan = lending.lend(delivery="DL-2026-000001", purpose="generative-ai", user=engineer)
    with entries.entry("test.act", actor="test"):
        lending.record_hits(loan, {loan.lines[0].number: 1})
    record_read(officer, "test.read", "test:1")
    services.grant(auditor=auditor, subject="member:1", hours=1, reason="test", actor=officer)
    # More than a tile's worth of leaves.
    for _ in range(LedgerTile.SIZE):
        with entries.entry("test.act", actor="test"):
            pass
    signing.sign_now()
    verification.check_tonight(seconds=0)
    with entries.entry("consent.decision", actor="test"):
        ClockStep(server_at=manifest.frozen_at).save()
    with entries.entry("clock.settled", actor="test"):
        ClockSettlement().save()


def _rows(table: str) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {table} ORDER BY 1")
        return cursor.fetchall()


def _assert_refused(table: str, *statements: str, by: Collection[str] = ()) -> None:
    """The last statement is refused by the table's guard (or one of `by`), and every row is as it was."""
    before = _rows(table)
    assert before != []

    with (
        pytest.raises(DatabaseError) as refusal,
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        for statement in statements:
            cursor.execute(statement)

    assert any(f"{name} is {TABLES[name]}" in str(refusal.value) for name in by or [table])
    assert _rows(table) == before


def _key(table: str) -> str:
    with connection.cursor() as cursor:
        return connection.introspection.get_primary_key_column(cursor, table)


@pytest.mark.parametrize("table", TABLES)
def test_no_statement_changes_or_removes_a_row(table, rows_everywhere):
    key = _key(table)

    _assert_refused(table, f"DELETE FROM {table}")
    if POSTGRESQL:
        _assert_refused(
            table, "SET LOCAL session_replication_role = replica", f"DELETE FROM {table}"
        )
        # With CASCADE the first table that refuses may be another one.
        _assert_refused(table, f"TRUNCATE {table} CASCADE", by=TABLES)
    else:
        _assert_refused(table, f"REPLACE INTO {table} SELECT * FROM {table}")
    if TABLES[table] == "append-only":
        _assert_refused(table, f"UPDATE {table} SET {key} = {key}")
        # SQLite needs the WHERE to tell the upsert from a join.
        _assert_refused(
            table,
            f"INSERT INTO {table} SELECT * FROM {table} WHERE true"
            f" ON CONFLICT ({key}) DO UPDATE SET {key} = EXCLUDED.{key}",
        )


@in_the_database
def test_the_migrations_make_exactly_the_guards_that_the_models_declare(guards_of_migrations):
    guards.lift()
    with connection.cursor() as cursor:
        for table, guard in guarded_models().items():
            for statement in guard_sql(connection.vendor, table, guard):
                cursor.execute(statement)

    assert guards_of_migrations == guards.read()


# --- A guard that is gone -----------------------------------------------------------------------


@pytest.fixture
def a_guard_gone():
    """One trigger dropped; emptying the database afterwards puts it back."""
    name = trigger_name("consent_decision", "DELETE")
    on = " ON consent_decision" if POSTGRESQL else ""
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TRIGGER {name}{on}")
    return name


@in_the_database
def test_every_guard_is_there():
    assert missing_guards() == []
    require_triggers()


@in_the_database
def test_a_dropped_guard_is_noticed(a_guard_gone):
    assert missing_guards() == [a_guard_gone]


@in_the_database
@pytest.mark.skipif(not POSTGRESQL, reason="SQLite cannot switch a trigger off")
@pytest.mark.parametrize("state", ["DISABLE TRIGGER", "ENABLE TRIGGER", "ENABLE REPLICA TRIGGER"])
def test_a_guard_that_is_switched_off_is_noticed(state):
    name = trigger_name("consent_decision", "UPDATE")
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE consent_decision {state} {name}")

    assert missing_guards() == [name]


@in_the_database
def test_the_system_check_names_a_missing_guard(a_guard_gone):
    with pytest.raises(CommandError, match=r"portal\.E001") as found:
        call_command("check", databases=["default"], stderr=io.StringIO())

    assert a_guard_gone in str(found.value)


@in_the_database
def test_neither_the_web_server_nor_the_worker_starts_unguarded(a_guard_gone, monkeypatch):
    # The web server's limits are set before the guards are looked for, and must not outlive this test.
    monkeypatch.setitem(
        connection.settings_dict, "OPTIONS", dict(connection.settings_dict["OPTIONS"])
    )
    sys.modules.pop("portal.wsgi", None)

    with pytest.raises(GuardsMissing):
        importlib.import_module("portal.wsgi")
    with pytest.raises(GuardsMissing):
        celery._begin()
