"""Code that the acts that end a ticket share. An outcome that excludes takes effect at once.

An outcome that ends an exclusion is proposed, needs a second person, and then waits until the letter counts as delivered.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.db.models import Q

from common.text.words import visible
from consent.choices import PURPOSES, ObjectionMode, Purpose
from ledger.errors import InvalidInput
from ledger.registry import EntryKind
from objections.acts.previews import Preview, preview
from objections.choices import (
    Effect,
    LetterKind,
    LetterState,
    NoteKind,
    Outcome,
    Regime,
    TicketState,
)
from objections.clock import deadlines
from objections.clock.days import today
from objections.errors import CannotBeRefused, LetterNotSent, NotAllowedHere, WhyNot, refuse
from objections.letters import composing
from objections.models import Note, Objection, Proposal, Requester, Ticket
from objections.redaction import keeping as redaction
from objections.ticket import inherited
from objections.ticket.case import Case, locked_cases
from objections.ticket.clocks import clock_after_identity, keep_clock
from objections.ticket.notes import write_note
from objections.ticket.states import check_version, move, why_no_move

EXAMINED: frozenset[str] = frozenset({Outcome.UPHELD, Outcome.REFUSED, Outcome.DUPLICATE})
"""The outcomes of an examination; the other outcomes have acts of their own."""
PROPOSED = "objection.outcome_proposed"
PROPOSING = [EntryKind(PROPOSED, "Outcome proposed")]
"""The kind of the acts that propose an outcome."""


def state_after(outcomes: Mapping[str, str]) -> TicketState:
    """The ticket's final state, from the outcomes of its purposes."""
    if Outcome.UPHELD not in outcomes.values():
        return TicketState.REFUSED
    return (
        TicketState.UPHELD
        if set(outcomes.values()) == {Outcome.UPHELD}
        else TicketState.PARTLY_UPHELD
    )


# --- Rules --------------------------------------------------------------------------------------


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


def why_not_closed(case: Case, state: TicketState) -> str:
    """Why an outcome with a letter cannot be proposed now that ends in the state; empty when it can."""
    return case.why_undecided or case.why_set_aside or why_no_move(case.ticket, state)


def why_not_told(ticket: Ticket) -> str:
    """Why no letter to the person may let them in again; empty when one may."""
    if composing.is_proven(ticket):
        return ""
    return (
        f"The address on {ticket} is unconfirmed: a letter that ends an exclusion must reach the person"
        " (GDPR Art. 18(3)). Confirm the address first."
    )


def why_not_unidentified(ticket: Ticket) -> str:
    """Why a ticket cannot be closed as unidentified, whatever came back; empty when it can."""
    if sentence := deadlines.why_no_identity(ticket.regime):
        return f"{sentence} Go on without it, and decide."
    if ticket.identity_asked_on is None:
        return WhyNot("The identity request has not been sent yet.", LetterNotSent)
    return ""


def why_not_together(ticket: Ticket, one: Ticket) -> str:
    """Why a linked ticket is not decided together with `ticket`; empty when it can be."""
    if one.is_verified and not ticket.is_verified:
        return f"{one} comes from a verified person, {ticket} does not: an unverified ticket never closes a verified one."
    if one.member_id != ticket.member_id:
        return f"{one} is about another account. Decide on it by itself."
    if not one.is_verified and _address_of(one) != _address_of(ticket):
        return (
            f"{one} has another address and is unverified: a letter to one person would"
            " reach another. Decide on it by itself."
        )
    return ""


_TOLD: frozenset[str] = frozenset({Outcome.REFUSED, Outcome.WITHDRAWN})
"""Outcomes whose letter must have reached the person before their exclusion ends. Where the requester is unidentified, or
another ticket restricts the account, a confirmed address cannot be required."""


def check_address(ticket: Ticket, outcomes: Mapping[str, str]) -> None:
    if set(outcomes.values()) & _TOLD:
        refuse(why_not_told(ticket))


