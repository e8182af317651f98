"""Deciding on every purpose of a ticket, and together with it on linked ones.

Upheld for all: done at once, and the letter is queued. Any other outcome would end an exclusion and becomes a proposal
for a second person.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from django import forms
from django.contrib.auth.models import User

from consent.choices import Purpose
from ledger.errors import InvalidInput
from ledger.registry import EntryKind
from objections.acts import outcomes as ends
from objections.acts import required_words
from objections.acts.act import Act, ActForm, Page, Said, acting
from objections.acts.fields import RequiredWordsField
from objections.acts.previews import Preview, or_gap, warnings_of
from objections.choices import NoteKind, Outcome, TicketState
from objections.clock import deadlines
from objections.errors import ForbiddenMove, WhyNot, refuse
from objections.letters import composing
from objections.models import Objection, Proposal, Ticket
from objections.ticket.case import Case, cases_of
from objections.ticket.notes import write_note
from objections.ticket.states import why_no_move

_CHOICES = {
    Outcome.UPHELD: "Uphold: out for good",
    Outcome.REFUSED: "Refuse: in again once the letter counts as delivered",
    Outcome.DUPLICATE: "Close as a duplicate: another ticket keeps them out",
}


# --- The form -----------------------------------------------------------------------------------


class LinkedField(forms.MultipleChoiceField):
    """Linked tickets, each with the version its reader saw ("OBJ-2026-000431:3"); the value is a version by reference.

    One that changed since is let through: the act refuses it by its name.
    """

    def valid_value(self, value: Any) -> bool:
        return re.fullmatch(r"OBJ-\d{4}-\d{1,12}:\d{1,9}", str(value)) is not None

    def clean(self, value: Any) -> Any:
        pairs = (one.rpartition(":") for one in super().clean(value))
        return {reference: int(version) for reference, _, version in pairs}


class DecideForm(ActForm):
    """One choice a purpose; text only where the law requires it, which is for a refusal."""

    ground = RequiredWordsField("ground", required=False)
    balancing = RequiredWordsField("balancing", required=False)
    reasons = RequiredWordsField("reasons", required=False)
    also = LinkedField(
        required=False,
        label="Decide together with it",
        widget=forms.CheckboxSelectMultiple,
        help_text="Open tickets that may be of the same person, with the same outcomes. One letter goes to each"
        " address: press “Preview the letter” to see them all.",
    )

    def __init__(
        self, *args: Any, objections: Collection[Objection], linked: Sequence[Ticket], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        own = {f"outcome_{one.purpose}": _outcome_field(one) for one in objections}
        self.fields = {**own, **self.fields}
        self.purposes = sorted(one.purpose for one in objections)
        # Chosen when a linked ticket had another version, it is still chosen: its reader sees it as it is now.
        chosen = {one.partition(":")[0] for one in self.initial.get("also", [])}
        self.initial["also"] = [
            f"{one.reference}:{one.version}" for one in linked if one.reference in chosen
        ]
        if linked:
            self.fields["also"].choices = [  # type: ignore[attr-defined]  # a ChoiceField
                (f"{one.reference}:{one.version}", _linked_in_words(one)) for one in linked
            ]
        else:
            del self.fields["also"]
        if all(ends.why_not_refused(one.ticket, one.purpose) for one in objections):
            for name in ("ground", "balancing", "reasons"):
                del self.fields[name]

    @property
    def outcomes(self) -> dict[str, str]:
        """The choices made so far."""
        chosen = self.cleaned_data if self.is_bound else self.initial
        found = {purpose: chosen.get(f"outcome_{purpose}", "") for purpose in self.purposes}
        return {purpose: outcome for purpose, outcome in found.items() if outcome}

    def said(self) -> Said:
        rest = {name: v for name, v in self.cleaned_data.items() if not name.startswith("outcome_")}
        return {**rest, "outcomes": self.outcomes}


def _linked_in_words(ticket: Ticket) -> str:
    known = "identity known" if ticket.is_verified else "identity not known"
    return f"{ticket}, {ticket.get_state_display()}, {known}"


def _outcome_field(objection: Objection) -> forms.ChoiceField:
    allowed = [Outcome.UPHELD]
    why = []
    if sentence := ends.why_not_refused(objection.ticket, objection.purpose):
        why.append(sentence)
    else:
        allowed.append(Outcome.REFUSED)
    if composing.others_standing(objection):
        allowed.append(Outcome.DUPLICATE)
    else:
        why.append("It is no duplicate: no other ticket of the same verified person stands.")
    return forms.ChoiceField(
        label=Purpose(objection.purpose).label,
        choices=[(outcome.value, _CHOICES[outcome]) for outcome in allowed],
        widget=forms.RadioSelect,
        help_text=" ".join(why),
        error_messages={"required": "Choose an outcome.", "invalid_choice": " ".join(why)},
    )


# --- The act ------------------------------------------------------------------------------------


def why_not(case: Case, actor: User) -> str:
    ticket = case.ticket
    if ticket.state == TicketState.RECEIVED:
        return WhyNot(
            "Begin the review first: what is only received cannot become upheld or refused.",
            ForbiddenMove,
        )
    if ticket.state == TicketState.IDENTITY_CHECK:
        return WhyNot(
            "Identity was asked for: record the answer, or go on without it, first.", ForbiddenMove
        )
    # What is upheld needs no letter: a ticket without words can be.
    return case.why_undecided or case.why_set_aside or why_no_move(ticket, TicketState.UPHELD)


def do(
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
    """`also` has, by reference, the version of each linked ticket that its reader saw.

    Raises CannotBeRefused, InvalidInput naming what the law requires, StaleEdit naming the ticket that was changed meanwhile.
    """
    if set(outcomes.values()) - ends.EXAMINED:
        raise InvalidInput(f"One of {', '.join(sorted(ends.EXAMINED))}.", field="outcomes")
    if Outcome.REFUSED in outcomes.values():
        required_words.check("ground", ground)
        required_words.check("balancing", balancing)
        required_words.check("reasons", reasons)
        required_words.check_apart({"ground": ground, "balancing": balancing, "reasons": reasons})
    state = ends.state_after(outcomes)
    kind = "objection.decided" if state == TicketState.UPHELD else ends.PROPOSED
    with acting(kind, ticket, actor, why_not, version=version) as (case, opened):
        together = ends.together_with(case.ticket, list(also), also)
        for one in together:
            refuse(why_not(one, actor))
        ends.check_outcomes(case, outcomes, together)
        opened.reason = _in_words(outcomes)
        words = _words(ground, balancing, reasons)
        for word, text in words.items():
            write_note(case.ticket, NoteKind(word), text, actor)
        if state != TicketState.UPHELD:
            return ends.propose(case, state, outcomes, actor, together=together)
        ends.close(case, state, outcomes, together, words)
    return case.ticket


def _words(ground: str, balancing: str, reasons: str) -> dict[str, str]:
    return {NoteKind.GROUND: ground, NoteKind.BALANCING: balancing, NoteKind.REASONS: reasons}


def _in_words(outcomes: Mapping[str, str]) -> str:
    return "; ".join(f"{purpose}: {outcome}" for purpose, outcome in sorted(outcomes.items()))


def _page(case: Case, actor: User) -> Page:
    ticket = case.ticket
    linked = [one for one in case.linked if not ends.why_not_together(ticket, one)]
    unweighed = [one for one in case.objections if ends.why_not_refused(ticket, one.purpose)]

    def to_send(form: forms.Form, known: Said) -> list[Preview]:
        assert isinstance(form, DecideForm)
        outcomes = form.outcomes
        if len(outcomes) < len(case.objections):
            return []
        said = _words(*(known.get(name, "") for name in ("ground", "balancing", "reasons")))
        if Outcome.REFUSED in outcomes.values():
            gaps = ["the compelling ground", "the balancing", "the reasons"]
            said = {
                kind: or_gap(text, gap)
                for (kind, text), gap in zip(said.items(), gaps, strict=True)
            }
        together = cases_of(one for one in linked if one.reference in known.get("also", []))
        return ends.outcome_previews([case, *together], ends.state_after(outcomes), outcomes, said)

    return Page(
        will=[
            "Upheld: the person is out for good, at once.",
            "Anything else is a proposal: a colleague approves it, and the person is in again only when the"
            " letter counts as delivered (GDPR Art. 18(3)).",
            f"A refusal must reach the person by {deadlines.in_words(ticket.refuse_by)}."
            if ticket.refuse_by
            else "",
        ],
        warnings=warnings_of(
            ticket, writes=True, upholds=True, refuses=len(unweighed) < len(case.objections)
        ),
        # Where the law leaves nothing to weigh, nothing is left to choose either.
        initial={f"outcome_{one.purpose}": Outcome.UPHELD for one in unweighed},
        form_takes={"objections": case.objections, "linked": linked},
        to_send=to_send,
    )


def _done(case: Case, said: Said, result: Any) -> str:
    if isinstance(result, Proposal):
        return f"Proposed: a colleague reviews {case.ticket} before anything is sent."
    return f"{case.ticket} is upheld; the letter is on its way."


ACT = Act(
    name="decide",
    title="Decide",
    button="Record the decision",
    kinds=[EntryKind("objection.decided", "Decided"), *ends.PROPOSING],
    form=DecideForm,
    comes_up=lambda case, actor: case.ticket.is_open,
    why_not=why_not,
    do=do,
    letters=ends.EXAMINED_LETTERS,
    page=_page,
    done=_done,
)
