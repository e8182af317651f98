"""Trying a failed letter again: back into the queue, to the address the requester has now."""

from django.utils import timezone

from ledger import entries, open_entry
from ledger.registry import EntryKind
from objections.acts.on_letters.letter_act import LetterAct, what_goes, why_erased
from objections.choices import LetterKind, LetterState
from objections.letters import composing
from objections.letters.effects import refuse_letter
from objections.models import Letter, LetterText


def why_not(letter: Letter) -> str:
    if letter.state != LetterState.FAILED:
        return f"It is {letter.get_state_display()}: only a failed one is tried again."
    if letter.kind == LetterKind.CONFIRMATION and (
        not letter.ticket.is_open or composing.is_proven(letter.ticket)
    ):
        return "There is nothing to confirm any more."
    return why_erased(letter)


def do(*, letter: Letter, actor: open_entry.Actor) -> Letter:
    """In the place of a confirmation comes a new one: its link may have run out, and is for one address only."""
    with entries.entry("letter.requeued", actor=actor, subject=letter.ticket.reference):
        row: Letter = Letter.objects.select_for_update().get(pk=letter.pk)
        refuse_letter(why_not(row))
        if row.kind == LetterKind.CONFIRMATION:
            composing.cancel(row.ticket, LetterKind.CONFIRMATION)
            return composing.repeat(row)
        requester = composing.requester_of(row.ticket)
        row.state = LetterState.WAITING
        row.delivery = composing.delivery_of(requester)
        row.save()
        LetterText.objects.filter(letter=row).update(
            address=composing.address_of(requester),
            attempts=0,
            last_error="",
            not_before=timezone.now(),
        )
    return row


ACT = LetterAct(
    name="again",
    title="Try the {letter} again",
    button="Try it again",
    kinds=[EntryKind("letter.requeued", "Letter put back into the queue")],
    why_not=why_not,
    do=do,
    will=lambda letter: [
        what_goes(
            letter,
            "The letter goes to the address the person has now, with the words it was written with.",
        ),
        "What depends on it still waits until it is sent.",
    ],
    done="The letter is in the queue again.",
)