def check_outcomes(case: Case, outcomes: Mapping[str, str], together: Sequence[Case]) -> None:
    """Whether each purpose of the tickets has an outcome that it can have."""
    if set(outcomes) != set(case.purposes):
        needed = ", ".join(case.purposes)
        raise InvalidInput(f"Decide on each purpose of {case.ticket}: {needed}.", field="outcomes")
    decided = [case, *together]
    tickets = [one.ticket for one in decided]
    for objection in [objection for one in decided for objection in one.objections]:
        purpose = objection.purpose
        if purpose not in outcomes:
            raise InvalidInput(
                f"{objection.ticket} names {purpose} too: decide on it by itself.", field="also"
            )
        if outcomes[purpose] == Outcome.DUPLICATE and not composing.others_standing(
            objection, but=tickets
        ):
            raise NotAllowedHere(
                f"No other ticket that we know to be theirs keeps them out of {purpose}: it is no duplicate."
            )
        if outcomes[purpose] == Outcome.REFUSED and (
            why := why_not_refused(objection.ticket, purpose)
        ):
            raise CannotBeRefused(f"{why} Otherwise it can only be closed as a duplicate.")


def together_with(
    ticket: Ticket, references: Collection[str], versions: Mapping[str, int]
) -> list[Case]:
    """Linked tickets decided together with one, locked. Raises StaleEdit for one that is not at its version."""
    if not references:
        return []
    group = ticket.linked_to_id or ticket.pk
    found = locked_cases(
        Ticket.objects.open()
        .filter(Q(pk=group) | Q(linked_to=group), reference__in=references)
        .exclude(pk=ticket.pk)
    )
    for one in found:
        check_version(one.ticket, versions.get(one.ticket.reference))
    if missing := sorted(set(references) - {one.ticket.reference for one in found}):
        raise InvalidInput(f"Not linked to {ticket} and open: {', '.join(missing)}.", field="also")
    for one in found:
        refuse(why_not_together(ticket, one.ticket))
    return found


# --- Proposing ----------------------------------------------------------------------------------


def propose(
    case: Case,
    state: TicketState,
    outcomes: Mapping[str, str],
    actor: User,
    *,
    together: Collection[Case] = (),
) -> Proposal:
    """Keep an outcome for a second person. Needs an open entry. What would stop its letter is said now."""
    ticket = case.ticket
    composing.requester_of(ticket)
    check_address(ticket, outcomes)
    proposal = Proposal(
        ticket=ticket,
        state=state,
        outcomes=dict(outcomes),
        also=[one.ticket.reference for one in together],
        also_versions={one.ticket.reference: one.ticket.version for one in together} or None,
        proposed_by=actor,
    )
    proposal.save()
    ticket.save()
    return proposal


def propose_closing(
    case: Case, state: TicketState, outcome: Outcome, evidence: str, actor: User
) -> Proposal:
    """Propose the same outcome for every purpose, with what it rests on."""
    write_note(case.ticket, NoteKind.EVIDENCE, evidence, actor)
    return propose(case, state, dict.fromkeys(case.purposes, outcome), actor)


def words_of(proposal: Proposal) -> dict[str, str]:
    """Staff's words that were kept with a proposal, by their kind."""
    kept = Note.objects.filter(ticket=proposal.ticket_id, entry=proposal.entry_id)
    return dict(kept.values_list("kind", "text"))


def act_of(proposal: Proposal) -> str:
    """The name of the act that an outcome is proposed by."""
    if proposal.ticket.is_set_aside:
        return "close_abuse"
    if proposal.state == TicketState.WITHDRAWN:
        return "withdraw"
    return "close_unidentified" if proposal.state == TicketState.CLOSED_UNIDENTIFIED else "decide"


def ending_of(state: TicketState, outcomes: Mapping[str, str]) -> str:
    """The ticket's final state after an outcome, in words."""
    if set(outcomes.values()) == {Outcome.DUPLICATE}:
        return Outcome.DUPLICATE.label
    return state.label


def proposed_in_words(proposal: Proposal, *, with_words: bool) -> dict[str, Any]:
    """A proposal in words: the outcomes, and what its author wrote for them."""
    said = words_of(proposal) if with_words else {}
    return {
        "state": ending_of(TicketState(proposal.state), proposal.outcomes),
        "outcomes": [
            (Purpose(purpose).label, Outcome(outcome).label)
            for purpose, outcome in sorted(proposal.outcomes.items())
        ],
        "words": [(NoteKind(kind).label, visible(text)) for kind, text in said.items()],
    }


# --- Closing ------------------------------------------------------------------------------------


