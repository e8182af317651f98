"""Recording that a letter came back: it failed, and what it did is undone until it is sent again."""

from django import forms

from ledger import entries, open_entry
from ledger.registry import EntryKind
from objections.acts.fields import ReasonField
from objections.acts.on_letters.letter_act import LetterAct
from objections.choices import OUTCOME_LETTERS, LetterKind, LetterState, TicketState
from objections.clock import deadlines
from objections.letters import composing
from objections.letters.effects import refuse_letter, undo
from objections.models import Letter, LetterText
from objections.ticket import clocks
from objections.ticket.notes import must_say

RETURNED = "it came back"
"""The last error of such a letter."""


class Form(forms.Form):
    reason = ReasonField(
        label="How it came back",
        help_text="A report of the mail server, say, or the envelope itself.",
    )


def why_not(letter: Letter) -> str:
    """Why it is not recorded that a letter came back; empty when it can be."""
    if letter.state != LetterState.SENT:
        return f"It is {letter.get_state_display()}: only a letter that was sent comes back."
    if letter.ticket.erased_at:
        return f"The personal data of {letter.ticket} is erased: nothing could be sent again."
    return "" if letter.kind in OUTCOME_LETTERS else _why_nothing_waits(letter)


def _why_nothing_waits(letter: Letter) -> str:
    """Why it makes no difference whether a letter on the way to an outcome arrived; empty when it does."""
    ticket = letter.ticket
    state = ticket.get_state_display()
    if not ticket.is_open:
        return f"{ticket} is {state}: what counts now is the outcome letter."
    if letter.kind == LetterKind.IDENTITY_REQUEST and ticket.state != TicketState.IDENTITY_CHECK:
        return f"{ticket} is {state}: an answer to this letter is no longer awaited."
    if letter.kind == LetterKind.EXTENSION and ticket.state != TicketState.EXTENDED:
        return f"{ticket} is {state}: this notice has no effect that could be undone."
    if letter.kind == LetterKind.CONFIRMATION and composing.is_proven(ticket):
        return "The address is known to be theirs: nothing waits for this letter any more."
    return ""


def do(*, letter: Letter, reason: str, actor: open_entry.Actor) -> Letter:
    """Runs frozen in between stay as they are and are no incident: the letter counted as sent. Where a copy of it is
    out, that one counts instead.
    """
    must_say(
        "reason",
        reason,
        "Say how it came back: the ledger keeps it, so no names or addresses.",
    )
    reason = f"{letter.get_kind_display()}: {reason}"
    with entries.entry(
        "letter.returned", actor=actor, subject=letter.ticket.reference, reason=reason
    ):
        row: Letter = Letter.objects.select_for_update().get(pk=letter.pk)
        refuse_letter(why_not(row))
        row.state, row.sent_at = LetterState.FAILED, None
        row.save()
        LetterText.objects.filter(letter=row).update(last_error=RETURNED)
        copies = Letter.objects.filter(ticket=row.ticket_id, kind=row.kind, state=LetterState.SENT)
        undo(row, copies.order_by("sent_at").first())
    return row


def _undone_with(letter: Letter) -> str:
    if letter.kind in OUTCOME_LETTERS:
        return (
            "The person has no answer, and a new letter is owed: what this letter was to end is not ended, what it ended"
            " restricts again. Runs frozen meanwhile stay as they are, and the ticket goes on showing them."
        )
    if letter.kind == LetterKind.IDENTITY_REQUEST:
        return "No identity was requested: the clock has not stopped, and silence has no effect."
    if letter.kind == LetterKind.EXTENSION:
        base_due = deadlines.in_words(clocks.clock_of(letter.ticket).base_due)
        return f"The ticket is not extended: our answer is due by {base_due}, as it was at first."
    return ""


ACT = LetterAct(
    name="returned",
    title="Record that the {letter} came back",
    button="It came back",
    kinds=[EntryKind("letter.returned", "Letter came back", despite_clocks=True)],
    form=Form,
    why_not=why_not,
    do=do,
    will=lambda letter: [
        "The letter counts as one that could not be sent. Nothing is sent by this.",
        _undone_with(letter),
        "It takes effect again when it is sent again: correct the address first where that was the reason.",
    ],
    writes=False,
    done="Recorded: the {letter} came back. It can be sent again.",
)
