"""Dossiers: what they tell, on record, in few queries, to the right people."""

import datetime as dt
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from consent import accounts
from consent.choices import Purpose
from consent.models import Member
from deliveries.errors import DigestMismatch
from ledger.checkpoints import signing
from ledger.models import AccessRecord
from tools import factories
from training_runs.eligibility import exclusions
from training_runs.manifests import archives
from training_runs.models import Manifest
from training_runs.runs import explaining, freezing, registering, verifying

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.one_engine]

MAX_QUERIES = 18


@pytest.fixture
def open_world(officer: User, second_officer: User) -> None:
    factories.open_world(officer, second_officer)
    factories.add_members(3)


def dossier_of(number: int) -> str:
    return reverse("admin:auditing_member_dossier", args=[number])


def told(page: Any) -> list[tuple[str, Any]]:
    return [(event.what, list(event.details)) for event in page.context["dossier"].line.events]


def test_a_members_dossier_tells_what_decided_and_who_was_in_then_and_now(
    open_world: None,
    officer: User,
    second_officer: User,
    engineer: User,
    auditor: User,
    client_of: Any,
) -> None:
    number = factories.add_member("customer-1", country="DE")
    before = factories.freeze(engineer)
    factories.decide("customer-1", "deny", actor=officer)
    ticket = factories.objection("customer-1", purposes=["safety"])
    after = factories.freeze(engineer)
    factories.decide("customer-1", "allow", actor=officer)

    page = client_of(auditor).get(dossier_of(number))

    lines = page.context["dossier"].runs
    assert [(line.run["run__reference"], line.then, line.now) for line in lines] == [
        (after.run.reference, ["the member's setting for the purpose is off"], []),
        (before.run.reference, [], []),
    ]
    assert [line.is_other_now for line in lines] == [True, False]
    events = [what for what, _ in told(page)]
    assert events[:4] == [
        "Decided allow: Generative AI",
        "Objection: Moderation and safety",
        "Decided deny: Generative AI",
        "First known",
    ]
    assert events[4].startswith("Notice test-")
    assert events[5] == (
        "Region rule: Moderation and safety is default-on in Germany (DE) from 2024-09-18"
    )
    assert {
        standing.purpose: standing.reasons for standing in page.context["dossier"].standings
    } == {
        "Generative AI": [],
        "Personalisation": [],
        "Moderation and safety": ["an objection of the member is being examined"],
    }
    assert ticket.reference in page.text


def test_it_tells_an_objections_outcome_and_effect_and_the_incident(
    open_world: None,
    officer: User,
    second_officer: User,
    engineer: User,
    auditor: User,
    client_of: Any,
) -> None:
    number = factories.add_member("customer-1")
    manifest = factories.freeze(engineer)
    ticket = factories.objection(
        "customer-1", received_at=manifest.frozen_at - dt.timedelta(days=1)
    )
    ticket = factories.withdraw(ticket, officer, second_officer)
    factories.send_letters(ticket)

    page = client_of(auditor).get(dossier_of(number))

    assert told(page)[:3] == [
        (
            "Objection to Generative AI changed",
            ["effect: out while it is examined → restriction lifted"],
        ),
        ("Objection to Generative AI changed", ["outcome: withdrawn"]),
        ("Objection: Generative AI", ["effect: out while it is examined"]),
    ]
    assert [line.run["is_incident"] for line in page.context["dossier"].runs] == [True]
    assert "an objection had reached us before" in page.text


def test_it_tells_an_erasure_and_facts_that_changed(
    open_world: None, officer: User, auditor: User, client_of: Any
) -> None:
    number = factories.add_member("customer-1", adult_on=None)
    accounts.erase_member(account_ref="customer-1", actor=officer, reason="asked to")

    page = client_of(auditor).get(dossier_of(number))

    assert told(page)[0] == (
        "Erased",
        ["account: open → erased"],
    )
    assert "customer-1" not in page.text


