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
from consent import members as consent_members
from consent.choices import RuleKind
from consent.models import Member, Notice
from consent.rulebook import notices
from ledger import entries
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
        factories.add_member("fr", country="FR")
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
    assert "1 of 7 members were out, and 6 were delivered" in done.stdout


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


# --- Derived --------------------------------------------------------------------------------------


def objected(officer, second_officer, product):
    """An objection was received in May, and entered in June."""
    factories.objection("acc-2", received_at=dt.datetime(2026, 5, 20, tzinfo=dt.UTC))


def found_to_be_16(officer, second_officer, product):
    member = Member.objects.get(pk=number_of("acc-3"))
    facts = consent_members.facts_of(member)._replace(adult_on=dt.date(2028, 3, 1))
    with entries.entry("test.members", actor="test"):
        consent_members.change([(member, facts)])


def excluded(officer, second_officer, product):
    factories.allow(
        officer,
        second_officer,
        codes=["HK"],
        rule=RuleKind.EXCLUDED,
        effective_from=dt.date(2026, 5, 1),
    )


def asked(officer, second_officer, product):
    factories.allow(
        officer,
        second_officer,
        codes=["HK"],
        rule=RuleKind.OPT_IN,
        effective_from=dt.date(2026, 5, 1),
    )


def ended(officer, second_officer, product):
    notices.withdraw(
        notice=Notice.objects.earliest("pk"),
        withdrawn_from=dt.date(2026, 5, 1),
        source="never delivered",
        actor=officer,
    )


FACTS = [found_to_be_16, excluded, asked, ended]


@pytest.mark.parametrize("fact", [objected, *FACTS])
def test_the_incidents_of_late_facts_are_derived(
    world, fact, officer, second_officer, product, tmp_path
):
    with at("2026-06-20T12:00:30"):
        fact(officer, second_officer, product)
    look()
    assert Incident.objects.count() == 4

    done = verify(export(tmp_path / "export"))

    assert done.returncode == 0, done.stdout
    assert "incidents: 4 were derived" in done.stdout


@pytest.mark.parametrize("fact", FACTS)
def test_an_incident_that_is_owed_and_missing_is_found(
    world, fact, officer, second_officer, product, tmp_path
):
    look()
    with at("2026-06-20T12:30"):
        fact(officer, second_officer, product)

    soon = verify(export(tmp_path / "soon", "2026-06-20T12:40"))
    with at("2026-06-20T14:00"):
        factories.add_members(1, prefix="new")
    later = verify(export(tmp_path / "later"))

    assert soon.returncode == 0, soon.stdout
    assert "the incident of it is not found yet" in soon.stdout
    assert later.returncode == 1
    assert "and there is no incident of it" in later.stdout


def recorded(monkeypatch, change):
    """A finder that seals other members than the entries say."""
    true = finding._record
    monkeypatch.setattr(
        finding, "_record", lambda manifest, cause, sets: true(manifest, cause, change(sets))
    )


def test_an_incident_that_is_not_owed_is_found(world, tmp_path, monkeypatch):
    recorded(monkeypatch, lambda sets: {"opted_out": BitMap([number_of("acc-2")])})
    look()

    done = verify(export(tmp_path / "export"))

    assert done.returncode == 1
    assert f"does not say that members {number_of('acc-2')} of" in done.stdout


def test_another_reason_than_that_of_the_entry_is_found(world, tmp_path, monkeypatch):
    recorded(monkeypatch, lambda sets: {"minor": sets["opted_out"]})
    look()

    done = verify(export(tmp_path / "export"))

    assert done.returncode == 1
    assert "were out for the reason minor" in done.stdout


def test_an_incident_without_one_of_its_members_is_found(
    world, officer, second_officer, tmp_path, monkeypatch
):
    look()
    with at("2026-06-20T12:30"):
        factories.allow(
            officer, second_officer, codes=["HK", "FR"], rule=RuleKind.EXCLUDED,
            effective_from=dt.date(2026, 5, 1),
        )  # fmt: skip
    recorded(
        monkeypatch, lambda sets: {code: found - BitMap([found[0]]) for code, found in sets.items()}
    )
    look("2026-06-20T12:31")

    done = verify(export(tmp_path / "export"))

    assert done.returncode == 1
    assert "are not in it, whom entry" in done.stdout
