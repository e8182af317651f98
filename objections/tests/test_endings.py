"""How a ticket ended has one definition: list, filter, file, figures, API and the demo's table count the same."""

import csv
import io
from typing import Any

import pytest
from django.contrib.auth.models import User

from demo import desk
from objections import acts
from objections.choices import (
    ABUSE,
    DUPLICATE,
    ENDINGS,
    OPEN_STATES,
    ChangeVerdict,
    Outcome,
    TicketState,
)
from objections.clock.days import today
from objections.models import Objection, Ticket
from objections.public import progress
from objections.reports import figures
from objections.staff.filters import TABS
from objections.ticket.checks import waiting_proposal
from tools import factories

pytestmark = pytest.mark.django_db

QUEUE = "/admin/objections/ticket/"


@pytest.fixture
def ended(officer: User, second_officer: User) -> dict[str, Ticket]:
    """One ticket for each way to end."""
    factories.add_members(8)
    first = factories.objection("acc-0", country="DE", purposes=["safety"])
    rows = {
        TicketState.UPHELD: factories.uphold(factories.objection("acc-1", country="DE"), officer),
        TicketState.REFUSED: _decided("acc-2", Outcome.REFUSED, officer, second_officer),
        TicketState.WITHDRAWN: factories.withdraw(
            factories.objection("acc-3"), officer, second_officer
        ),
        DUPLICATE: _duplicate(officer, second_officer),
        ABUSE: _abuse(officer, second_officer),
    }
    assert first.is_open
    for row in rows.values():
        row.refresh_from_db()
        factories.send_letters(row)
    return {str(ending): Ticket.objects.get(pk=row.pk) for ending, row in rows.items()}


def _decided(account: str, outcome: str, officer: User, second_officer: User) -> Ticket:
    ticket = factories.reviewed(
        factories.objection(account, country="DE", purposes=["safety"]), officer
    )
    acts.decide.do(
        ticket=ticket,
        outcomes={"safety": outcome},
        version=ticket.version or 0,
        actor=officer,
        **factories.REFUSAL,
    )
    return _approve(ticket, second_officer)


def _approve(ticket: Ticket, second_officer: User) -> Ticket:
    ticket.refresh_from_db()
    proposal = waiting_proposal(ticket)
    assert proposal
    acts.review.do(
        ticket=proposal.ticket,
        verdict=ChangeVerdict.APPROVED,
        version=ticket.version or 0,
        actor=second_officer,
        reason="It is right: I have read the statement and the letter.",
    )
    return ticket


def _duplicate(officer: User, second_officer: User) -> Ticket:
    factories.objection("acc-4", country="DE", purposes=["safety"])
    again = factories.reviewed(
        factories.objection("acc-4", country="DE", purposes=["safety"]), officer
    )
    first = Ticket.objects.worked().filter(member=again.member_id).earliest("pk")
    if again.linked_to_id is None:
        acts.link.do(
            ticket=again, other=first, reason="the same", version=again.version or 0, actor=officer
        )
        again.refresh_from_db()
    acts.decide.do(
        ticket=again,
        outcomes={"safety": Outcome.DUPLICATE},
        version=again.version or 0,
        actor=officer,
    )
    again.refresh_from_db()
    return _approve(again, second_officer) if again.is_open else again


def _abuse(officer: User, second_officer: User) -> Ticket:
    ticket = factories.objection(is_vouched=False, looks_automatic=True)
    assert ticket.is_set_aside
    acts.close_abuse.do(
        ticket=ticket,
        evidence="A program sent it, as ninety others of the same minute and network.",
        version=ticket.version or 0,
        actor=officer,
    )
    return _approve(ticket, second_officer)


def test_every_count_of_an_ending_is_the_same(
    ended: dict[str, Ticket], officer: User, client_of: Any
) -> None:
    client = client_of(officer)
    in_figures = {
        row[0]: row[1] for row in figures.answered(figures.Period.until(today()), today()).rows
    }
    in_demo = {
        line.rpartition("  ")[0].strip(): int(line.split()[-1]) for line in desk.table(today())
    }
    file = list(
        csv.DictReader(
            io.StringIO(
                client.get(f"{QUEUE}export/csv/?queue=closed").getvalue().decode("utf-8-sig")
            )
        )
    )

    for ending, words in ENDINGS.items():
        listed = client.get(QUEUE, {"queue": "closed", "state": ending}).context["cl"]
        expected = [ended[ending].pk] if ending in ended else []
        assert [row.pk for row in listed.result_list] == expected, ending
        assert [row["reference"] for row in file if row["state"] == ending] == [
            Ticket.objects.get(pk=number).reference for number in expected
        ]
        assert in_figures.get(words, 0) == len(expected), ending
        assert in_demo[words] == len(expected), ending
    assert len(file) == len(ended) == in_figures["All"]


def test_python_and_the_database_call_each_ticket_the_same(ended: dict[str, Ticket]) -> None:
    for ticket in Ticket.objects.worked():
        assert list(Ticket.objects.ended_as(ticket.ending).filter(pk=ticket.pk)) == [ticket]
    assert {ending: row.ending for ending, row in ended.items()} == {one: one for one in ended}
    assert ended[DUPLICATE].get_state_display() == "closed as a duplicate"
    assert ended[ABUSE].get_state_display() == "closed as abuse"


def test_the_api_tells_a_duplicate_apart_from_a_refusal(ended: dict[str, Ticket]) -> None:
    assert progress.of(ended[DUPLICATE]).state == DUPLICATE
    assert progress.of(ended[TicketState.REFUSED]).state == TicketState.REFUSED


def test_the_states_of_the_queue_divide_it(
    ended: dict[str, Ticket], officer: User, client_of: Any
) -> None:
    client = client_of(officer)
    for tab in TABS:
        page = client.get(QUEUE, {"queue": tab.name})
        whole = {row.pk for row in page.context["cl"].result_list}
        [states] = [one for one in page.context["cl"].filter_specs if one.title == "state"]
        parts = [
            {
                row.pk
                for row in client.get(QUEUE, {"queue": tab.name, "state": value})
                .context["cl"]
                .result_list
            }
            for value, _ in states.lookup_choices
        ]
        assert set().union(*parts) == whole, tab.name
        assert sum(map(len, parts)) == len(whole), tab.name
    assert {*OPEN_STATES}.isdisjoint(ENDINGS)
    assert Objection.objects.filter(outcome=Outcome.DUPLICATE).count() == 1
