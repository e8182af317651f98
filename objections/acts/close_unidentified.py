"""Closing a ticket because the person could not be identified: asked, and waited for, or answered so that we still do
not know. A second person reviews it, and the person is told.
"""

import datetime as dt
from typing import Any

from django import forms
from django.contrib.auth.models import User

from objections.acts import outcomes, required_words
from objections.acts.act import Act, ActForm, Page, Said, acting
from objections.acts.fields import RequiredWordsField
from objections.acts.previews import Preview, or_gap, warnings_of
from objections.choices import LetterKind, NoteKind, Outcome, TicketState
from objections.clock import deadlines
from objections.clock.days import today
from objections.errors import NotAllowedHere
from objections.models import Proposal, Ticket
from objections.ticket.case import Case


class CloseUnidentifiedForm(ActForm):
    evidence = RequiredWordsField("unidentified")
    is_answered = forms.BooleanField(
        required=False,
        label="The person answered, and the answer does not tell us who they are",
        help_text="Then the rest of the waiting time is skipped.",
    )


def why_not(case: Case, actor: User) -> str:
    """How long the person has to answer depends on what came back, which only the form can ask."""
    return (
        outcomes.why_not_closed(case, TicketState.CLOSED_UNIDENTIFIED)
        or case.why_not_written
        or outcomes.why_not_unidentified(case.ticket)
    )


def do(
    *, ticket: Ticket, evidence: str, version: int, actor: User, is_answered: bool = False
) -> Proposal:
    required_words.check("unidentified", evidence)
    state = TicketState.CLOSED_UNIDENTIFIED
    with acting(outcomes.PROPOSED, ticket, actor, why_not, version=version, reason=state.label) as (
        case,
        _,
    ):
        until = _last_day_to_answer(case.ticket)
        if not is_answered and today() < until:
            raise NotAllowedHere(
                f"The person has until {until} to answer: asked on {case.ticket.identity_asked_on}."
            )
        return outcomes.propose_closing(case, state, Outcome.UNIDENTIFIED, evidence, actor)


def _last_day_to_answer(ticket: Ticket) -> dt.date:
    assert ticket.identity_asked_on
    return ticket.identity_asked_on + dt.timedelta(days=deadlines.IDENTITY_WAIT_DAYS)


def _page(case: Case, actor: User) -> Page:
    def to_send(form: forms.Form, known: Said) -> list[Preview]:
        evidence = or_gap(known.get("evidence", ""), "the reasons")
        all_alike = dict.fromkeys(case.purposes, Outcome.UNIDENTIFIED)
        return outcomes.outcome_previews(
            [case], TicketState.CLOSED_UNIDENTIFIED, all_alike, {NoteKind.EVIDENCE: evidence}
        )

    return Page(
        will=[
            _time_to_answer(case.ticket),
            "A colleague reviews it. The person is told, and the restriction ends only when that letter counts as delivered.",
        ],
        warnings=warnings_of(case.ticket, writes=True),
        to_send=to_send,
    )


def _time_to_answer(ticket: Ticket) -> str:
    """How long silence must last; empty when it has, or when no identity was requested."""
    if ticket.state != TicketState.IDENTITY_CHECK:
        return ""
    if ticket.identity_asked_on is None:
        return "The identity request has not been sent yet: silence means nothing so far."
    until = _last_day_to_answer(ticket)
    if today() >= until:
        return ""
    return (
        f"The person has until {deadlines.in_words(until)} to answer: silence means nothing before."
    )


def _done(case: Case, said: Said, result: Any) -> str:
    return f"Proposed: a colleague reviews the closing of {case.ticket}."


ACT = Act(
    name="close_unidentified",
    title="Close, not identified",
    button="Propose the closing",
    kinds=outcomes.PROPOSING,
    form=CloseUnidentifiedForm,
    comes_up=lambda case, actor: case.ticket.state == TicketState.IDENTITY_CHECK,
    why_not=why_not,
    do=do,
    letters=[LetterKind.CLOSED_UNIDENTIFIED],
    page=_page,
    done=_done,
)
