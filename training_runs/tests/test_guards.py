"""What would fail open is stopped: the run waits, and says why."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from django.conf import settings
from django.db import OperationalError, connection

from consent.choices import Status
from consent.models import Census, Decision, Member
from ledger.append_only import guard_sql, guarded_models, unguard_sql
from tools import factories
from tools.outside import behind_the_back
from training_runs.eligibility import exclusions
from training_runs.errors import (
    FreezeRefused,
    ManifestBlocked,
    ManifestDamaged,
    ManifestNotReady,
    ParentNotUsable,
    StartRefused,
)
from training_runs.manifests import archives, packing
from training_runs.models import Canary, Finding, FreezeAttempt, Manifest, Run
from training_runs.runs import freezing, registering, sweeping, verifying

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def requested(officer, second_officer, engineer) -> Run:
    """A run whose freeze would succeed."""
    factories.open_world(officer, second_officer)
    factories.add_members(20)
    return registering.start(run=factories.register(engineer), actor=engineer)


def _assert_waiting(run: Run, code: str) -> None:
    """Nothing was frozen; beside the run stands why."""
    run.refresh_from_db()
    assert run.state == "requested"
    assert not Manifest.objects.exists()
    assert [(row.run_id, row.error_code) for row in FreezeAttempt.objects.all()] == [(run.pk, code)]


def _assert_next_sweep_freezes(run: Run) -> None:
    assert sweeping.sweep() == {"frozen": 1, "verified": 1, "failed": 0}
    assert Manifest.objects.get().run == run
    assert not FreezeAttempt.objects.exists()


def _replace_rule(monkeypatch, code: str, members) -> None:
    table = [
        replace(item, members=members) if item.code == code else item
        for item in exclusions.EXCLUSIONS
    ]
    monkeypatch.setattr("training_runs.eligibility.exclusions.EXCLUSIONS", table)


@pytest.mark.parametrize("code", [item.code for item in exclusions.EXCLUSIONS])
def test_a_rule_that_excludes_no_member_admits_its_canary_and_stops_the_freeze(
    code, requested, monkeypatch
):
    with monkeypatch.context() as broken:
        _replace_rule(broken, code, lambda question: [Member.objects.none()])
        with pytest.raises(FreezeRefused):
            freezing.freeze(requested.pk)

    _assert_waiting(requested, "freeze_refused")
    _assert_next_sweep_freezes(requested)


def test_a_rule_that_leaves_out_too_many_stops_the_freeze(requested, monkeypatch):
    with monkeypatch.context() as broken:
        _replace_rule(broken, "opted_out", lambda question: [Member.objects.all()])
        with pytest.raises(FreezeRefused, match="too few or too many"):
            freezing.freeze(requested.pk)

    _assert_waiting(requested, "freeze_refused")


def test_a_rule_that_fails_stops_the_freeze(requested, monkeypatch):
    def fail(question):
        raise OperationalError("the rule cannot be read")

    with monkeypatch.context() as broken:
        _replace_rule(broken, "opted_out", fail)
        with pytest.raises(OperationalError):
            freezing.freeze(requested.pk)

    _assert_waiting(requested, "OperationalError")
    assert "cannot be read" not in FreezeAttempt.objects.get().error
    _assert_next_sweep_freezes(requested)


def test_a_rule_without_a_canary_stops_the_freeze(requested, monkeypatch):
    new = replace(exclusions.EXCLUSIONS[0], code="new_rule")
    with monkeypatch.context() as extended:
        for module in ("exclusions", "canaries"):
            extended.setattr(
                f"training_runs.eligibility.{module}.EXCLUSIONS", [*exclusions.EXCLUSIONS, new]
            )
        with pytest.raises(FreezeRefused, match="No canary for new_rule"):
            freezing.freeze(requested.pk)

    _assert_waiting(requested, "freeze_refused")


@pytest.mark.parametrize("field", ["total", "complete"])
def test_another_number_of_members_than_the_census_counted_stops_the_freeze(field, requested):
    census = Census.objects.get(pk=1)
    setattr(census, field, getattr(census, field) + 1)
    census.save()

    with pytest.raises(FreezeRefused, match="the census says"):
        freezing.freeze(requested.pk)

    _assert_waiting(requested, "freeze_refused")


def test_a_rule_that_names_an_unknown_member_stops_the_freeze(requested, monkeypatch):
    beyond = Member.objects.filter(pk=1).extra(select={"beyond": "1000000"})
    monkeypatch.setattr(
        "training_runs.eligibility.exclusions._numbers",
        lambda rows: beyond.values_list("beyond", flat=True),
    )

    with pytest.raises(FreezeRefused):
        freezing.freeze(requested.pk)

    _assert_waiting(requested, "freeze_refused")


def test_packing_that_counts_other_than_the_database_is_refused(product):
    factories.add_members(3)
    for choice in ("deny", "allow"):
        factories.decide("acc-0", choice, actor=product)

    with pytest.raises(FreezeRefused, match="counted 2 members and packed 1"):
        packing.pack([Decision.objects.values_list("member_id", flat=True)], 3)


# --- The store ----------------------------------------------------------------------------------


def test_a_store_that_cannot_be_written_stops_the_freeze_and_the_next_sweep_makes_it_up(requested):
    store = Path(settings.MANIFEST_DIR)
    store.parent.mkdir(parents=True, exist_ok=True)
    store.write_text("a file where the directory should be")

    with pytest.raises(OSError):
        freezing.freeze(requested.pk)

    _assert_waiting(requested, "NotADirectoryError")
    store.unlink()
    _assert_next_sweep_freezes(requested)


FULL_DISK = """
import resource, signal, sys
import django
django.setup()
from training_runs.manifests import archives
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    archives.store(b"x" * 100_000)
except OSError as error:
    sys.exit(77)
