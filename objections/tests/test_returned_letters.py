"""A letter that came back was not sent: what it did is undone, shown, and done again when it is sent again."""

import datetime as dt
from html import unescape

import pytest
import time_machine
from django.urls import reverse

from ledger.errors import InvalidInput
from ledger.models import Entry
from objections import acts, tasks
from objections.acts import on_letters
from objections.choices import Effect, LetterState, Outcome, TicketState
from objections.errors import LetterNotSent
from objections.models import Letter, Objection, Ticket
from tools import factories
from training_runs.incidents import finding
from training_runs.models import Incident

pytestmark = pytest.mark.django_db

MARCH = dt.datetime(2026, 3, 5, 12, tzinfo=dt.UTC)


def came_back(letter: Letter, officer) -> Letter:
    return on_letters.record_returned.do(letter=letter, reason="mailbox full", actor=officer)


def of(ticket: Ticket, kind: str) -> Letter:
    return ticket.letters.filter(kind=kind).latest("pk")


def effects() -> list[str]:
    return list(Objection.objects.order_by("pk").values_list("effect", flat=True))


def refused(officer, second_officer, count: int = 1) -> list[Ticket]:
    """Tickets of a member, refused together by one letter that is sent."""
    factories.add_member("acc-0")
    tickets = [
        factories.reviewed(
            factories.objection("acc-0", purposes=["safety"], email="a@example.org"), officer
        )
        for _ in range(count)
    ]
    first, *others = tickets
    proposal = acts.decide.do(
        ticket=first,
        outcomes={"safety": Outcome.REFUSED},
        also={one.reference: one.version for one in others},
        **factories.REFUSAL,
        version=first.version,
        actor=officer,
    )
    factories.approve(proposal, second_officer)
    factories.send_letters(first)
    for ticket in tickets:
        ticket.refresh_from_db()
    return tickets


# --- Outcomes -----------------------------------------------------------------------------------


def test_an_outcome_that_came_back_restricts_again_until_it_is_sent_again(officer, second_officer):
    first, second = refused(officer, second_officer, count=2)
    assert effects() == [Effect.RESTRICTION_LIFTED, Effect.RESTRICTION_LIFTED]

    letter = came_back(of(first, "refused"), officer)

    for ticket in (first, second):
        ticket.refresh_from_db()
    assert (letter.state, letter.sent_at) == (LetterState.FAILED, None)
    assert (effects(), first.answered_at, second.answered_at) == (["restricting"] * 2, None, None)
    assert first.state == TicketState.REFUSED
    entry = Entry.objects.get(kind="letter.returned")
    assert (entry.subject, entry.reason) == (
        first.reference,
        "outcome: refused: mailbox full",
    )
    assert {row.entry_id for row in Objection.history.filter(entry_id=entry.pk)} == {entry.pk}

    on_letters.try_again.do(letter=letter, actor=officer)
    tasks.send_letters()

    first.refresh_from_db()
    assert (effects(), first.answered_at is None) == ([Effect.RESTRICTION_LIFTED] * 2, False)


def test_what_was_upheld_stays_upheld_when_its_letter_comes_back(officer):
    factories.add_member("acc-0")
    ticket = factories.uphold(factories.objection("acc-0"), officer)
    factories.send_letters(ticket)

    came_back(of(ticket, "upheld"), officer)

    ticket.refresh_from_db()
    assert (effects(), ticket.answered_at) == ([Effect.UPHELD], None)


def test_a_copy_that_is_out_counts_in_the_place_of_what_came_back(officer, second_officer):
    (ticket,) = refused(officer, second_officer)
    first = of(ticket, "refused")
    copy = on_letters.repeat.do(letter=first, actor=officer)
    tasks.send_letters()

    came_back(first, officer)
    ticket.refresh_from_db()
    copy.refresh_from_db()
    assert (effects(), ticket.answered_at) == ([Effect.RESTRICTION_LIFTED], copy.sent_at)

    came_back(copy, officer)
    ticket.refresh_from_db()
    assert (effects(), ticket.answered_at) == ([Effect.RESTRICTING], None)


@pytest.mark.django_db(transaction=True)
def test_a_run_frozen_meanwhile_is_an_incident(officer, second_officer, engineer, client_of):
    factories.open_world(officer, second_officer)
    factories.add_member("acc-1")
    (ticket,) = refused(officer, second_officer)
    assert effects() == [Effect.RESTRICTION_LIFTED]
    run = factories.freeze(engineer, purpose="safety").run

    came_back(of(ticket, "refused"), officer)
    finding.look()

    page = client_of(officer).get(reverse("admin:objections_ticket_change", args=[ticket.pk]))
    assert run.reference in page.text
    assert Incident.objects.get().run == run
    assert factories.freeze(engineer, purpose="safety").included == 1


# --- On the way to an outcome -------------------------------------------------------------------


