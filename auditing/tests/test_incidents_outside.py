"""Incidents as an outsider checks them: what a late fact says, who is in the archive, and what a delivery leaves out."""

import datetime as dt
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import time_machine
from django.conf import settings
from pyroaring import BitMap

from auditing.exports import exporting
from consent.models import Member
from ledger.checkpoints import signing
from tools import factories
from training_runs.incidents import finding
from training_runs.models import Incident

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow, pytest.mark.one_engine]

VERIFY = Path(settings.BASE_DIR) / "outsider" / "verify.py"


def at(text):
    moment = dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)
    return time_machine.travel(moment, tick=False)


@pytest.fixture
def world(officer, second_officer, engineer, product):
    """Two runs, frozen on the first of June, and a *no* of May that arrives on the twentieth."""
    with at("2026-01-01T12:00"):
        factories.open_world(officer, second_officer)
        factories.add_members(5)
        factories.add_member("hk", country="HK")
    with at("2026-06-01T12:00"):
        runs = [factories.freeze(engineer) for _ in range(2)]
    with at("2026-06-20T12:00"):
        moment = dt.datetime(2026, 5, 20, tzinfo=dt.UTC)
        factories.decide("acc-1", "deny", actor=product, at=moment)
    return runs


def export(to, moment="2026-06-22T12:00"):
    with at(moment):
        signing.sign_now()
        exporting.export(to)
    return to


def verify(exported):
    key = signing.signers()[0].verifier.text
    command = [sys.executable, "-I", "-S", VERIFY, "export", exported, "--key", key]
    return subprocess.run(
        [*map(str, command)], capture_output=True, text=True, check=False, timeout=120
    )


def look(moment="2026-06-20T12:01"):
    with at(moment):
        return finding.look()


def number_of(account):
    return Member.objects.get(reference__account_ref=account).pk


def test_a_true_export_has_its_incidents(world, tmp_path):
    look()

    done = verify(export(tmp_path / "export"))

    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "incidents: 2 of 2 archives are those the ledger seals" in done.stdout
    names = {path.name for path in (tmp_path / "export" / "incidents").iterdir()}
    assert names == {f"{one.reference}.incident" for one in Incident.objects.all()}


def flip_a_bit(one, other):
    data = bytearray(one.read_bytes())
    data[-1] ^= 1
    one.write_bytes(bytes(data))


CHANGES = {
    "a bit": (flip_a_bit, r"does not have the digest that entry \d+ seals"),
    "another's archive": (lambda one, other: shutil.copy(other, one), "does not have the digest"),
    "gone": (lambda one, other: one.unlink(), "incident is missing; entry"),
    "one more": (
        lambda one, other: shutil.copy(one, one.with_name("INC-1999-000001.incident")),
        "belongs to no incident of the ledger",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_archive_is_refused_with_a_sentence(world, tmp_path, change):
    look()
    exported = export(tmp_path / "export")
    alter, sentence = CHANGES[change]
    alter(*sorted((exported / "incidents").iterdir()))

    done = verify(exported)

    assert done.returncode == 1
    assert re.search(sentence, done.stdout), done.stdout


def test_a_delivery_leaves_out_the_members_of_incidents(world, engineer, product, tmp_path):
    look()
    with at("2026-06-20T13:00"):
        factories.decide("acc-1", "allow", actor=product)
    with at("2026-06-21T12:00"):
        factories.deliver(world[0].run, engineer)

    done = verify(export(tmp_path / "export"))

    assert done.returncode == 0, done.stdout
    assert "1 of 6 members were out, and 5 were delivered" in done.stdout


def test_a_delivery_with_a_member_of_an_incident_is_found(
    world, engineer, product, tmp_path, monkeypatch
):
    look()
    with at("2026-06-20T13:00"):
        factories.decide("acc-1", "allow", actor=product)
    monkeypatch.setattr(finding, "out_by_incidents", lambda run, *, cut: BitMap())
    with at("2026-06-21T12:00"):
        factories.deliver(world[0].run, engineer)

    done = verify(export(tmp_path / "export"))

    assert done.returncode == 1
    assert f"do not agree on who was out: members {number_of('acc-1')}." in done.stdout
