"""Compare a past state with the current one, beside how it stands now."""

import datetime as dt
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.db import DatabaseError
from django.urls import reverse

from consent import accounts
from ledger import entries
from ledger.models import AccessRecord, Entry
from tools import factories
from training_runs.runs import freezing, registering, verifying

pytestmark = pytest.mark.django_db(transaction=True)

STATE = "/admin/audit/state/"


def on(day: str) -> Any:
    return time_machine.travel(dt.datetime.fromisoformat(f"{day}T12:00:00+00:00"), tick=False)


@pytest.fixture
def world(officer: User, second_officer: User) -> None:
    with on("2026-03-01"):
        factories.open_world(officer, second_officer)
        factories.add_members(3)
        factories.add_member("acc-x", country="DE")


def shown(client: Any, **asked: Any) -> dict[str, dict[str, tuple[str, str]]]:
    """Part by part: each fact then and now."""
    page = client.get(STATE, asked)
    assert page.context["found"], page.context["form"].errors
    return {
        part.name: {line.column: (line.before.text, line.after.text) for line in part.lines}
        for part in page.context["found"].parts
    }


def test_a_member_as_of_an_entry(world: None, officer: User, auditor: User, client_of: Any) -> None:
    before = entries.read_head().size
    factories.decide("acc-x", "deny", actor=officer)
    ticket = factories.objection("acc-x", purposes=["safety"])
    accounts.erase_member(account_ref="acc-x", actor=officer, reason="x")

    found = shown(client_of(auditor), what="member", which="4", entry=before)

    assert found["member 4"]["status"] == ("open", "erased")
    assert found["member 4"]["country"] == ("DE", "DE")
    generative = found["choices"]["Generative AI"]
    assert generative[0] == "the default: no decision is recorded"
    assert generative[1].startswith("deny, decided ")
    assert found[f"objection to Moderation and safety, {ticket.reference}"] == {}


def test_a_day_means_its_end_and_the_last_entry_recorded_by_then(
    world: None, officer: User, auditor: User, client_of: Any
) -> None:
    with on("2026-03-02"):
        factories.decide("acc-x", "deny", actor=officer)
        last = entries.read_head().size
    with on("2026-03-04"):
        factories.decide("acc-x", "allow", actor=officer)
    client = client_of(auditor)

    page = client.get(STATE, {"what": "member", "which": "4", "day": "2026-03-03"})
    choices = {
        day: shown(client, what="member", which="4", day=day)["choices"]["Generative AI"][0][:5]
        for day in ("2026-03-01", "2026-03-02", "2026-03-03", "2026-03-04")
    }

    assert page.context["entry"].sequence == last
    assert list(choices.values()) == ["the d", "deny,", "deny,", "allow"]


def test_region_rules_as_of_a_day_count_what_was_approved_by_then(
    world: None, officer: User, second_officer: User, auditor: User, client_of: Any
) -> None:
    with on("2026-03-05"):
        factories.allow(
            officer, second_officer, codes=["FR"], rule="excluded", purposes=["safety"],
            effective_from=dt.date(2026, 3, 10),
        )  # fmt: skip
    client = client_of(auditor)

    early, recorded, effective = (
        shown(client, what="rules", purpose="safety", day=day)["rule in each country"][
            "France (FR)"
        ]
        for day in ("2026-03-02", "2026-03-06", "2026-03-10")
    )

    assert early[0].startswith("default-on since 2024-09-18")
    assert recorded[0] == early[0]
    assert effective[0] == effective[1] == early[1]
    assert effective[1].startswith("excluded since 2026-03-10")
    page = client.get(STATE, {"what": "rules", "purpose": "safety", "day": "2026-03-02"})
    (part,) = page.context["found"].parts
    assert next(line.column for line, is_other in part.rows if is_other).startswith("France")
    assert [is_other for _, is_other in part.rows] == sorted(
        [is_other for _, is_other in part.rows], reverse=True
    )


def test_an_approval_that_came_later_did_not_count_yet(
    officer: User, second_officer: User, auditor: User, client_of: Any
) -> None:
    factories.allow(officer, second_officer, purposes=["safety"])
    proposed, approved = Entry.objects.order_by("sequence").values_list("sequence", flat=True)[:2]
    client = client_of(auditor)

    then = [
        shown(client, what="rules", purpose="safety", entry=entry)["rule in each country"]
        ["France (FR)"][0]
        for entry in (proposed, approved)
    ]  # fmt: skip

    assert then[0] == "no rule, so excluded"
    assert then[1].startswith("default-on")


