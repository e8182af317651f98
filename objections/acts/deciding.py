"""Deciding on a ticket. What keeps people out holds at once.

What would let somebody in again is proposed, takes a second person, and then waits until the letter is sent.
"""

import datetime as dt
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from django.contrib.auth.models import User
from django.db.models import Q

from common.errors import StaleEdit
from consent.choices import PURPOSES, ObjectionMode, Purpose
from ledger.errors import InvalidInput
from objections.acts import required_words
from objections.choices import (
    AS_ABUSE,
    NEXT_STATES,
    Effect,
    LetterKind,
    LetterState,
    NoteKind,
    Outcome,
    Regime,
    State,
    Verdict,
)
from objections.clock.days import today
from objections.clock.deadlines import IDENTITY_WAIT_DAYS
from objections.errors import (
    AlreadySettled,
    CannotBeRefused,
    LetterNotSent,
    NeedsSecondPerson,
    NotAllowedHere,
)
from objections.letters import composing
from objections.models import Approval, Note, Objection, Proposal, Requester, Ticket
from objections.ticket.checks import check_undecided, check_writable, recorded
from objections.ticket.clocks import clock_after_identity, keep_clock
from objections.ticket.notes import must_say, write_note
from objections.ticket.states import locked, move

_DECIDED: frozenset[str] = frozenset({Outcome.UPHELD, Outcome.REFUSED, Outcome.DUPLICATE})
"""What an examination ends with; the other outcomes have acts of their own."""


def decide(
    *,
    ticket: Ticket,
    outcomes: Mapping[str, str],
    version: int,
    actor: User,
    ground: str = "",
    balancing: str = "",
    reasons: str = "",
    also: Mapping[str, int] = MappingProxyType({}),
) -> Ticket | Proposal:
    """Decide on every purpose of a ticket, and together with it on linked ones: `also` has, by reference, the version
    of each that its reader saw.

    Upheld for all: done at once, and the letter is queued. Anything else would let somebody in again and becomes a
    proposal for a second person. Raises CannotBeRefused, InvalidInput naming what the law asks for, StaleEdit naming
    the ticket that somebody changed.
    """
    if set(outcomes.values()) - _DECIDED:
        raise InvalidInput(f"One of {', '.join(sorted(_DECIDED))}.", field="outcomes")
    if Outcome.REFUSED in outcomes.values():
        required_words.check("ground", ground)
        required_words.check("balancing", balancing)
        required_words.check("reasons", reasons)
        required_words.check_apart({"ground": ground, "balancing": balancing, "reasons": reasons})
    state = state_after(outcomes)
    kind = "objection.decided" if state == State.UPHELD else "objection.proposed"
    with recorded(kind, ticket, actor) as opened:
        row = locked(ticket, version)
        together = _together(row, list(also), also)
        _check_outcomes(row, outcomes, together)
        for one in [row, *together]:
            _check_move(one, state)
        opened.reason = _in_words(outcomes)
        words: dict[str, str] = {
            NoteKind.GROUND: ground,
            NoteKind.BALANCING: balancing,
            NoteKind.REASONS: reasons,
        }
        for word, text in words.items():
            write_note(row, NoteKind(word), text, actor)
        if state != State.UPHELD:
            return _propose(row, state, outcomes, together, actor)
        _close(row, state, outcomes, together, words)
    return row


def state_after(outcomes: Mapping[str, str]) -> State:
    """What a ticket becomes by the outcomes of its purposes."""
    if Outcome.UPHELD not in outcomes.values():
        return State.REFUSED
    return State.UPHELD if set(outcomes.values()) == {Outcome.UPHELD} else State.PARTLY_UPHELD


def why_not_refused(ticket: Ticket, purpose: str) -> str:
    """Why an objection to the purpose cannot be refused; empty when it is weighed (GDPR Art. 21(1)).

    A Californian's opt-out is not weighed: only a request believed to be fraudulent may be denied, and what was
    set aside is closed as abuse (11 CCR § 7026(e)).
    """
    if PURPOSES[purpose].objection_mode == ObjectionMode.UNCONDITIONAL:
        return f"{Purpose(purpose).label}: an objection to it is upheld without weighing."
    if ticket.regime == Regime.US_CA:
        return f"{Purpose(purpose).label}: California weighs no opt-out (CCPA regulations, § 7026): it is upheld."
    return ""