def test_an_extension_whose_notice_came_back_does_not_hold(officer):
    with time_machine.travel(MARCH, tick=False):
        ticket = factories.reviewed(factories.objection(channel="email", country="DE"), officer)
        base = ticket.due_on, ticket.refuse_by
        acts.extend.do(
            ticket=ticket,
            ground="number",
            explanation=factories.MORE_TIME,
            version=ticket.version,
            actor=officer,
        )
        factories.send_letters(ticket)
        ticket.refresh_from_db()
        extended = ticket.due_on, ticket.refuse_by

        letter = came_back(of(ticket, "extension"), officer)

        ticket.refresh_from_db()
        assert (ticket.state, ticket.extended_on) == (TicketState.IN_REVIEW, None)
        assert (ticket.due_on, ticket.refuse_by) == base != extended

        on_letters.try_again.do(letter=letter, actor=officer)
        factories.send_letters(ticket)

    ticket.refresh_from_db()
    assert (ticket.state, (ticket.due_on, ticket.refuse_by)) == (TicketState.EXTENDED, extended)


def asked(officer) -> Ticket:
    ticket = factories.objection(channel="email", country="DE")
    acts.ask_identity.do(ticket=ticket, **factories.IDENTITY, version=ticket.version, actor=officer)
    factories.send_letters(ticket)
    ticket.refresh_from_db()
    assert ticket.identity_asked_on is not None
    return ticket


def test_a_returned_identity_request_counts_as_not_asked(officer):
    ticket = asked(officer)

    letter = came_back(of(ticket, "identity_request"), officer)

    ticket.refresh_from_db()
    assert (ticket.state, ticket.identity_asked_on) == (TicketState.IDENTITY_CHECK, None)

    on_letters.try_again.do(letter=letter, actor=officer)
    factories.send_letters(ticket)
    ticket.refresh_from_db()
    assert ticket.identity_asked_on is not None


def test_a_closing_without_identity_is_not_approved_once_the_question_came_back(
    officer, second_officer
):
    ticket = asked(officer)
    proposal = acts.close_unidentified.do(
        ticket=ticket,
        evidence=factories.EVIDENCE,
        is_answered=True,
        version=ticket.version,
        actor=officer,
    )

    came_back(of(ticket, "identity_request"), officer)

    with pytest.raises(LetterNotSent, match="has not been sent yet"):
        factories.approve(proposal, second_officer)


# --- What is refused ----------------------------------------------------------------------------


def test_only_a_letter_that_was_sent_comes_back(officer):
    ticket = factories.objection(channel="email")

    with pytest.raises(LetterNotSent, match="only a letter that was sent"):
        came_back(ticket.letters.get(), officer)


def test_it_is_said_how_a_letter_came_back(officer):
    ticket = factories.objection(channel="email")
    (letter,) = factories.send_letters(ticket)

    with pytest.raises(InvalidInput):
        on_letters.record_returned.do(letter=letter, reason="\u200b", actor=officer)


def test_what_has_no_effect_any_more_is_not_undone(officer):
    answered = asked(officer)
    acts.record_identity.do(
        ticket=answered,
        answered_on=answered.identity_asked_on,
        how="x",
        version=answered.version,
        actor=officer,
    )

    with pytest.raises(LetterNotSent, match="no longer awaited"):
        came_back(of(answered, "identity_request"), officer)


def test_a_letter_before_the_outcome_is_not_undone_on_a_closed_ticket(officer):
    ticket = factories.objection(channel="email")
    factories.send_letters(ticket)
    factories.uphold(ticket, officer)

    with pytest.raises(LetterNotSent, match="what counts now is the outcome letter"):
        came_back(of(ticket, "acknowledgement"), officer)


def test_nothing_comes_back_to_who_is_erased(officer, second_officer):
    ticket = factories.uphold(factories.objection(channel="email"), officer)
    factories.send_letters(ticket)
    factories.erase_words(ticket, officer, second_officer)

    with pytest.raises(LetterNotSent, match="is erased"):
        came_back(of(ticket, "upheld"), officer)


# --- Its page -----------------------------------------------------------------------------------


def test_an_officer_records_on_its_page_that_a_letter_came_back(officer, second_officer, client_of):
    (ticket,) = refused(officer, second_officer)
    letter = of(ticket, "refused")
    client = client_of(officer)
    page = reverse("admin:objections_ticket_letter_returned", args=[letter.pk])
    places = [
        reverse("admin:objections_ticket_change", args=[ticket.pk]),
        reverse("admin:objections_ticket_letter", args=[letter.pk]),
        reverse("admin:objections_letter_change", args=[letter.pk]),
    ]

    offered = [f'"{page}"' in client.get(place).text for place in places]
    shown = unescape(client.get(page).text)
    client.post(page, {"reason": "the envelope came back"})

    letter.refresh_from_db()
    assert offered == [True] * 3
    assert "what it ended restricts again" in shown
    assert letter.state == LetterState.FAILED
    assert "it came back" in client.get(reverse("admin:objections_letter_changelist")).text
    assert "Letter came back" in client.get(places[0]).text
