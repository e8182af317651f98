"""What an entry changed, as its page tells it."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from common.staff.changes import SHOWN_ROWS, changes_of
from consent.models import Decision
from ledger.checkpoints import signing
from ledger.models import Entry
from objections import acts
from tools import factories
from training_runs.runs import registering

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.one_engine]


def anything(permission: str) -> bool:
    return True


def nothing(permission: str) -> bool:
    return False


def told(entry: Entry) -> dict[str, dict[str, dict[str, tuple[str, str]]]]:
    """Part -> row -> column -> (before, after)."""
    return {
        part.name: {
            row.name: {line.column: (line.before.text, line.after.text) for line in row.lines}
            for row in part.rows
        }
        for part in changes_of(entry.pk, anything)
    }


def test_a_change_is_told_before_and_after_and_nothing_else(engineer: User) -> None:
    run = factories.register(engineer)
    registering.rename(run=run, title="Assistant 4", version=1, actor=engineer)

    entry = Entry.objects.get(kind="run.renamed")

    assert told(entry) == {
        "run": {f"run {run.reference}": {"title": ("", "Assistant 4"), "version": ("1", "2")}}
    }


def test_choices_people_and_what_is_referred_to_are_told_in_words(
    officer: User, second_officer: User
) -> None:
    number = factories.add_member("acc-1")
    ticket = factories.objection("acc-1")
    acts.assign.do(ticket=ticket, officer=second_officer, version=1, actor=officer)

    received = told(Entry.objects.get(kind="objection.received"))
    assigned = told(Entry.objects.get(kind="objection.assigned"))

    assert received["objection"] == {
        f"objection {ticket.objections.get().pk} (Generative AI)": {
            "effect": ("", "out while it is examined"),
            "member": ("", f"member {number}"),
            "purpose": ("", "Generative AI"),
            "restricts since": ("", f"{ticket.received_at:%Y-%m-%d %H:%M:%S} UTC"),
            "ticket": ("", ticket.reference),
        }
    }
    assert assigned["objection ticket"] == {
        f"objection ticket {ticket.reference}": {
            "assignee": ("", "otto"),
            "version": ("1", "2"),
        }
    }


def test_added_rows_are_told_with_their_values(officer: User) -> None:
    number = factories.add_member("acc-1")
    factories.decide("acc-1", "deny", actor=officer)

    (rows,) = told(Entry.objects.get(kind="consent.decision")).values()
    ((name, lines),) = rows.items()

    assert name == f"decision {Decision.objects.get().pk} (Generative AI)"
    assert lines["choice"] == ("", "deny")
    assert lines["member"] == ("", f"member {number}")
    assert lines["evidence only"] == ("", "no")


def test_links_lead_to_dossiers_and_to_no_closed_door(officer: User) -> None:
    number = factories.add_member("acc-1")
    factories.decide("acc-1", "deny", actor=officer)
    entry = Entry.objects.get(kind="consent.decision")

    urls = {}
    for may in (anything, nothing):
        (part,) = changes_of(entry.pk, may)
        (row,) = part.rows
        urls[may.__name__] = [line.after.url for line in row.lines if line.after.url]

    assert urls == {
        "anything": [reverse("admin:auditing_member_dossier", args=[number])],
        "nothing": [],
    }


def test_of_many_rows_the_first_are_shown_in_as_many_queries_as_one(officer: User) -> None:
    counts, shown = [], []

    for count in (1, 120):
        factories.add_members(count, prefix=f"many-{count}")
        with CaptureQueriesContext(connection) as queries:
            (part,) = changes_of(Entry.objects.first().pk, anything)
        counts.append(len(queries))
        shown.append((len(part.rows), part.count, part.hidden))

    assert shown == [(1, 1, 0), (SHOWN_ROWS, 120, 70)]
    # One more to count them.
    assert counts[1] <= counts[0] + 1


def test_the_page_says_where_the_entry_lies_and_what_covers_it(
    engineer: User, auditor: User, client_of: Any
) -> None:
    run = factories.register(engineer)
    entry = Entry.objects.get(kind="run.registered")
    client = client_of(auditor)
    address = reverse("admin:ledger_entry_change", args=[entry.pk])

    before = client.get(address).text
    checkpoint = signing.sign_now()
    after = client.get(address).text

    assert "No checkpoint covers it yet" in before
    assert f"The checkpoint of the first {checkpoint.size} entries" in after
    assert f"leaf {entry.pk - 1} of the tree" in after
    assert reverse("admin:auditing_run_dossier", args=[run.pk]) in after