def propose_withdrawal(*, ticket: Ticket, evidence: str, version: int, actor: User) -> Proposal:
    """The person took it back. A second person looks at the message; the person is told, and only then in again."""
    required_words.check("withdrawal", evidence)
    return _propose_closing(
        ticket,
        State.WITHDRAWN,
        Outcome.WITHDRAWN,
        evidence=evidence,
        version=version,
        actor=actor,
    )


def propose_unidentified(
    *, ticket: Ticket, evidence: str, version: int, actor: User, is_answered: bool = False
) -> Proposal:
    """The person could not be identified: asked, and waited for, or answered so that we still do not know."""
    required_words.check("unidentified", evidence)

    def check(row: Ticket) -> None:
        asked_on = _check_identity_asked(row)
        if not is_answered and (today() - asked_on).days < IDENTITY_WAIT_DAYS:
            until = asked_on + dt.timedelta(days=IDENTITY_WAIT_DAYS)
            raise NotAllowedHere(f"The person has until {until} to answer: asked on {asked_on}.")

    return _propose_closing(
        ticket,
        State.CLOSED_UNIDENTIFIED,
        Outcome.UNIDENTIFIED,
        evidence=evidence,
        version=version,
        actor=actor,
        check=check,
    )


def propose_abuse(*, ticket: Ticket, evidence: str, version: int, actor: User) -> Proposal:
    """What was set aside is no request of a person: close it without writing to an address that is likely forged.

    A second person approves it. What it restricts stays restricted: nobody is let in again without a letter.
    """
    required_words.check("abuse", evidence)
    with recorded("objection.proposed", ticket, actor, reason="closed as abuse"):
        row = locked(ticket, version)
        if not row.is_set_aside:
            raise NotAllowedHere(f"{row} was not set aside: whoever filed it gets an answer.")
        check_undecided(row)
        if not row.is_open:
            move(row, AS_ABUSE)
        write_note(row, NoteKind.EVIDENCE, evidence, actor)
        purposes = row.objections.values_list("purpose", flat=True)
        proposal = Proposal(
            ticket=row,
            state=AS_ABUSE,
            outcomes=dict.fromkeys(purposes, Outcome.UNIDENTIFIED),
            also=[],
            proposed_by=actor,
        )
        proposal.save()
        row.save()
    return proposal


def _check_identity_asked(ticket: Ticket) -> dt.date:
    """On which day the person was asked who they are, where the lack of an answer may close a ticket."""
    if sentence := why_not_unidentified(ticket):
        error = NotAllowedHere if ticket.regime == Regime.US_CA else LetterNotSent
        raise error(sentence)
    assert ticket.identity_asked_on
    return ticket.identity_asked_on


def why_not_unidentified(ticket: Ticket) -> str:
    """Why a ticket cannot be closed because nobody knows who asks, whatever came back; empty when it can."""
    if ticket.regime == Regime.US_CA:
        return (
            "California asks nobody who opts out for identity (CCPA regulations, § 7026(d)): go on without it, and"
            " decide."
        )
    if ticket.identity_asked_on is None:
        return "The identity request has not been sent yet."
    return ""


def _propose_closing(
    ticket: Ticket,
    state: State,
    outcome: Outcome,
    *,
    evidence: str,
    version: int,
    actor: User,
    check: Callable[[Ticket], object] = lambda row: None,
) -> Proposal:
    """`check` is given the locked ticket and raises what forbids it."""
    with recorded("objection.proposed", ticket, actor, reason=state.label):
        row = locked(ticket, version)
        _check_move(row, state)
        check(row)
        write_note(row, NoteKind.EVIDENCE, evidence, actor)
        purposes = row.objections.values_list("purpose", flat=True)
        return _propose(row, state, dict.fromkeys(purposes, outcome), [], actor)


def _propose(
    ticket: Ticket,
    state: State,
    outcomes: Mapping[str, str],
    together: Collection[Ticket],
    actor: User,
) -> Proposal:
    # Said now, not after a colleague approved it: it cannot take effect without a letter.
    composing.requester_of(ticket)
    _check_address(ticket, outcomes)
    proposal = Proposal(
        ticket=ticket,
        state=state,
        outcomes=dict(outcomes),
        also=[one.reference for one in together],
        also_versions={one.reference: one.version for one in together} or None,
        proposed_by=actor,
    )
    proposal.save()
    ticket.save()
    return proposal


_TOLD: frozenset[str] = frozenset({Outcome.REFUSED, Outcome.WITHDRAWN})
"""What a letter must have told the person before they are in again. Where nobody knows who asks, or another ticket
stands, no address can be asked for more."""


def _check_address(ticket: Ticket, outcomes: Mapping[str, str]) -> None:
    if set(outcomes.values()) & _TOLD and (sentence := why_not_told(ticket)):
        raise NotAllowedHere(sentence)