def test_notices_as_of_an_entry(
    world: None, officer: User, second_officer: User, auditor: User, client_of: Any
) -> None:
    before = entries.read_head().size
    factories.publish(officer, second_officer, version="later")

    found = shown(client_of(auditor), what="notices", entry=before)[
        "notices that were ever approved"
    ]

    assert found.pop("notice later") == ("not in force", "in force")
    assert list(found.values()) == [("in force", "in force")]


def test_a_ticket_as_of_an_entry(
    world: None, officer: User, second_officer: User, auditor: User, client_of: Any
) -> None:
    ticket = factories.objection("acc-x", name="Nora", email="nora@example.org")
    received = entries.read_head().size
    factories.withdraw(ticket, officer, second_officer)
    factories.send_letters(ticket)
    client = client_of(auditor)

    found = shown(client, what="ticket", which=ticket.reference.lower(), entry=received)
    page = client.get(STATE, {"what": "ticket", "which": ticket.reference, "entry": received})

    assert found[f"objection ticket {ticket.reference}"]["state"] == ("received", "withdrawn")
    effect = found[f"objection to Generative AI, {ticket.reference}"]["effect"]
    assert effect == ("out while it is examined", "restriction lifted")
    assert "Nora" not in page.text
    assert "nora@" not in page.text


def test_a_run_as_of_an_entry(world: None, engineer: User, auditor: User, client_of: Any) -> None:
    run = factories.register(engineer)
    registered = entries.read_head().size
    registering.start(run=run, actor=engineer)
    manifest = freezing.freeze(run.pk)
    verifying.verify(manifest)

    found = shown(client_of(auditor), what="run", which=run.reference, entry=registered)

    assert found[f"run {run.reference}"]["state"] == ("registered", "frozen")
    assert found["manifest"] == {
        "archive's SHA-256": ("", manifest.digest),
        "verifications": ("", "agrees"),
    }


def test_what_was_not_there_yet_is_said(world: None, auditor: User, client_of: Any) -> None:
    page = client_of(auditor).get(STATE, {"what": "member", "which": "1", "entry": "1"})

    assert "It was not known yet at entry 1." in page.text


@pytest.mark.parametrize(
    ("asked", "field", "said"),
    [
        ({"what": "member", "entry": "1"}, "which", "Choose one."),
        ({"what": "member", "which": "99", "entry": "1"}, "which", "There is no member 99."),
        ({"what": "member", "which": "acc-1", "entry": "1"}, "which", "There is no member acc-1."),
        ({"what": "ticket", "which": "OBJ-1", "entry": "1"}, "which", "There is no ticket OBJ-1."),
        ({"what": "run", "which": "TR-1", "entry": "1"}, "which", "There is no run TR-1."),
        ({"what": "notices", "entry": "9999"}, "entry", "There is no entry 9999: the last one is"),
        ({"what": "notices", "entry": "9" * 30}, "entry", "There is no entry 99999"),
        ({"what": "notices", "entry": "0"}, "entry", "greater than or equal to 1"),
        ({"what": "notices", "entry": ""}, "entry", "Give the number of an entry, or a day."),
        ({"what": "notices", "entry": "1", "day": "2026-03-01"}, "day", "not both"),
        ({"what": "notices", "day": "2020-01-01"}, "day", "the first entry is of 2026-03-01"),
        ({"what": "notices", "day": "soon"}, "day", "Enter a valid date."),
        ({"what": "everything", "entry": "1"}, "what", "Select a valid choice."),
    ],
)
def test_an_error_names_what_is_wrong(
    asked: dict[str, str], field: str, said: str, world: None, auditor: User, client_of: Any
) -> None:
    page = client_of(auditor).get(STATE, asked)

    assert page.status_code == 200
    assert said in " ".join(page.context["form"].errors[field])
    assert page.context["found"] is None
    assert not AccessRecord.objects.exists()


def test_the_look_is_on_record(world: None, auditor: User, client_of: Any) -> None:
    client_of(auditor).get(STATE, {"what": "member", "which": "1", "entry": "3"})

    read = AccessRecord.objects.get()
    assert (read.kind, read.subject, read.purpose) == ("state.read", "member:1", "at entry 3")


def test_a_look_that_cannot_be_recorded_is_refused(
    world: None, auditor: User, client_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_of(auditor)

    def fail(self: Any, *args: Any, **kwargs: Any) -> None:
        raise DatabaseError

    monkeypatch.setattr(AccessRecord, "save", fail)
    page = client.get(STATE, {"what": "member", "which": "1", "entry": "3"})

    assert page.status_code == 503
    assert "default-on" not in page.text


def test_past_states_are_for_auditors_and_officers(
    world: None, officer: User, engineer: User, client_of: Any
) -> None:
    asked = {"what": "notices", "entry": "3"}
    statuses = [
        client_of(user).get(reverse("admin:auditing_state"), asked).status_code
        for user in (officer, engineer)
    ]

    assert statuses == [200, 403]
