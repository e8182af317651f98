"""How far an objection is, in words for the person.

A decision is told by our letter: until it is sent, the objection is being examined, and until it counts as delivered
the data stays out, whatever was decided (GDPR Art. 18(3)). It does not disclose a ticket's officer, staff notes, the progress of a letter, or that
another person's account or ticket exists. No page promises more than we can keep: we exclude the data that we can link to the person.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime

from consent.choices import Purpose
from objections.choices import DUPLICATE, Effect, LetterKind, LetterState, Outcome, TicketState
from objections.clock.days import day_of, today
from objections.letters.texts import REQUEST_WORDS, date_in_words
from objections.models import Objection, Ticket
from objections.ticket import clocks

STATE_WORDS: dict[str, str] = {
    TicketState.RECEIVED: "received",
    TicketState.IDENTITY_CHECK: "waiting for an answer about identity",
    TicketState.IN_REVIEW: "being examined",
    TicketState.EXTENDED: "being examined, with more time",
    TicketState.UPHELD: "upheld",
    TicketState.PARTLY_UPHELD: "upheld for some purposes",
    TicketState.REFUSED: "refused",
    TicketState.WITHDRAWN: "withdrawn",
    TicketState.CLOSED_UNIDENTIFIED: "closed, because identity was not answered",
}
CLOSED_AS_DUPLICATE = "closed, because it is dealt with already or will be"
OUTCOME_WORDS: dict[str, str] = {
    Outcome.UPHELD: "upheld",
    Outcome.REFUSED: "refused",
    Outcome.DUPLICATE: CLOSED_AS_DUPLICATE,
    Outcome.WITHDRAWN: "withdrawn",
    Outcome.UNIDENTIFIED: "closed, because identity was not answered",
}
EFFECT_WORDS: dict[str, str] = {
    Effect.RESTRICTING: "the accounts that we can tie to you stay off the lists for new training",
    Effect.UPHELD: "the accounts that we can tie to you stay off the lists for new training, and this does not"
    " end by itself",
    # Something else may: the setting, the country, another objection.
    Effect.RESTRICTION_LIFTED: "this request no longer keeps an account off",
}


@dataclass(frozen=True)
class PurposeProgress:
    purpose: str
    effect: Effect
    words: str


@dataclass(frozen=True)
class Progress:
    reference: str
    kind: str
    is_verified: bool
    received_at: datetime
    state: str
    state_in_words: str
    due_on: date | None
    answered_at: datetime | None
    purposes: list[PurposeProgress]
    sentences: list[str]


def of(ticket: Ticket, *, to_filer: bool = True) -> Progress:
    """The progress of a worked ticket that the requester, or the member whose account it names, may read."""
    assert ticket.kind
    state = _state(ticket)
    purposes = [
        _purpose(objection, ticket)
        for objection in sorted(ticket.objections.all(), key=lambda one: one.purpose)
    ]
    due_on = None if clocks.is_paused(ticket, clocks.clock_of(ticket)) else ticket.due_on
    tell = _to_filer if to_filer else _to_member
    return Progress(
        reference=ticket.reference,
        kind=ticket.kind,
        is_verified=ticket.is_verified,
        received_at=ticket.received_at,
        state=DUPLICATE if _is_duplicate(ticket) else state,
        state_in_words=CLOSED_AS_DUPLICATE if _is_duplicate(ticket) else STATE_WORDS[state],
        due_on=due_on,
        answered_at=ticket.answered_at,
        purposes=purposes,
        sentences=list(tell(ticket, state, due_on, purposes)),
    )


def _state(ticket: Ticket) -> TicketState:
    """As the person knows it by our letters."""
    if not ticket.is_open and ticket.answered_at is None:
        return TicketState.EXTENDED if ticket.extended_on else TicketState.IN_REVIEW
    if ticket.state == TicketState.IDENTITY_CHECK and ticket.identity_asked_on is None:
        return TicketState.RECEIVED
    return TicketState(ticket.state or "")


def _is_duplicate(ticket: Ticket) -> bool:
    """Whether our letter said so, and nothing was weighed."""
    return ticket.answered_at is not None and ticket.ending == DUPLICATE


def _purpose(objection: Objection, ticket: Ticket) -> PurposeProgress:
    is_answered = ticket.answered_at is not None
    # An upheld outcome holds before its letter is sent; telling it would tell the others by their absence.
    effect = Effect(objection.effect) if is_answered else Effect.RESTRICTING
    outcome = OUTCOME_WORDS[objection.outcome or ""] if is_answered else "being examined"
    words = EFFECT_WORDS[effect]
    # What keeps a duplicate's person out is another objection, which has days of its own.
    if (
        effect == Effect.RESTRICTING
        and ticket.delivers_at is not None
        and objection.outcome != Outcome.DUPLICATE
    ):
        words += f" until {_day(ticket.delivers_at)}, when our letter counts as delivered"
    return PurposeProgress(objection.purpose, effect, f"{outcome}; {words}")


def _to_filer(
    ticket: Ticket, state: TicketState, due_on: date | None, purposes: list[PurposeProgress]
) -> Iterator[str]:
    request = REQUEST_WORDS[ticket.kind or ""]
    yield f"We received your {request} on {date_in_words(ticket.received_on)}."
    if ticket.answered_at is not None:
        yield _answer(ticket, state, request)
        yield from _decided(purposes)
        return
    if state == TicketState.RECEIVED and ticket.confirmed_at is None:
        yield from (
            f"On {_day(letter.sent_at)} we sent a link to the address you gave; please open it, so that we "
            "know it is yours."
            for letter in ticket.letters.all()
            if letter.kind == LetterKind.CONFIRMATION and letter.state == LetterState.SENT
        )
    if state == TicketState.IDENTITY_CHECK and ticket.identity_asked_on:
        asked = date_in_words(ticket.identity_asked_on)
        yield f"On {asked} we asked you who you are; please answer our letter."
    yield _until(ticket, state, due_on)
    is_known = ticket.is_verified and ticket.member_id is not None
    accounts = "your account stays" if is_known else "the accounts that we can tie to you stay"
    yield f"Until you have it, {accounts} off the lists for new training for {_named(purposes)}."


def _until(ticket: Ticket, state: TicketState, due_on: date | None) -> str:
    if due_on is None:
        return "By when you will have our answer depends on the day of yours."
    due = date_in_words(due_on)
    if due_on < today():
        return (
            f"You should have had our answer by {due}. It is late, and we apologise for the delay."
        )
    if state == TicketState.EXTENDED and ticket.extended_on:
        told = date_in_words(ticket.extended_on)
        return f"We need more time, until {due}, as we wrote to you on {told}."
    return f"You will have our answer by {due}."


def _answer(ticket: Ticket, state: TicketState, request: str) -> str:
    day = _day(ticket.answered_at)
    if _is_duplicate(ticket):
        return f"We closed it on {day}, because it is dealt with already or will be; nothing was weighed."
    if state == TicketState.WITHDRAWN:
        return f"You took it back, and we confirmed that on {day}."
    if state == TicketState.CLOSED_UNIDENTIFIED:
        return f"We closed it on {day}, because we could not find out who you are. You can send us another {request}."
    return f"We decided on {day}; our letter gives the reasons."


def _to_member(
    ticket: Ticket, state: TicketState, due_on: date | None, purposes: list[PurposeProgress]
) -> Iterator[str]:
    """Text for an account that an unverified person named: our letters went to that person."""
    request = REQUEST_WORDS[ticket.kind or ""]
    yield f"This {request} names your account; it reached us on {date_in_words(ticket.received_on)}."
    if ticket.answered_at is None:
        yield f"While we examine it, your account stays off the lists for new training for {_named(purposes)}."
        return
    yield f"We answered it on {_day(ticket.answered_at)}."
    yield from _decided(purposes)


def _decided(purposes: Iterable[PurposeProgress]) -> Iterator[str]:
    for one in purposes:
        yield f"{Purpose(one.purpose).label}: {one.words}."


def _named(purposes: Iterable[PurposeProgress]) -> str:
    return ", ".join(Purpose(one.purpose).label for one in purposes)


def _day(moment: datetime | None) -> str:
    assert moment is not None
    return date_in_words(day_of(moment))
