"""The list of entries: what it is narrowed by, and what it says when it cannot."""

import datetime as dt
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.urls import reverse

from ledger.entries import entry
from ledger.models import Entry
from tools import factories

LIST = "/admin/ledger/entry/"


def found(client: Any, **typed: str) -> list[int]:
    """The numbers of the entries that the list shows, the first of them first."""
    shown = client.get(LIST, typed).context["cl"].result_list
    return sorted(entry.sequence for entry in shown)


def write(kind: str, actor: Any = "system:test", subject: str = "", reason: str = "") -> int:
    with entry(kind, actor=actor, subject=subject, reason=reason) as opened:
        return opened.sequence


@pytest.fixture
def entries(officer: User, engineer: User) -> dict[str, int]:
    with time_machine.travel(dt.datetime(2026, 3, 1, 23, 59, 59, tzinfo=dt.UTC), tick=False):
        early = write("run.renamed", engineer, "TR-2026-000001", "the old title named a client")
    with time_machine.travel(dt.datetime(2026, 3, 2, 0, 0, tzinfo=dt.UTC), tick=False):
        late = write("rule.proposed", officer, "region-rule:1", "the regulator of the client")
    # The engineer's team was made by a command.
    team = Entry.objects.get(kind="team.created").pk
    system = write("run.frozen", subject="TR-2026-000002")
    return {"team": team, "early": early, "late": late, "system": system}


@pytest.mark.parametrize(
    ("typed", "names"),
    [
        ({}, ["team", "early", "late", "system"]),
        ({"kind": "run.renamed"}, ["early"]),
        ({"actor": "emil"}, ["early"]),
        ({"actor": "emi"}, []),
        ({"actor": "system:test"}, ["system"]),
        ({"by": "person"}, ["early", "late"]),
        ({"by": "system"}, ["team", "system"]),
        ({"subject": "TR-2026-000002"}, ["system"]),
        ({"subject": "TR-2026"}, []),
        ({"last": "2026-03-01"}, ["early"]),
        ({"first": "2026-03-02"}, ["team", "late", "system"]),
        ({"first": "2026-03-01", "last": "2026-03-02"}, ["early", "late"]),
        ({"words": "CLIENT"}, ["early", "late"]),
        ({"words": "client title"}, ["early"]),
        ({"words": "client 'unknown' & | ! ("}, []),
        ({"words": "client", "actor": "olga"}, ["late"]),
    ],
)
def test_the_list_shows_what_was_asked_for(
    typed: dict[str, str], names: list[str], entries: Any, auditor: User, client_of: Any
) -> None:
    assert found(client_of(auditor), **typed) == [entries[name] for name in names]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"first": "yesterday"}, "Enter a valid date."),
        ({"first": "2026-03-02", "last": "2026-03-01"}, "This is before the first day."),
        ({"kind": "nothing.like"}, "Select a valid choice."),
        ({"about": "member:99999999"}, "There is no member:99999999"),
        ({"about": "TR-2031-000001"}, "There is no TR-2031-000001"),
        ({"about": "anything"}, "There is no anything: it takes a member (member:12)"),
    ],
)
def test_what_cannot_be_understood_is_said_and_nothing_is_shown(
    typed: dict[str, str], said: str, entries: Any, auditor: User, client_of: Any
) -> None:
    page = client_of(auditor).get(LIST, typed)

    assert page.status_code == 200
    assert said in page.text
    assert list(page.context["cl"].result_list) == []


@pytest.mark.django_db(transaction=True)
def test_everything_about_a_thing_holds_what_hangs_on_it(
    officer: User, second_officer: User, engineer: User, auditor: User, client_of: Any
) -> None:
    factories.open_world(officer, second_officer)
    number = factories.add_member("acc-1")
    factories.add_member("acc-2")
    factories.add_member("acc-3")
    factories.decide("acc-1", "deny", actor=officer)
    factories.decide("acc-2", "deny", actor=officer)
    run = factories.freeze(engineer).run
    ticket = factories.objection("acc-1", received_at=run.registered_at - dt.timedelta(days=1))
    client = client_of(auditor)

    about_member, about_run, about_ticket = (
        [Entry.objects.get(pk=pk).kind for pk in found(client, about=reference)]
        for reference in (f"member:{number}", run.reference, ticket.reference)
    )

    assert about_member == ["test.members", "consent.decision", "objection.received"]
    assert about_run == ["run.registered", "run.requested", "run.frozen", "manifest.verified"]
    assert about_ticket == ["objection.received"]


def test_a_list_that_is_empty_says_why(auditor: User, client_of: Any) -> None:
    client = client_of(auditor)

    fresh = client.get(LIST).text
    write("run.frozen")
    narrowed = client.get(LIST, {"kind": "run.renamed"}).text

    assert "There are no ledger entries yet." in fresh
    assert "No ledger entries match these filters." in narrowed


def test_the_list_is_the_auditors(officer: User, engineer: User, client_of: Any) -> None:
    address = reverse("admin:ledger_entry_changelist")

    assert {client_of(user).get(address).status_code for user in (officer, engineer)} == {403}
