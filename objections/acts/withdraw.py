"""Recording that the person took the objection back.

A second person looks at the message; the person is told, and only then in again.
"""

from typing import Any

from django import forms
from django.contrib.auth.models import User

from objections.acts import outcomes, required_words
from objections.acts.act import Act, ActForm, Page, Said, acting
from objections.acts.fields import RequiredWordsField
from objections.acts.previews import Preview, or_gap, warnings_of
from objections.choices import LetterKind, NoteKind, Outcome, TicketState
from objections.models import Proposal, Ticket
from objections.ticket.case import Case


class WithdrawForm(ActForm):
    evidence = RequiredWordsField("withdrawal")


def why_not(case: Case, actor: User) -> str:
    return (
        outcomes.why_not_closed(case, TicketState.WITHDRAWN)
        or case.why_not_written
        or outcomes.why_not_told(case.ticket)
    )


def do(*, ticket: Ticket, evidence: str, version: int, actor: User) -> Proposal:
    required_words.check("withdrawal", evidence)
    reason = TicketState.WITHDRAWN.label
    with acting(outcomes.PROPOSED, ticket, actor, why_not, version=version, reason=reason) as (
        case,
        _,
    ):
        return outcomes.propose_closing(
            case, TicketState.WITHDRAWN, Outcome.WITHDRAWN, evidence, actor
        )


def _page(case: Case, actor: User) -> Page:
    def to_send(form: forms.Form, known: Said) -> list[Preview]:
        evidence = or_gap(known.get("evidence", ""), "the withdrawal")
        all_alike = dict.fromkeys(case.purposes, Outcome.WITHDRAWN)
        return outcomes.outcome_previews(
            [case], TicketState.WITHDRAWN, all_alike, {NoteKind.EVIDENCE: evidence}
        )

    return Page(
        will=[
            "A colleague looks at the message. The person is then told, and is in again only when that letter counts as delivered.",
            "Who withdrew can object again at any time.",
        ],
        warnings=warnings_of(case.ticket, writes=True),
        to_send=to_send,
    )


def _done(case: Case, said: Said, result: Any) -> str:
    return f"Proposed: a colleague reviews the withdrawal of {case.ticket}."


ACT = Act(
    name="withdraw",
    title="Record a withdrawal",
    button="Propose the withdrawal",
    kinds=outcomes.PROPOSING,
    form=WithdrawForm,
    comes_up=lambda case, actor: case.ticket.is_open,
    why_not=why_not,
    do=do,
    letters=[LetterKind.WITHDRAWN],
    page=_page,
    done=_done,
)
