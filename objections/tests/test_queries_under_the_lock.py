"""How long others wait for the ledger: the questions that filing and deciding ask while they have its lock."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from consent.choices import Purpose
from ledger import entries
from ledger.errors import NoOpenEntry
from ledger.models import LedgerHead
from ledger.verification.verifying import verify_ledger
from objections import acts
from objections.choices import Outcome
from objections.models import Letter, Objection, Ticket
from tools import factories

pytestmark = pytest.mark.django_db

MAX_QUERIES = 23


def under_the_lock(act: Callable[[], object]) -> list[str]:
    """The statements between the one that locks the ledger's head and the end of the transaction."""
    with CaptureQueriesContext(connection) as captured:
        act()
    statements = [query["sql"] for query in captured]
    table = LedgerHead._meta.db_table
    locks = [
        number
        for number, one in enumerate(statements)
        if one.startswith("SELECT") and f'FROM "{table}"' in one
    ]
    assert len(locks) == 1, "One act is one entry."
    inside = statements[locks[0] + 1 :]
    # A test's own transaction is around it, so the end is that of a savepoint.
    ends = [number for number, one in enumerate(inside) if one.startswith("RELEASE SAVEPOINT")]
    return inside[: ends[-1]]


ONE_OR_ALL = pytest.mark.parametrize(
    "purposes", [[Purpose.GENERATIVE_AI], list(Purpose)], ids=["one purpose", "all purposes"]
)


@ONE_OR_ALL
def test_filing_by_a_member_asks_little(purposes: list[Purpose]) -> None:
    factories.add_member("acc-0")

    found = under_the_lock(lambda: factories.objection("acc-0", source_id="one", purposes=purposes))

    assert len(found) <= MAX_QUERIES, found
    assert Letter.objects.get().kind == "acknowledgement"


@ONE_OR_ALL
def test_filing_by_a_stranger_asks_little(purposes: list[Purpose]) -> None:
    factories.add_member("acc-0")

    found = under_the_lock(
        lambda: factories.objection(
            "acc-0",
            is_vouched=False,
            source_id="one",
            sender="192.0.2.1",
            name="Ada",
            purposes=purposes,
        )
    )

    assert len(found) <= MAX_QUERIES, found
    assert Letter.objects.get().kind == "confirmation"


@ONE_OR_ALL
def test_deciding_asks_little(purposes: list[Purpose], officer: User) -> None:
    factories.add_member("acc-0")
    ticket = factories.reviewed(factories.objection("acc-0", purposes=purposes), officer)
    outcomes = dict.fromkeys(purposes, Outcome.UPHELD)

    found = under_the_lock(
        lambda: acts.decide.do(
            ticket=ticket, outcomes=outcomes, version=ticket.version or 0, actor=officer
        )
    )

    assert len(found) <= MAX_QUERIES, found
    assert Ticket.objects.get().state == "upheld"


def test_rows_saved_together_leave_the_history_of_rows_saved_one_by_one(officer: User) -> None:
    factories.add_member("acc-0")
    ticket = factories.objection("acc-0", purposes=list(Purpose))
    found = []

    for save in (
        lambda rows: [row.save() for row in rows],
        Objection.objects.save_all,
    ):
        rows = list(ticket.objections.order_by("purpose"))
        for row in rows:
            row.outcome = Outcome.UPHELD
        with entries.entry("objection.decided", actor=officer, subject=ticket.reference) as opened:
            save(rows)
        history = Objection.history.filter(entry_id=opened.sequence).order_by("purpose")
        found.append(
            [
                *history.values(
                    "id",
                    "purpose",
                    "effect",
                    "outcome",
                    "ticket_id",
                    "member_id",
                    "history_type",
                    "history_user_id",
                    "history_change_reason",
                )
            ]
        )
        assert {one.outcome for one in ticket.objections.all()} == {Outcome.UPHELD}

    assert found[0] == found[1]
    assert len(found[0]) == len(Purpose)
    created = Objection.history.filter(history_type="+").values_list("id", "purpose", "member_id")
    assert sorted(created) == sorted(ticket.objections.values_list("id", "purpose", "member_id"))
    assert verify_ledger().problems == []


def test_rows_are_saved_together_inside_an_entry_only() -> None:
    ticket = factories.objection()

    with pytest.raises(NoOpenEntry):
        Objection.objects.save_all(list(ticket.objections.all()))


def test_nothing_is_asked_twice(officer: User) -> None:
    factories.add_member("acc-0")
    purposes = list(Purpose)
    ticket = factories.reviewed(factories.objection("acc-0", purposes=purposes), officer)
    outcomes = dict.fromkeys(purposes, Outcome.UPHELD)

    found = under_the_lock(
        lambda: acts.decide.do(
            ticket=ticket, outcomes=outcomes, version=ticket.version or 0, actor=officer
        )
    )

    # Whether accounts were merged, whose objections follow this one, is a question of its own.
    asked = [one for one in found if one.startswith("SELECT") and '"stands_for_id" = ' not in one]
    assert len(asked) == len(set(asked))
    tables = [one.partition(" FROM ")[2].split()[0] for one in asked]
    assert {table for table in tables if tables.count(table) > 1} == set()