def why_not_told(ticket: Ticket) -> str:
    """Why no letter to the person may let them in again; empty when one may."""
    if composing.is_proven(ticket):
        return ""
    return (
        f"Nobody knows that the address of {ticket} is the person's: what lets them in again is told to them"
        " (GDPR Art. 18(3)). Confirm the address first."
    )


def review(
    *, proposal: Proposal, verdict: Verdict, version: int, actor: User, reason: str
) -> Ticket:
    """The second person's word: approved, the ticket closes and the letter is queued; returned, work goes on.

    Whoever proposed it may take it back. The restriction stands until the letter is sent.
    """
    must_say("reason", reason, "Say what you checked.")
    kind = "objection.approved" if verdict == Verdict.APPROVED else "objection.returned"
    with recorded(kind, proposal.ticket, actor, reason=reason):
        row = locked(proposal.ticket, version)
        if verdict == Verdict.APPROVED and proposal.proposed_by_id == actor.pk:
            raise NeedsSecondPerson("Whoever proposed it may not approve it: ask a colleague.")
        if Approval.objects.filter(proposal=proposal).exists() or not row.is_open:
            raise AlreadySettled("Somebody has decided on this proposal already.")
        Approval(proposal=proposal, verdict=verdict, reviewer=actor).save()
        if verdict == Verdict.APPROVED:
            together = _as_proposed(row, proposal)
            _check_address(row, proposal.outcomes)
            if proposal.state == State.CLOSED_UNIDENTIFIED and not row.is_set_aside:
                _check_identity_asked(row)
            if set(proposal.outcomes.values()) <= _DECIDED:
                _check_outcomes(row, proposal.outcomes, together)
            _close(row, State(proposal.state), proposal.outcomes, together, words_of(proposal))
        else:
            row.save()
    return row


def _as_proposed(ticket: Ticket, proposal: Proposal) -> list[Ticket]:
    """The tickets decided together with one, locked, as they were when it was proposed."""
    try:
        return _together(ticket, proposal.also, proposal.also_versions or {})
    except StaleEdit as stale:
        raise StaleEdit(f"{stale} This was proposed before that: send it back.") from stale


def words_of(proposal: Proposal) -> dict[str, str]:
    """Staff's words that were kept with a proposal, by their kind."""
    kept = Note.objects.filter(ticket=proposal.ticket_id, entry=proposal.entry_id)
    return dict(kept.values_list("kind", "text"))


def _together(
    ticket: Ticket, references: Collection[str], versions: Mapping[str, int]
) -> list[Ticket]:
    """Linked tickets decided together with one, locked. Raises StaleEdit for one that is not at its version."""
    group = ticket.linked_to_id or ticket.pk
    found = [
        locked(one, versions.get(one.reference))
        for one in Ticket.objects.open()
        .filter(Q(pk=group) | Q(linked_to=group), reference__in=references)
        .exclude(pk=ticket.pk)
        .order_by("pk")
    ]
    if missing := sorted(set(references) - {one.reference for one in found}):
        raise InvalidInput(f"Not linked to {ticket} and open: {', '.join(missing)}.", field="also")
    for one in found:
        if sentence := why_not_together(ticket, one):
            raise NotAllowedHere(sentence)
    return found


def why_not_together(ticket: Ticket, one: Ticket) -> str:
    """Why a linked ticket is not decided together with `ticket`; empty when it can be."""
    if one.is_verified and not ticket.is_verified:
        return f"{one} is of somebody we know, {ticket} is not: an unverified ticket never closes a verified one."
    if one.member_id != ticket.member_id:
        return f"{one} is about another account. Decide on it by itself."
    if not one.is_verified and _address_of(one) != _address_of(ticket):
        return (
            f"{one} has another address and nobody known behind it: what you write to one person would"
            " reach another. Decide on it by itself."
        )
    return ""


def _address_of(ticket: Ticket) -> tuple[str, str] | None:
    requester = Requester.objects.filter(ticket=ticket).first()
    return (requester.email, requester.postal_address) if requester else None