"""


def test_a_disk_that_fills_up_leaves_no_part_of_an_archive(tmp_path):
    # A limit on the size of files stands in for a full disk: the write fails in the middle.
    environment = {**os.environ, "PORTAL_DATA_DIR": str(tmp_path)}
    environment["DJANGO_SETTINGS_MODULE"] = "portal.settings"

    ended = subprocess.run(
        [sys.executable, "-c", FULL_DISK], env=environment, cwd=settings.BASE_DIR, check=False
    )

    assert ended.returncode == 77
    assert [path for path in (tmp_path / "manifests").rglob("*") if path.is_file()] == []


def test_an_archive_with_one_byte_changed_is_damaged_and_blocked(requested):
    manifest = freezing.freeze(requested.pk)
    path = archives.path_of(manifest.digest)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)

    verification = verifying.verify(manifest)

    assert verification.agreement == "differs"
    with pytest.raises(ManifestDamaged):
        freezing.load(manifest)
    with pytest.raises(ManifestBlocked):
        verifying.usable_manifest(requested)
    assert [finding.kind for finding in Finding.objects.all()] == ["manifest_differs"]


def test_a_missing_archive_is_damaged(requested):
    manifest = freezing.freeze(requested.pk)
    archives.path_of(manifest.digest).unlink()

    assert verifying.verify(manifest).agreement == "differs"


# --- The second way -----------------------------------------------------------------------------


def _behind_the_back(table: str, statement: str, *params: object) -> None:
    """An attack with the database's password: lift the guard, change a row, restore the guard."""
    guard = guarded_models()[table]
    with connection.cursor() as cursor:
        for lift in unguard_sql(connection.vendor, table, guard):
            cursor.execute(lift)
        cursor.execute(statement, params)
        assert cursor.rowcount == 1
        for restore in guard_sql(connection.vendor, table, guard):
            cursor.execute(restore)


def test_a_manifest_is_not_usable_before_it_is_verified(requested):
    freezing.freeze(requested.pk)

    with pytest.raises(ManifestNotReady):
        verifying.usable_manifest(requested)


def test_a_reference_that_went_without_an_erasure_stops_the_freeze(requested):
    """The next import would make a new member of the account, who is in."""
    behind_the_back(
        "consent_accountreference",
        "DELETE FROM consent_accountreference WHERE member_id ="
        " (SELECT min(member_id) FROM consent_accountreference)",
    )

    with pytest.raises(FreezeRefused, match="one went without an erasure"):
        freezing.freeze(requested.pk)

    _assert_waiting(requested, "freeze_refused")


