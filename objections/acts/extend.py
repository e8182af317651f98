"""Extending a ticket by two months (GDPR Art. 12(3)): once, for one of two grounds; it counts when the notice is sent."""

from typing import Any

from django import forms
from django.contrib.auth.models import User

from ledger.errors import InvalidInput
from ledger.registry import EntryKind
from objections.acts import required_words
from objections.acts.act import Act, ActForm, Page, Said, acting
from objections.acts.fields import RequiredWordsField
from objections.acts.previews import Preview, or_gap, preview, warnings_of
from objections.choices import ExtensionReason, LetterKind
from objections.clock import deadlines
from objections.clock.days import today
from objections.errors import ForbiddenMove, WhyNot
from objections.letters import composing
from objections.letters.texts import date_in_words
from objections.models import Ticket
from objections.ticket.case import Case


class ExtendForm(ActForm):
    ground = forms.ChoiceField(
        choices=ExtensionReason.choices,
        widget=forms.RadioSelect,
        help_text="There is no other ground; a backlog is none (GDPR Art. 12(3)).",
    )
    explanation = RequiredWordsField("explanation")


def why_not(case: Case, actor: User) -> str:
    ticket, clock = case.ticket, case.clock
    if not case.is_in_review:
        return WhyNot(
            f"{ticket} is {ticket.get_state_display()}: only a review is extended.", ForbiddenMove
        )
    if ticket.extended_on:
        return "A ticket is extended once (GDPR Art. 12(3))."
    if ticket.extension_reason:
        return "The notice is written; the extension counts once it is sent."
    if clock.extended_due is None:
        return f"No extension exists: {ticket.get_regime_display()}."
    if today() > clock.base_due:
        return f"The first deadline was {clock.base_due}: after it nothing is extended (GDPR Art. 12(3))."
    return case.why_undecided or case.why_not_written


def do(*, ticket: Ticket, ground: str, explanation: str, version: int, actor: User) -> Ticket:
    if ground not in ExtensionReason.values:
        raise InvalidInput(
            f"One of {', '.join(ExtensionReason.values)}; a backlog is no ground.", field="ground"
        )
    required_words.check("explanation", explanation)
    with acting(
        "objection.extension_asked", ticket, actor, why_not, version=version, reason=ground
    ) as (case, _):
        row, clock = case.ticket, case.clock
        row.extension_reason = ground
        row.save()
        composing.queue(
            case, LetterKind.EXTENSION, clock.extended_due, **_values(clock, explanation)
        )
    return row


def _values(clock: deadlines.Clock, explanation: str) -> dict[str, str]:
    """Values for the notice's own placeholders, for a clock that can be extended."""
    assert clock.extended_due
    return {
        "extension_reason": explanation,
        "new_due_on": date_in_words(clock.extended_due),
        "refuse_by": date_in_words(clock.refuse_by_extended or clock.refuse_by),
    }


def _page(case: Case, actor: User) -> Page:
    clock = case.clock

    def to_send(form: forms.Form, known: Said) -> list[Preview]:
        if clock.extended_due is None:
            return []
        explanation = or_gap(known.get("explanation", ""), "why it takes longer")
        return [preview(case, LetterKind.EXTENSION, **_values(clock, explanation))]

    until = f" to {deadlines.in_words(clock.extended_due)}" if clock.extended_due else ""
    return Page(
        will=[
            f"The answer moves from {deadlines.in_words(clock.base_due)}{until}, once and for all.",
            f"A refusal is still due by {deadlines.in_words(clock.refuse_by_extended or clock.refuse_by)}.",
            f"It counts only if the notice is sent by {deadlines.in_words(clock.base_due)}."
            " The restriction goes on.",
        ],
        warnings=warnings_of(case.ticket, writes=True),
        to_send=to_send,
    )


def _done(case: Case, said: Said, result: Any) -> str:
    return f"The notice is on its way; {case.ticket} is extended once it is sent."


ACT = Act(
    name="extend",
    title="Extend with notice",
    button="Send the notice",
    kinds=[EntryKind("objection.extension_asked", "Extension notice written")],
    form=ExtendForm,
    comes_up=lambda case, actor: case.is_in_review,
    why_not=why_not,
    do=do,
    letters=[LetterKind.EXTENSION],
    page=_page,
    done=_done,
)
