"""Each act on a letter in each state of a letter: what the page says is what the service raises, and nothing else is done."""

import datetime as dt
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from ledger import entries
from objections.acts import on_letters
from objections.acts.on_letters.letter_act import LetterAct
from objections.choices import Delivery, LetterState
from objections.clock.days import today
from objections.errors import LetterNotSent
from objections.letters import outbox
from objections.models import Letter
from tools import factories

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.one_engine]

SAID: dict[str, dict[str, Any]] = {
    "again": {},
    "repeat": {},
    "posted": {"posted_on": today()},
    "returned": {"reason": "the envelope came back"},
}
POSSIBLE = {
    ("again", LetterState.FAILED, Delivery.EMAIL),
    ("again", LetterState.FAILED, Delivery.POST),
    ("repeat", LetterState.SENT, Delivery.EMAIL),
    ("repeat", LetterState.SENT, Delivery.POST),
    # One that could not be mailed may go by post all the same.
    ("posted", LetterState.FAILED, Delivery.EMAIL),
    ("posted", LetterState.FAILED, Delivery.POST),
    ("posted", LetterState.WAITING, Delivery.POST),
    ("returned", LetterState.SENT, Delivery.EMAIL),
    ("returned", LetterState.SENT, Delivery.POST),
}
STATES = [(state, way) for state in LetterState for way in Delivery]


def letter_in(state: LetterState, way: Delivery, officer: User) -> Letter:
    """The outcome letter of an upheld objection: one that each act can be about."""
    ticket = factories.objection(
        channel="paper",
        email="ada@example.org" if way == Delivery.EMAIL else "",
        postal_address="1 Main Street",
        name="Ada",
    )
    factories.uphold(ticket, officer)
    letter: Letter = ticket.letters.get(kind="upheld")
    if state == LetterState.SENT and way == Delivery.POST:
        on_letters.record_posted.do(letter=letter, posted_on=today(), actor=officer)
    elif state == LetterState.SENT:
        factories.send_letters(ticket)
    elif state == LetterState.FAILED:
        outbox._end(letter, LetterState.FAILED, "letter.failed", "test")
    elif state == LetterState.CANCELLED:
        outbox._cancel(letter, "test")
    letter.refresh_from_db()
    assert (letter.state, letter.delivery) == (state, way)
    return letter


def test_every_act_is_tried() -> None:
    assert [act.name for act in on_letters.ALL] == list(SAID)


@pytest.mark.parametrize("act", on_letters.ALL, ids=[act.name for act in on_letters.ALL])
@pytest.mark.parametrize(("state", "way"), STATES)
def test_an_act_is_done_or_refused_with_the_sentence_of_its_page(
    act: LetterAct, state: LetterState, way: Delivery, officer: User, client_of: Any
) -> None:
    letter = letter_in(state, way, officer)
    page = reverse(f"admin:objections_ticket_letter_{act.name}", args=[letter.pk])
    client, size = client_of(officer), entries.read_head().size
    sentence = act.why_not(letter)

    shown = unescape(client.get(page).text)

    if (act.name, state, way) in POSSIBLE:
        assert sentence == ""
        typed = {
            name: value.isoformat() if isinstance(value, dt.date) else value
            for name, value in SAID[act.name].items()
        }
        assert client.post(page, typed).status_code == 302
        assert entries.read_head().size == size + 1
    else:
        assert sentence
        assert sentence in shown
        with pytest.raises(LetterNotSent) as refused:
            act.do(letter=letter, actor=officer, **SAID[act.name])
        assert str(refused.value) == sentence
        assert entries.read_head().size == size
