"""Repeating a letter that was sent: once more, to the address the person has now."""

from ledger import entries, open_entry
from ledger.registry import EntryKind
from objections.acts.on_letters.letter_act import LetterAct, what_goes, why_erased
from objections.choices import LetterState
from objections.letters import composing
from objections.letters.effects import refuse_letter, why_gone
from objections.models import Letter


def why_not(letter: Letter) -> str:
    if letter.state != LetterState.SENT:
        return f"It is {letter.get_state_display()}: only a letter that was sent is sent once more."
    if gone := why_gone(letter):
        return f"This letter is not to be sent: {gone}."
    return why_erased(letter)


def do(*, letter: Letter, actor: open_entry.Actor) -> Letter:
    """A confirmation gets a fresh link. What took effect when the letter was first sent stays as it was."""
    with entries.entry("letter.repeated", actor=actor, subject=letter.ticket.reference) as opened:
        row = Letter.objects.select_related("ticket").get(pk=letter.pk)
        refuse_letter(why_not(row))
        opened.reason = row.get_kind_display()
        return composing.repeat(row)


ACT = LetterAct(
    name="repeat",
    title="Send the {letter} once more",
    button="Send it once more",
    kinds=[EntryKind("letter.repeated", "Letter sent once more")],
    why_not=why_not,
    do=do,
    will=lambda letter: [
        what_goes(letter, "A copy, word for word, goes to the address the person has now."),
        "What took effect when it was first sent stays as it was.",
    ],
    done="The {letter} is in the queue once more.",
)
