"""Recording that the person answered and is who they say: the review begins, and the clock goes on by its rule.

They are told the new day. Who answered before our letter left stopped no clock.
"""

import datetime as dt
from typing import Any

from django import forms
from django.contrib.auth.models import User

from consent.staff.forms import DateInput
from ledger.errors import InvalidInput
from ledger.registry import EntryKind
from objections.acts.act import Act, ActForm, Page, Said, acting
from objections.acts.fields import WordsField
from objections.choices import LetterKind, NoteKind, TicketState
from objections.clock import days
from objections.errors import ForbiddenMove, WhyNot
from objections.letters import composing
from objections.models import Ticket
from objections.ticket import quarantine
from objections.ticket.case import Case
from objections.ticket.clocks import clock_after_identity, keep_clock, pause_in_words
from objections.ticket.notes import must_say, write_note
from objections.ticket.states import move


class RecordIdentityForm(ActForm):
    answered_on = forms.DateField(
        widget=DateInput(), initial=days.today, label="The answer came on"
    )
    how = WordsField(
        label="How it was answered", help_text="Kept for the team, erased with the person's data."
    )


def why_not(case: Case, actor: User) -> str:
    """Also of going on without an answer: both end an open question."""
    if case.ticket.state != TicketState.IDENTITY_CHECK:
        return WhyNot(
            f"{case.ticket} is {case.ticket.get_state_display()}: no identity was requested.",
            ForbiddenMove,
        )
    return case.why_undecided


def do(*, ticket: Ticket, answered_on: dt.date, how: str, version: int, actor: User) -> Ticket:
    must_say("how", how, "Say how identity was answered.")
    with acting("objection.identity_answered", ticket, actor, why_not, version=version) as (
        case,
        opened,
    ):
        row = case.ticket
        first = row.identity_asked_on or case.clock.receipt_date
        if not first <= answered_on <= days.today():
            raise InvalidInput(f"A day from {first} to today.", field="answered_on")
        if row.identity_asked_on:
            keep_clock(row, clock_after_identity(row, answered_on))
        row.identified_at = opened.recorded_at
        quarantine.keep(case.attachments)
        move(row, TicketState.IN_REVIEW)
        row.save()
        write_note(row, NoteKind.IDENTITY, how, actor)
        if row.erased_at is None:
            composing.queue(case, LetterKind.ACKNOWLEDGEMENT)
    return row


def _page(case: Case, actor: User) -> Page:
    return Page(
        will=[
            pause_in_words(case.ticket, case.clock) or "No identity was requested.",
            "The review begins, and the clock goes on by its rule from the day of the answer.",
            "The ticket then counts as one of a person we know, who is told the day of the answer.",
        ]
    )


def _done(case: Case, said: Said, result: Any) -> str:
    return f"Identity is answered: {case.ticket} is in review, due on {result.due_on}."


ACT = Act(
    name="record_identity",
    title="Record the identity answer",
    kinds=[EntryKind("objection.identity_answered", "Identity answered")],
    form=RecordIdentityForm,
    comes_up=lambda case, actor: case.ticket.state == TicketState.IDENTITY_CHECK,
    why_not=why_not,
    do=do,
    letters=[LetterKind.ACKNOWLEDGEMENT],
    page=_page,
    done=_done,
)