def test_a_run_with_a_parent_leaves_out_whom_the_parent_left_out(
    open_world: None, officer: User, engineer: User, auditor: User, client_of: Any
) -> None:
    number = factories.add_member("customer-1")
    factories.decide("customer-1", "deny", actor=officer)
    parent = factories.freeze(engineer)
    factories.decide("customer-1", "allow", actor=officer)
    factories.freeze(engineer, parent=parent.run)
    late = factories.add_member("customer-2")

    client = client_of(auditor)
    lines = client.get(dossier_of(number)).context["dossier"].runs
    of_late = client.get(dossier_of(late)).context["dossier"].runs

    not_in_parent = "the member's data was not in the run this one builds on"
    assert (lines[0].then, lines[0].now) == ([not_in_parent], [not_in_parent])
    assert of_late[0].then == ["the portal did not know the account when the manifest was frozen"]
    assert (of_late[0].now, of_late[1].now) == ([not_in_parent], [])


def test_what_it_says_of_now_is_what_a_look_up_says(
    officer: User, second_officer: User, engineer: User, auditor: User, client_of: Any
) -> None:
    """For every purpose and member of a world with every reason in it; the one computation holds the other."""
    factories.allow(officer, second_officer)
    factories.allow(officer, second_officer, codes=["DE"], rule="opt-in")
    factories.allow(officer, second_officer, codes=["FR"], rule="excluded")
    factories.publish(officer, second_officer, codes=["US", "DE", "FR"])
    factories.publish(officer, second_officer, codes=["IT"], categories=["profile"])
    numbers = [
        factories.add_member("in"),
        factories.add_member("closed", status="closed"),
        factories.add_member("unknown", country=""),
        factories.add_member("minor", adult_on=timezone.now().date() + dt.timedelta(days=9)),
        factories.add_member("ageless", adult_on=None),
        factories.add_member("asked", country="DE"),
        factories.add_member("excluded", country="FR"),
        factories.add_member("uncovered", country="IT"),
        factories.add_member("denied"),
        factories.add_member("objects"),
        factories.add_member("erased"),
    ]
    factories.decide("denied", "deny", actor=officer)
    factories.objection("objects")
    accounts.erase_member(account_ref="erased", actor=officer, reason="x")
    manifest = factories.freeze(engineer)
    client = client_of(auditor)

    said, expected = {}, {}
    for number in numbers:
        (line,) = client.get(dossier_of(number)).context["dossier"].runs
        explained = explaining.explain(manifest.run, factories_member(number))
        said[number] = (line.then, line.now)
        expected[number] = tuple(
            [exclusions.BY_CODE[code].sentence for code in codes]
            for codes in (explained.frozen, explained.now)
        )

    assert said == expected
    assert len({tuple(now) for _, now in said.values()}) == 10


def factories_member(number: int) -> Any:
    return Member.objects.get(pk=number)


def fill(count: int, owner: User, officer: User) -> None:
    """So many more runs, decisions and objections of the member `customer-1`."""
    for place in range(count):
        factories.decide("customer-1", "deny" if place % 2 else "allow", actor=officer)
        factories.objection("customer-1", purposes=["safety", "personalisation"])
    first = Manifest.objects.last()
    for _ in range(count):
        run = factories.register(owner, parent=first.run if first else None)
        registering.start(run=run, actor=owner)
        freezing.freeze(run.pk)


def test_it_takes_at_most_eighteen_queries_however_much_there_is(
    open_world: None, officer: User, engineer: User, auditor: User, client_of: Any
) -> None:
    number = factories.add_member("customer-1")
    client = client_of(auditor)
    counts, sizes = [], []

    factories.freeze(engineer)
    for more in (1, 29):
        fill(more, engineer, officer)
        with CaptureQueriesContext(connection) as queries:
            page = client.get(dossier_of(number))
        counts.append(len(queries))
        sizes.append((len(page.context["dossier"].runs), page.context["dossier"].frozen))

    assert sizes == [(2, 2), (31, 31)]
    assert counts[0] == counts[1] <= MAX_QUERIES, counts