def _check_outcomes(
    ticket: Ticket, outcomes: Mapping[str, str], together: Sequence[Ticket]
) -> None:
    """Whether each purpose of the tickets has an outcome that it can have."""
    if set(outcomes) != set(ticket.objections.values_list("purpose", flat=True)):
        needed = ", ".join(sorted(ticket.objections.values_list("purpose", flat=True)))
        raise InvalidInput(f"Decide on each purpose of {ticket}: {needed}.", field="outcomes")
    decided = [ticket, *together]
    for objection in Objection.objects.filter(ticket__in=decided).select_related("ticket"):
        purpose = objection.purpose
        if purpose not in outcomes:
            raise InvalidInput(
                f"{objection.ticket} names {purpose} too: decide on it by itself.", field="also"
            )
        if outcomes[purpose] == Outcome.DUPLICATE and not composing.others_standing(
            objection, but=decided
        ):
            raise NotAllowedHere(
                f"No other ticket that we know to be theirs keeps them out of {purpose}: it is no duplicate."
            )
        if outcomes[purpose] == Outcome.REFUSED and (
            why := why_not_refused(objection.ticket, purpose)
        ):
            raise CannotBeRefused(f"{why} Otherwise it can only be closed as a duplicate.")


def _check_move(ticket: Ticket, state: State) -> None:
    """Whether the map allows it, and nothing else waits to be decided."""
    check_undecided(ticket)
    check_writable(ticket)
    assert ticket.state is not None
    if state not in NEXT_STATES[ticket.state]:
        move(ticket, state)


def _close(
    ticket: Ticket,
    state: State,
    outcomes: Mapping[str, str],
    together: Sequence[Ticket],
    words: Mapping[str, str],
) -> None:
    """Record the outcomes; what is upheld holds now, the rest when the letter is sent."""
    for one in [ticket, *together]:
        _close_one(one, *_own(one, state, outcomes))
    if ticket.is_set_aside:
        # As abuse: no letter, and so no end of the restriction.
        return
    for planned in outcome_letters([ticket, *together], state, outcomes, words):
        also = [one.reference for one in planned.also]
        composing.queue(planned.ticket, planned.kind, also=also, **planned.values)


@dataclass(frozen=True)
class OutcomeLetter:
    """A letter that an outcome brings: to the person of `ticket`, about `also` too."""

    ticket: Ticket
    also: list[Ticket]
    kind: LetterKind
    values: dict[str, str]


def outcome_letters(
    tickets: Sequence[Ticket], state: State, outcomes: Mapping[str, str], words: Mapping[str, str]
) -> list[OutcomeLetter]:
    """One letter for all tickets of one address that end alike; none where nobody can be written to any more."""
    alike: dict[tuple[Any, ...], list[Ticket]] = {}
    for one in tickets:
        own_state, own = _own(one, state, outcomes)
        if address := _address_of(one):
            alike.setdefault((address, own_state, *own.items()), []).append(one)
    found = []
    for (_, own_state, *own_items), (first, *others) in alike.items():
        own = dict(own_items)
        values = composing.outcome_values(first, own, words)
        found.append(OutcomeLetter(first, others, _letter_for(own_state, own), values))
    return found


def _letter_for(state: State, outcomes: Mapping[str, str]) -> LetterKind:
    """By what a person is told no to, which a duplicate is not."""
    if set(outcomes.values()) == {Outcome.DUPLICATE}:
        return LetterKind.DUPLICATE
    if state == State.PARTLY_UPHELD and Outcome.REFUSED not in outcomes.values():
        return LetterKind.UPHELD
    return LetterKind(state.value)


def _own(ticket: Ticket, state: State, outcomes: Mapping[str, str]) -> tuple[State, dict[str, str]]:
    """What a ticket ends with that is decided together with others: by the purposes it names itself."""
    purposes = ticket.objections.values_list("purpose", flat=True)
    own = {purpose: outcomes[purpose] for purpose in sorted(purposes)}
    return (state_after(own) if set(own.values()) <= _DECIDED else state), own


def _close_one(ticket: Ticket, state: State, outcomes: Mapping[str, str]) -> None:
    if ticket.state == State.IDENTITY_CHECK and ticket.identity_asked_on:
        # A clock that stood still for the answer stood still until now.
        keep_clock(ticket, clock_after_identity(ticket, today()))
    move(ticket, state)
    ticket.save()
    for objection in ticket.objections.select_for_update():
        objection.outcome = outcomes[objection.purpose]
        if objection.outcome == Outcome.UPHELD:
            objection.effect = Effect.UPHELD
        objection.save()
    for letter in ticket.letters.filter(state=LetterState.FAILED):
        # The outcome tells the person more than what could not be delivered.
        letter.state = LetterState.CANCELLED
        letter.save()


def _in_words(outcomes: Mapping[str, str]) -> str:
    return "; ".join(f"{purpose}: {outcome}" for purpose, outcome in sorted(outcomes.items()))
