"""Notes: what staff write about a ticket."""

from common.text.words import is_blank
from ledger import open_entry
from ledger.errors import InvalidInput
from objections.choices import NoteKind
from objections.models import Note, Ticket


def write_note(ticket: Ticket, kind: NoteKind, text: str, actor: open_entry.Actor) -> None:
    """Keep staff's words with the ticket; the ledger keeps that there are some, not what they say.

    None are kept where the person's data is erased: nothing would erase them again.
    """
    if text.strip() and ticket.erased_at is None:
        Note.objects.create(
            ticket=ticket,
            kind=kind,
            text=text,
            entry_id=open_entry.current().sequence,
            author_name=open_entry.name_of(actor),
            written_at=open_entry.current().recorded_at,
        )


def must_say(field: str, text: str, sentence: str) -> None:
    """Raises InvalidInput with the sentence unless there are words to be seen."""
    if is_blank(text):
        raise InvalidInput(sentence, field=field)
