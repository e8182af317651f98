"""The second person's word on a proposed outcome: approved, the ticket closes and the letter is queued; sent back, work
goes on.

The proposer may take it back. The restriction stands until the letter counts as delivered.
"""

from typing import Any

from django import forms
from django.contrib.auth.models import User

from common.errors import StaleEdit
from ledger.registry import EntryKind
from objections.acts import outcomes as ends
from objections.acts import sent_back
from objections.acts.act import Act, ActForm, Page, Said, acting
from objections.acts.fields import ReasonField
from objections.acts.previews import Preview, dossier_of, warnings_of
from objections.choices import ChangeVerdict, Outcome, TicketState
from objections.errors import (
    AlreadySettled,
    NeedsSecondPerson,
    NotAllowedHere,
    WhyNot,
    refuse,
)
from objections.models import Approval, Proposal, Ticket
from objections.ticket.case import Case, cases_of
from objections.ticket.notes import must_say
from objections.ticket.states import same_person

APPROVED, RETURNED = "objection.outcome_approved", "objection.outcome_returned"


class ReviewForm(ActForm):
    """Also of an erasure: a second person's word is the same."""

    verdict = forms.ChoiceField(
        choices=[(ChangeVerdict.APPROVED, "Approve it"), (ChangeVerdict.RETURNED, "Send it back")],
        widget=forms.RadioSelect,
        label="Your word",
    )
    reason = ReasonField(help_text="What you checked.")

    def __init__(self, *args: Any, is_own: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if is_own:
            # The act refuses the other choice.
            self.fields["verdict"].choices = [(ChangeVerdict.RETURNED, "Take it back")]  # type: ignore[attr-defined]  # a ChoiceField
            self.fields["verdict"].initial = ChangeVerdict.RETURNED
            self.fields["verdict"].error_messages["invalid_choice"] = (
                "The proposer may not approve it: ask a colleague."
            )

    def clean_verdict(self) -> ChangeVerdict:
        return ChangeVerdict(self.cleaned_data["verdict"])


def why_not(case: Case, actor: User) -> str:
    if case.proposal is None:
        return WhyNot(
            "Nothing waits for a second person: it has been decided already.", AlreadySettled
        )
    return ""


def do(*, ticket: Ticket, verdict: ChangeVerdict, version: int, actor: User, reason: str) -> Ticket:
    must_say("reason", reason, "Say what you checked.")
    kind = APPROVED if verdict == ChangeVerdict.APPROVED else RETURNED
    with acting(kind, ticket, actor, why_not, version=version, reason=reason) as (case, _):
        if verdict == ChangeVerdict.APPROVED:
            approve(case, actor)
        else:
            Approval(proposal=case.proposal, verdict=verdict, reviewer=actor).save()
            case.ticket.save()
    return case.ticket


def approve(case: Case, actor: User) -> None:
    """Needs an open entry. Everything that held when it was proposed must hold still."""
    ticket, proposal = case.ticket, case.proposal
    assert proposal is not None
    if proposal.proposed_by_id == actor.pk:
        raise NeedsSecondPerson("The proposer may not approve it: ask a colleague.")
    Approval(proposal=proposal, verdict=ChangeVerdict.APPROVED, reviewer=actor).save()
    together = _as_proposed(ticket, proposal)
    ends.check_address(ticket, proposal.outcomes)
    if proposal.state == TicketState.CLOSED_UNIDENTIFIED and not ticket.is_set_aside:
        refuse(ends.why_not_unidentified(ticket))
    if set(proposal.outcomes.values()) <= ends.EXAMINED:
        ends.check_outcomes(case, proposal.outcomes, together)
    words = ends.words_of(proposal)
    ends.close(case, TicketState(proposal.state), proposal.outcomes, together, words)


def _as_proposed(ticket: Ticket, proposal: Proposal) -> list[Case]:
    """The tickets decided together with one, locked, as they were when it was proposed."""
    try:
        return ends.together_with(ticket, proposal.also, proposal.also_versions or {})
    except StaleEdit as stale:
        raise StaleEdit(f"{stale} This was proposed before that: send it back.") from stale


def _page(case: Case, actor: User) -> Page:
    """The second person sees what the first wrote, and the letter as it will be sent."""
    ticket, proposal = case.ticket, case.proposal
    is_own = proposal is not None and proposal.proposed_by_id == actor.pk
    chosen = set(proposal.outcomes.values()) if proposal else set()

    def to_send(form: forms.Form, known: Said) -> list[Preview]:
        if proposal is None:
            return []
        if ticket.is_set_aside:
            raise NotAllowedHere("None: it is closed as abuse, and no letter is sent.")
        together = cases_of(same_person(ticket).filter(reference__in=proposal.also))
        words = ends.words_of(proposal)
        return ends.outcome_previews(
            [case, *together], TicketState(proposal.state), proposal.outcomes, words
        )

    return Page(
        will=[
            "You proposed it yourself: a colleague reviews it. You can take it back."
            if is_own
            else "",
            "Approved, the ticket is closed as abuse: no letter, and the restriction stays."
            if ticket.is_set_aside
            else "Approved, the ticket is closed and the letter is queued. The restriction ends when the letter"
            " counts as delivered, not before.",
            "Sent back, the ticket stays as it is, and it is the first task of who proposed it, with your reason and what"
            " was written.",
        ],
        warnings=warnings_of(
            ticket,
            writes=not ticket.is_set_aside,
            upholds=Outcome.UPHELD in chosen,
            refuses=Outcome.REFUSED in chosen,
        ),
        form_takes={"is_own": is_own},
        to_send=to_send,
        context={
            "shows_dossier": True,
            **dossier_of(case),
            "proposal": proposal,
            "proposed": ends.proposed_in_words(proposal, with_words=True) if proposal else {},
            "taken_up": sent_back.changes_in(proposal) if proposal else None,
        },
    )


def _done(case: Case, said: Said, result: Any) -> str:
    ticket, proposal = case.ticket, case.proposal
    assert proposal is not None
    if said["verdict"] == ChangeVerdict.RETURNED:
        return (
            f"Taken back: what you wrote is kept for you with {ticket}."
            if said["actor"] == proposal.proposed_by
            else f"Sent back: {ticket} is now the first task of {proposal.proposed_by.get_username()}."
        )
    if ticket.is_set_aside:
        return f"Approved: {ticket} is closed as abuse. No letter is sent."
    ending = ends.ending_of(TicketState(proposal.state), proposal.outcomes)
    return f"Approved: {ticket} is {ending}; the letter is on its way."


ACT = Act(
    name="review",
    title="Review the proposal",
    button="Record your word",
    kinds=[
        EntryKind(APPROVED, "Outcome approved by a second person"),
        EntryKind(RETURNED, "Outcome sent back by a second person", despite_clocks=True),
    ],
    form=ReviewForm,
    comes_up=lambda case, actor: case.proposal is not None,
    why_not=why_not,
    do=do,
    letters=ends.ALL_LETTERS,
    page=_page,
    done=_done,
)
