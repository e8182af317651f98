"""The history of a ticket, from the ledger's entries: actor, act, time and reason."""

import datetime as dt
from collections import defaultdict
from dataclasses import dataclass

from django.db.models import Q

from common.text import words
from ledger import registry
from ledger.models import Entry
from objections.models import Letter, Note, Ticket
from objections.ticket.retention import RETENTION

MAX_ENTRIES = 200
"""Lines shown; what is older stands in the ticket's history."""

# What entries of other kinds did to a ticket.
_OF_TICKETS = {
    "consent.decision": "The account it names became known",
    "consent.decisions": "The account it names became known",
    "member.erased": "The member's data was erased",
    "members.imported": "The account it names became known",
}
_KEPT_BY_RETENTION = "Files kept: the ticket was decided before their time was over"


@dataclass(frozen=True)
class Said:
    """Staff's words, written with an act."""

    kind: str
    text: str

    @property
    def is_long(self) -> bool:
        """Longer than the window they are read in."""
        return len(self.text) > 1_000 or self.text.count("\n") > 10


@dataclass(frozen=True)
class TimelineLine:
    """One act, with the words and the letters that came with it."""

    number: int
    at: dt.datetime
    who: str
    what: str
    reason: str
    with_ticket: str
    """The reference of another ticket that the act was done to; this one went along."""
    notes: list[Said]
    letters: list[int]


def in_words(entry: Entry) -> str:
    """An entry's effect on a ticket."""
    if entry.kind == "objection.files_kept" and entry.actor_name == RETENTION:
        return _KEPT_BY_RETENTION
    known = registry.entry_kinds.get(entry.kind)
    return _OF_TICKETS.get(entry.kind) or (known.words if known else entry.kind)


def timeline_of(ticket: Ticket, *, with_words: bool) -> list[TimelineLine]:
    """Every act on the ticket, the latest first; staff's words only for who may read them."""
    letters = defaultdict(list)
    for entry, letter in Letter.history.filter(ticket=ticket.pk).values_list("entry_id", "id"):
        letters[entry].append(letter)
    # Linked tickets are decided together: the entry is then about another one.
    touched = set(ticket.history.values_list("entry_id", flat=True)) | letters.keys()
    notes = defaultdict(list)
    if with_words:
        for note in Note.objects.filter(ticket=ticket):
            said = Said(note.get_kind_display(), words.visible(note.text))
            notes[note.entry_id].append(said)
    entries = Entry.objects.filter(Q(subject=ticket.reference) | Q(sequence__in=touched))
    return [
        TimelineLine(
            number=entry.sequence,
            at=entry.recorded_at,
            who=entry.actor_name,
            what=in_words(entry),
            reason=entry.reason,
            with_ticket="" if entry.subject == ticket.reference else entry.subject,
            notes=notes[entry.sequence],
            letters=sorted(letters[entry.sequence]),
        )
        for entry in entries.order_by("-sequence")[:MAX_ENTRIES]
    ]