def close(
    case: Case,
    state: TicketState,
    outcomes: Mapping[str, str],
    together: Sequence[Case],
    words: Mapping[str, str],
) -> None:
    """Record the outcomes; what is upheld holds now, the rest when the letter counts as delivered."""
    for one in [case, *together]:
        _close_one(one, *_own(one, state, outcomes))
    if case.ticket.is_set_aside:
        # As abuse: no letter, and so no end of the restriction.
        return
    for planned in outcome_letters([case, *together], state, outcomes, words):
        also = [one.ticket.reference for one in planned.also]
        composing.queue(planned.case, planned.kind, also=also, **planned.values)


def _own(
    case: Case, state: TicketState, outcomes: Mapping[str, str]
) -> tuple[TicketState, dict[str, str]]:
    """The final state of a ticket that is decided together with others: by the purposes it names itself."""
    own = {purpose: outcomes[purpose] for purpose in case.purposes}
    return (state_after(own) if set(own.values()) <= EXAMINED else state), own


def _close_one(case: Case, state: TicketState, outcomes: Mapping[str, str]) -> None:
    ticket = case.ticket
    if ticket.state == TicketState.IDENTITY_CHECK and ticket.identity_asked_on:
        # A clock that stood still for the answer stood still until now.
        keep_clock(ticket, clock_after_identity(ticket, today()))
    move(ticket, state)
    ticket.save()
    for objection in case.objections:
        _record(objection, outcomes[objection.purpose])
    Objection.objects.save_all(case.objections)
    redaction.follow(ticket)
    inherited.follow_effects(ticket)
    for letter in ticket.letters.filter(state=LetterState.FAILED):
        # The outcome tells the person more than what could not be delivered.
        letter.state = LetterState.CANCELLED
        letter.save()


def _record(objection: Objection, outcome: str) -> None:
    objection.outcome = outcome
    if outcome == Outcome.UPHELD:
        objection.effect = Effect.UPHELD


# --- Letters ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class OutcomeLetter:
    """A letter that an outcome brings: to the person of `case`, about `also` too."""

    case: Case
    also: list[Case]
    kind: LetterKind
    values: dict[str, str]


def outcome_letters(
    cases: Sequence[Case], state: TicketState, outcomes: Mapping[str, str], words: Mapping[str, str]
) -> list[OutcomeLetter]:
    """One letter for all tickets of one address that end alike; none where the personal data is erased."""
    alike: dict[tuple[Any, ...], list[Case]] = {}
    for one in cases:
        own_state, own = _own(one, state, outcomes)
        if address := _address_of(one.ticket):
            alike.setdefault((address, own_state, *own.items()), []).append(one)
    found = []
    for (_, own_state, *own_items), (first, *others) in alike.items():
        own = dict(own_items)
        values = composing.outcome_values(first.ticket, own, words)
        found.append(OutcomeLetter(first, others, _letter_for(own_state, own), values))
    return found


def outcome_previews(
    cases: Sequence[Case], state: TicketState, outcomes: Mapping[str, str], words: Mapping[str, str]
) -> list[Preview]:
    """Every letter that an outcome brings, with those of the tickets decided together, as it would be sent."""
    for one in cases[1:]:
        if not set(one.purposes) <= set(outcomes):
            raise InvalidInput(
                f"{one.ticket} names a purpose that {cases[0].ticket} does not.", field="also"
            )
    planned = outcome_letters(cases, state, outcomes, words)
    if not planned:
        composing.requester_of(cases[0].ticket)
    return [
        preview(one.case, one.kind, [other.ticket for other in one.also], **one.values)
        for one in planned
    ]


def _address_of(ticket: Ticket) -> tuple[str, str] | None:
    requester: Requester | None = getattr(ticket, "requester", None)
    return (requester.email, requester.postal_address) if requester else None


def _letter_for(state: TicketState, outcomes: Mapping[str, str]) -> LetterKind:
    """By what a person is told no to, which a duplicate is not."""
    if set(outcomes.values()) == {Outcome.DUPLICATE}:
        return LetterKind.DUPLICATE
    if state == TicketState.PARTLY_UPHELD and Outcome.REFUSED not in outcomes.values():
        return LetterKind.UPHELD
    return LetterKind(state.value)


EXAMINED_LETTERS = (
    LetterKind.UPHELD,
    LetterKind.PARTLY_UPHELD,
    LetterKind.REFUSED,
    LetterKind.DUPLICATE,
)
"""The possible outcomes of an examination."""
ALL_LETTERS = (*EXAMINED_LETTERS, LetterKind.WITHDRAWN, LetterKind.CLOSED_UNIDENTIFIED)
