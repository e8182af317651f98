"""Keeping an internal note, for the team only; it is erased with the person's data."""

from typing import Any

from django.contrib.auth.models import User

from ledger.registry import EntryKind
from objections.acts.act import Act, ActForm, Page, Said, acting
from objections.acts.fields import WordsField
from objections.choices import NoteKind
from objections.models import Ticket
from objections.ticket.case import Case
from objections.ticket.notes import must_say, write_note


class NoteForm(ActForm):
    text = WordsField(
        rows=6,
        label="Note",
        help_text="For the team only, never disclosed outside. Erased with the person's data.",
    )


def why_not(case: Case, actor: User) -> str:
    return case.why_nothing_is_added


def do(*, ticket: Ticket, text: str, version: int, actor: User) -> None:
    must_say("text", text, "Write something.")
    with acting("objection.note_added", ticket, actor, why_not, version=version) as (case, _):
        write_note(case.ticket, NoteKind.NOTE, text, actor)
        # A new version: who decides must have seen it.
        case.ticket.save()


def _page(case: Case, actor: User) -> Page:
    return Page(
        will=["It stands in the timeline under your name and is not changed afterwards."],
    )


def _done(case: Case, said: Said, result: Any) -> str:
    return "The note is kept."


ACT = Act(
    name="note",
    title="Write a note",
    button="Keep the note",
    kinds=[EntryKind("objection.note_added", "Note", despite_clocks=True)],
    form=NoteForm,
    comes_up=lambda case, actor: case.ticket.erased_at is None,
    why_not=why_not,
    do=do,
    page=_page,
    done=_done,
)
