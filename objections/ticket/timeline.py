"""What happened to a ticket, told from the ledger's entries: who did what, when and why."""

import datetime as dt
from collections import defaultdict
from dataclasses import dataclass

from django.db.models import Q

from common.text import words
from ledger.models import Entry
from objections.models import Letter, Note, Ticket
from objections.ticket.retention import RETENTION

MAX_ENTRIES = 200
"""Lines shown; what is older stands in the ticket's history."""

IN_WORDS = {
    "consent.decision": "The account it names became known",
    "consent.decisions": "The account it names became known",
    "letter.cancelled": "Letter not sent any more",
    "letter.failed": "Letter could not be sent",
    "letter.repeated": "Letter sent once more",
    "letter.requeued": "Letter put back into the queue",
    "letter.returned": "Letter came back",
    "letter.sent": "Letter sent",
    "member.erased": "The member's data was erased",
    "members.imported": "The account it names became known",
    "objection.address_confirmed": "Address confirmed by an officer",
    "objection.address_corrected": "Address corrected",
    "objection.approved": "Outcome approved by a second person",
    "objection.assigned": "Assigned",
    "objection.attached": "Files attached",
    "objection.confirmed": "E-mail address confirmed",
    "objection.country_corrected": "Country corrected",
    "objection.decided": "Decided",
    "objection.erasure_proposed": "Erasure of the personal data proposed",
    "objection.erasure_returned": "Erasure of the personal data sent back by a second person",
    "objection.extension_asked": "Extension notice written",
    "objection.files_gone": "Files deleted: nobody confirmed the address in time",
    "objection.files_kept": "Files kept by an officer",
    "objection.identity_answered": "Identity answered",
    "objection.identity_asked": "Identity asked for",
    "objection.identity_waived": "Review goes on without identity",
    "objection.incident_found": "Incident found",
    "objection.linked": "Linked",
    "objection.matched": "Matched to a member",
    "objection.noted": "Note",
    "objection.proposed": "Outcome proposed",
    "objection.receipt_corrected": "Receipt corrected",
    "objection.received": "Received",
    "objection.released": "Released, after it was set aside",
    "objection.returned": "Outcome sent back by a second person",
    "objection.review_begun": "Review begun",
    "objection.words_erased": "Personal data erased",
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
class Line:
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


def _in_words(entry: Entry) -> str:
    if entry.kind == "objection.files_kept" and entry.actor_name == RETENTION:
        return _KEPT_BY_RETENTION
    return IN_WORDS.get(entry.kind, entry.kind)


def timeline_of(ticket: Ticket, *, with_words: bool) -> list[Line]:
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
        Line(
            number=entry.sequence,
            at=entry.recorded_at,
            who=entry.actor_name,
            what=_in_words(entry),
            reason=entry.reason,
            with_ticket="" if entry.subject == ticket.reference else entry.subject,
            notes=notes[entry.sequence],
            letters=sorted(letters[entry.sequence]),
        )
        for entry in entries.order_by("-sequence")[:MAX_ENTRIES]
    ]