@pytest.mark.parametrize(
    ("table", "statement"),
    [
        pytest.param(
            "consent_decision", "UPDATE consent_decision SET choice = 'allow' WHERE member_id = 1",
            id="a decision turned round",
        ),
        pytest.param(
            "consent_historicalmember",
            "UPDATE consent_historicalmember SET status = 'closed' WHERE id = 2",
            id="a member closed",
        ),
        pytest.param(
            "ledger_entry", f"UPDATE ledger_entry SET leaf = '{'00' * 32}' WHERE sequence = 1",
            id="an entry's leaf",
        ),
    ],
)  # fmt: skip
def test_history_changed_behind_the_back_blocks_the_manifest(
    table, statement, officer, second_officer, engineer, product
):
    factories.open_world(officer, second_officer)
    factories.add_members(5)
    factories.decide("acc-0", "deny", actor=product)
    run = registering.start(run=factories.register(engineer), actor=engineer)
    manifest = freezing.freeze(run.pk)

    _behind_the_back(table, statement)
    verification = verifying.verify(manifest)

    assert verification.agreement == "differs"
    assert [finding.run for finding in Finding.objects.all()] == [run]
    with pytest.raises(ManifestBlocked):
        verifying.usable_manifest(run)


def test_current_state_changed_behind_the_back_blocks_the_manifest(requested):
    # The member was let in without any history of it: the freeze believes it, the second way does not.
    out = factories.add_member("out", status=Status.CLOSED)
    _behind_the_back(
        "consent_member", "UPDATE consent_member SET status = 'open' WHERE id = %s", out
    )
    Census.objects.filter(pk=1).update(complete=Census.objects.get(pk=1).complete + 1)

    manifest = freezing.freeze(requested.pk)
    verification = verifying.verify(manifest)

    assert verification.agreement == "differs"
    assert verification.detail["included"] == 1
    with pytest.raises(ManifestBlocked):
        verifying.usable_manifest(requested)


def test_one_disagreement_blocks_for_good(requested):
    manifest = freezing.freeze(requested.pk)
    path = archives.path_of(manifest.digest)
    whole = path.read_bytes()
    path.unlink()
    verifying.verify(manifest)
    path.write_bytes(whole)

    assert verifying.verify(manifest).agreement == "agrees"

    with pytest.raises(ManifestBlocked):
        verifying.usable_manifest(requested)


# --- Runs with a parent -------------------------------------------------------------------------


def test_a_child_needs_a_verified_parent(requested, engineer):
    freezing.freeze(requested.pk)
    child = factories.register(engineer, parent=requested)

    with pytest.raises(ParentNotUsable):
        registering.start(run=child, actor=engineer)


def test_a_child_of_a_parent_without_members_gets_none(requested, engineer, product):
    for number in range(20):
        factories.decide(f"acc-{number}", "deny", actor=product)
    parent = freezing.freeze(requested.pk)
    verifying.verify(parent)
    assert len(freezing.load(parent).included) == 0
    # They come back, and others come: none of them was in the parent.
    factories.add_members(3, prefix="late")
    factories.decide("acc-0", "allow", actor=product)
    child = factories.register(engineer, parent=requested)

    answer = registering.preview(child)

    assert list(answer.included) == []
    with pytest.raises(StartRefused, match="No member is eligible"):
        registering.start(run=child, actor=engineer)


def test_a_child_gets_its_parents_members_minus_who_is_out_now(requested, engineer, product):
    parent = freezing.freeze(requested.pk)
    verifying.verify(parent)
    factories.add_members(3, prefix="late")
    factories.decide("acc-0", "deny", actor=product)
    gone = 1

    manifest = factories.freeze(engineer, parent=requested)

    before, after = freezing.load(parent).included, freezing.load(manifest).included
    assert set(before) - set(after) == {gone}
    assert set(after) <= set(before)
    assert freezing.load(manifest).header["parent"] == {
        "run": requested.reference,
        "manifest": parent.digest,
    }
    assert set(Canary.objects.values_list("member_id", flat=True)).isdisjoint(after)
