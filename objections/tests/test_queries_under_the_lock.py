"""How long others wait for the ledger: the questions that filing and deciding ask while they have its lock."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from consent.choices import Purpose
from ledger.models import LedgerHead
from objections import acts
from objections.choices import Outcome
from objections.models import Letter, Ticket
from tools import factories

pytestmark = pytest.mark.django_db

MAX_QUERIES = 20


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


def test_filing_by_a_member_asks_little(officer: User) -> None:
    factories.add_member("acc-0")

    found = under_the_lock(lambda: factories.objection("acc-0", source_id="one"))

    assert len(found) <= MAX_QUERIES, found
    assert Letter.objects.get().kind == "acknowledgement"


def test_filing_by_a_stranger_asks_little() -> None:
    factories.add_member("acc-0")

    found = under_the_lock(
        lambda: factories.objection(
            "acc-0", is_vouched=False, source_id="one", sender="192.0.2.1", name="Ada"
        )
    )

    assert len(found) <= MAX_QUERIES, found
    assert Letter.objects.get().kind == "confirmation"


def test_deciding_asks_little(officer: User) -> None:
    factories.add_member("acc-0")
    ticket = factories.reviewed(factories.objection("acc-0"), officer)
    outcomes = {Purpose.GENERATIVE_AI: Outcome.UPHELD}

    found = under_the_lock(
        lambda: acts.decide.do(
            ticket=ticket, outcomes=outcomes, version=ticket.version or 0, actor=officer
        )
    )

    assert len(found) <= MAX_QUERIES, found
    assert Ticket.objects.get().state == "upheld"


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

    asked = [one for one in found if one.startswith("SELECT")]
    assert len(asked) == len(set(asked))
    tables = [one.partition(" FROM ")[2].split()[0] for one in asked]
    assert {table for table in tables if tables.count(table) > 1} == set()
