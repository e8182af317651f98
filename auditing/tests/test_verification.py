"""Every manifest is derived again, on both engines, and the night's check is kept."""

import contextlib

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from auditing import verification
from consent import accounts
from ledger.models import LedgerCheck
from tools import factories, postgres
from training_runs.manifests import archives
from training_runs.models import Verification

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


@pytest.fixture
def other(django_db_blocker):
    """An empty database of the other engine; a portal on PostgreSQL makes its own."""
    with contextlib.ExitStack() as stack:
        # A test may use only databases that the settings name; this one is made while it runs.
        stack.enter_context(django_db_blocker.unblock())
        if connection.vendor == "sqlite":
            yield stack.enter_context(postgres.server())
        else:
            yield ""


@pytest.fixture
def manifests(officer, second_officer, engineer, product):
    factories.open_world(officer, second_officer)
    factories.add_members(30)
    factories.decide("acc-1", "deny", actor=product)
    factories.uphold(factories.objection("acc-2"), officer)
    first = factories.freeze(engineer)
    accounts.erase_member(account_ref="acc-3", actor=officer, reason="test")
    factories.send_letters(
        factories.withdraw(factories.objection("acc-4"), officer, second_officer)
    )
    return [first, factories.freeze(engineer, parent=first.run)]


def test_every_manifest_agrees_on_both_engines(manifests, other):
    found = verification.verify_all(other=other)

    assert found.problems == []
    assert (found.here, found.there) == (2, 2)
    assert {connection.vendor, found.engine} == {"sqlite", "postgresql"}


def test_a_decision_slipped_in_by_hand_is_found_on_both_engines(manifests, other):
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO consent_decision (entry_id, member_id, purpose, choice, channel, source_id,"
            " decided_at, notice_version, privacy_signal, evidence_only, body_digest)"
            " SELECT entry_id, 7, purpose, choice, channel, 'forged', decided_at, notice_version,"
            " privacy_signal, evidence_only, body_digest FROM consent_decision LIMIT 1"
        )

    found = verification.verify_all(other=other)

    assert (found.here, found.there) == (0, 0)
    assert len(found.problems) == 4


on_sqlite = pytest.mark.skipif(
    connection.vendor != "sqlite", reason="a portal on PostgreSQL makes its own other database"
)


@on_sqlite
def test_without_another_engine_the_command_says_loudly_that_it_was_not_asked(manifests, capsys):
    call_command("verify_all")

    said = capsys.readouterr()
    assert "2 manifests agree with history here." in said.out
    assert "NOT DERIVED ON ANOTHER ENGINE" in said.err


def test_a_damaged_archive_fails_the_command(manifests, other, capsys):
    path = archives.path_of(manifests[0].digest)
    path.write_bytes(path.read_bytes()[:-1])

    # The child's derivation reads its parent's archive.
    with pytest.raises(CommandError, match="does not verify"):
        call_command("verify_all", other=other)


def test_the_night_recomputes_the_ledger_and_verifies_what_was_verified_longest_ago(manifests):
    before = Verification.objects.count()

    check = verification.check_tonight(seconds=60)

    assert (check.problems, check.size) == ([], check.entry_id - 1)
    assert Verification.objects.count() == before + 2
    assert LedgerCheck.objects.get() == check


def test_a_night_without_time_still_recomputes_the_ledger(manifests):
    before = Verification.objects.count()

    check = verification.check_tonight(seconds=0)

    assert check.problems == []
    assert Verification.objects.count() == before


@on_sqlite
def test_the_other_database_must_be_empty_and_of_the_other_engine(manifests, other, tmp_path):
    with pytest.raises(CommandError, match="of the other engine"):
        call_command("verify_all", other=f"sqlite:///{tmp_path / 'same.sqlite3'}")
    verification.verify_all(other=other)
    with pytest.raises(CommandError, match="not empty"):
        call_command("verify_all", other=other)