def test_runs_come_in_pages_and_can_be_narrowed_to_those_with_the_member_in(
    open_world: None,
    officer: User,
    engineer: User,
    auditor: User,
    client_of: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("auditing.staff.dossiers.RUNS_A_PAGE", 2)
    number = factories.add_member("customer-1")
    factories.freeze(engineer)
    factories.decide("customer-1", "deny", actor=officer)
    for _ in range(2):
        factories.freeze(engineer)
    client = client_of(auditor)

    def shown(**query: str) -> list[str]:
        lines = client.get(dossier_of(number), query).context["dossier"].runs
        return [line.run["run__reference"][-1] for line in lines]

    assert shown() == ["3", "2"]
    assert shown(p="2") == ["1"]
    assert shown(runs="in") == ["1"]
    assert client.get(dossier_of(number), {"p": "x"}).status_code == 400
    assert client.get(dossier_of(number), {"runs": "out"}).status_code == 400
    assert shown(p="99") == []


def test_an_archive_that_cannot_be_read_is_said_and_nothing_is_made_up(
    open_world: None, engineer: User, auditor: User, client_of: Any
) -> None:
    manifest = factories.freeze(engineer)
    archives.path_of(manifest.digest).unlink()

    page = client_of(auditor).get(dossier_of(1))

    assert [line.then for line in page.context["dossier"].runs] == [None]
    assert "The archives of 1 run cannot be read" in page.text
    narrowed = client_of(auditor).get(dossier_of(1), {"runs": "in"}).text
    assert "Of 1 frozen runs, 1 cannot be read; the member was in none of the others." in narrowed


def test_that_a_member_was_in_no_run_is_said_of_so_many_runs(
    open_world: None, engineer: User, auditor: User, client_of: Any
) -> None:
    factories.freeze(engineer)
    factories.freeze(engineer)
    late = factories.add_member("late")

    page = client_of(auditor).get(dossier_of(late), {"runs": "in"})

    assert "The member was in none of the 2 frozen runs." in page.text


def test_the_look_is_on_record_before_anything_is_read(
    open_world: None, auditor: User, client_of: Any
) -> None:
    client = client_of(auditor)

    with CaptureQueriesContext(connection) as queries:
        client.get(dossier_of(1))

    asked = [query["sql"] for query in queries]
    recorded = next(i for i, sql in enumerate(asked) if "INSERT" in sql)
    assert not any("consent_decision" in sql or "historical" in sql for sql in asked[:recorded])
    read = AccessRecord.objects.get()
    assert (read.kind, read.subject, read.user) == ("dossier.read", "member:1", auditor)


def test_a_look_that_cannot_be_recorded_is_refused(
    open_world: None, auditor: User, client_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_of(auditor)

    def fail(self: Any, *args: Any, **kwargs: Any) -> None:
        raise DatabaseError

    monkeypatch.setattr(AccessRecord, "save", fail)
    page = client.get(dossier_of(1))

    assert page.status_code == 503
    assert "First known" not in page.text


@pytest.mark.parametrize("page", ["auditing_member_dossier", "auditing_run_dossier"])
@pytest.mark.parametrize("number", [99, 2**31, 2**70])
def test_a_number_without_a_member_is_not_found(
    page: str, number: int, auditor: User, client_of: Any
) -> None:
    answer = client_of(auditor).get(reverse(f"admin:{page}", args=[number]))

    assert answer.status_code == 404
    assert not AccessRecord.objects.exists()


# --- A run --------------------------------------------------------------------------------------


def test_a_runs_dossier_tells_who_did_what_and_what_was_in_force(
    open_world: None, officer: User, engineer: User, auditor: User, client_of: Any
) -> None:
    parent = factories.freeze(engineer)
    manifest = factories.freeze(engineer, parent=parent.run)
    delivery = factories.training(manifest.run, engineer)
    runner = factories.registered_runner(engineer)
    with pytest.raises(DigestMismatch):
        factories.send_receipt(runner, delivery, engineer, manifest="0" * 64)
    checkpoint = signing.sign_now()
    client = client_of(auditor)
    client.get(reverse("admin:training_runs_run_change", args=[manifest.run.pk]))

    page = client.get(reverse("admin:auditing_run_dossier", args=[manifest.run.pk]))

    found = page.context["dossier"]
    assert [(entry.kind, entry.actor_name) for entry in found.entries] == [
        ("receipt.refused", "emil"),
        ("run.training", "emil"),
        ("delivery.made", "system:deliverer"),
        ("delivery.requested", "emil"),
        ("manifest.verified", "system:verifier"),
        ("run.frozen", "system:freezer"),
        ("run.requested", "emil"),
        ("run.registered", "emil"),
    ]
    assert len(found.rules) == 1
    assert "approved by otto: test" in found.rules[0].details[0]
    assert page.context["run"].covered_by == checkpoint.size
    assert [row.kind for row in found.findings] == ["digest_mismatch"]
    assert [(row.kind, row.actor_name) for row in found.reads] == [
        ("dossier.read", "ada"),
        ("manifest.read", "ada"),
    ]
    text = page.text
    assert all(
        word in text for word in (manifest.digest, manifest.ledger_root, parent.run.reference)
    )
    assert found.verifications[0].members_root in text


def test_a_runs_dossier_takes_at_most_eighteen_queries(
    open_world: None, officer: User, engineer: User, auditor: User, client_of: Any
) -> None:
    manifest = factories.freeze(engineer)
    signing.sign_now()
    client = client_of(auditor)
    address = reverse("admin:auditing_run_dossier", args=[manifest.run.pk])
    counts = []

    for more in (1, 9):
        for _ in range(more):
            factories.register(engineer, parent=manifest.run)
            verifying.verify(manifest)
            client.get(address)
        with CaptureQueriesContext(connection) as queries:
            client.get(address)
        counts.append(len(queries))

    assert counts[0] == counts[1] <= MAX_QUERIES, counts


def test_a_run_without_a_manifest_has_a_dossier_too(
    engineer: User, auditor: User, client_of: Any
) -> None:
    run = factories.register(engineer)

    page = client_of(auditor).get(reverse("admin:auditing_run_dossier", args=[run.pk]))

    assert "It has no manifest" in page.text


# --- Finding them -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "leads_to"),
    [
        ("2", "/admin/audit/members/2/"),
        ("Member:2", "/admin/audit/members/2/"),
        ("tr-{year}-000001", "/admin/audit/runs/"),
        ("OBJ-{year}-000001", "/admin/objections/ticket/"),
    ],
)
def test_a_number_or_a_reference_leads_to_the_dossier(
    typed: str, leads_to: str, open_world: None, engineer: User, auditor: User, client_of: Any
) -> None:
    factories.register(engineer)
    factories.objection("acc-1")

    answer = client_of(auditor).get(
        reverse("admin:auditing_dossiers"), {"of": typed.format(year=timezone.now().year)}
    )

    assert answer.status_code == 302
    assert answer["Location"].startswith(leads_to)


@pytest.mark.parametrize("typed", ["", "99", "TR-2020-000001", "a word", "9" * 39])
def test_a_reference_of_no_subject_leads_nowhere(
    typed: str, db: Any, auditor: User, client_of: Any
) -> None:
    page = client_of(auditor).get(reverse("admin:auditing_dossiers"), {"of": typed})

    assert page.status_code == 200
    assert page.context["form"].errors


def test_dossiers_are_for_auditors_and_officers(
    open_world: None, officer: User, engineer: User, administrator: User, client_of: Any
) -> None:
    statuses = [
        client_of(user).get(dossier_of(1)).status_code
        for user in (officer, engineer, administrator)
    ]

    assert statuses == [200, 403, 403]


@pytest.mark.parametrize("purpose", Purpose.values)
def test_reads_of_everybody_are_withheld_from_officers(
    purpose: str, open_world: None, officer: User, engineer: User, client_of: Any
) -> None:
    run = factories.register(engineer, purpose=purpose)

    page = client_of(officer).get(reverse("admin:auditing_run_dossier", args=[run.pk]))

    assert "Only auditors see this." in page.text
