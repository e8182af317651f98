"""Asking the person who they are, for a reasonable doubt only (GDPR Art. 12(6)).

In the EU it pauses the clock if asked promptly, in the UK it starts it anew at the answer. Both from the day the letter
is sent.
"""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth.models import User

from ledger.registry import EntryKind
from objections.acts import required_words
from objections.acts.act import Act, ActForm, Page, Said, acting
from objections.acts.fields import RequiredWordsField
from objections.acts.previews import Preview, or_gap, preview, warnings_of
from objections.choices import LetterKind, NoteKind, TicketState
from objections.clock import deadlines
from objections.clock.days import today
from objections.letters import composing
from objections.models import Ticket
from objections.ticket.case import Case
from objections.ticket.notes import write_note
from objections.ticket.officers import officer_of
from objections.ticket.states import effect_in_words, move, why_no_move


class AskIdentityForm(ActForm):
    doubt = RequiredWordsField("doubt")
    question = RequiredWordsField("question")


def why_not(case: Case, actor: User) -> str:
    ticket = case.ticket
    if sentence := why_no_move(ticket, TicketState.IDENTITY_CHECK):
        return sentence
    if ticket.is_verified:
        return "The person was logged in, or has answered: identity is not asked for (GDPR Art. 12(6))."
    if sentence := deadlines.why_no_identity(ticket.regime):
        return sentence
    return case.why_undecided or case.why_not_written


def do(*, ticket: Ticket, doubt: str, question: str, version: int, actor: User) -> Ticket:
    required_words.check("doubt", doubt)
    required_words.check("question", question)
    with acting("objection.identity_requested", ticket, actor, why_not, version=version) as (
        case,
        _,
    ):
        row = case.ticket
        move(row, TicketState.IDENTITY_CHECK)
        row.assignee = officer_of(row) or actor
        row.save()
        write_note(row, NoteKind.DOUBT, doubt, actor)
        composing.queue(case, LetterKind.IDENTITY_REQUEST, **_values(doubt, question))
    return row


def _values(doubt: str, question: str) -> dict[str, str]:
    """Values for the letter's own placeholders."""
    return {"doubt": doubt, "identity_question": question}


def _page(case: Case, actor: User) -> Page:
    def to_send(form: forms.Form, known: Said) -> list[Preview]:
        doubt = or_gap(known.get("doubt", ""), "what makes you doubt")
        question = or_gap(known.get("question", ""), "what you need to know")
        return [preview(case, LetterKind.IDENTITY_REQUEST, **_values(doubt, question))]

    return Page(
        will=[
            f"The person is asked who they are. {effect_in_words(case.ticket)}",
            f"{_effect_of_asking(case)} It counts from the day the letter is sent.",
            f"Without an answer the ticket can be closed {deadlines.IDENTITY_WAIT_DAYS} days later, by two people.",
        ],
        warnings=warnings_of(case.ticket, writes=True),
        to_send=to_send,
    )


def _effect_of_asking(case: Case) -> str:
    was_prompt = deadlines.is_prompt(
        case.clock.receipt_date, today(), within_days=settings.IDENTITY_PROMPT_DAYS
    )
    if deadlines.is_paused_by_identity(case.clock, asked_on=today(), was_prompt=was_prompt):
        return "Asked for today, it stops the clock until the answer."
    return "Asked for today, it does not stop the clock."


def _done(case: Case, said: Said, result: Any) -> str:
    return f"{case.ticket} asks for identity; the letter is on its way."


ACT = Act(
    name="ask_identity",
    title="Ask for identity",
    kinds=[EntryKind("objection.identity_requested", "Identity asked for")],
    form=AskIdentityForm,
    comes_up=lambda case, actor: case.ticket.state == TicketState.RECEIVED,
    why_not=why_not,
    do=do,
    letters=[LetterKind.IDENTITY_REQUEST],
    page=_page,
    done=_done,
)
