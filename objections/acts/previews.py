"""Previews of letters, and warnings for the officer who acts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from objections.choices import Delivery, LetterKind
from objections.clock import deadlines
from objections.clock.days import today
from objections.letters import composing
from objections.models import Ticket
from objections.ticket.case import Case

STRANGER = "The address is not confirmed: it may be a stranger's."


@dataclass(frozen=True)
class Preview:
    """A letter as it would be sent, and where to."""

    about: str
    """The tickets it answers."""
    is_proven: bool
    """Whether the address is known to be the person's."""
    kind: str
    by: str
    to: str
    subject: str
    body: str


def preview(case: Case, kind: str, also: Sequence[Ticket] = (), /, **more: str) -> Preview:
    """Raises PersonalDataErased."""
    ticket = case.ticket
    requester = composing.requester_of(ticket)
    _, text = composing.compose(case, kind, **more)
    by = Delivery.EMAIL if requester.email else Delivery.POST
    to = requester.email or f"{requester.name}\n{requester.postal_address}".strip()
    about = ", ".join(str(one) for one in [ticket, *also])
    return Preview(
        about=about,
        is_proven=composing.is_proven(ticket),
        kind=LetterKind(kind).label,
        by=by.label,
        to=to,
        subject=text.subject,
        body=text.body,
    )


def or_gap(text: str, what: str) -> str:
    """The typed text; where it is empty, the letter shows which part is missing."""
    return text or f"[{what}: not written yet]"


def warnings_of(
    ticket: Ticket, *, writes: bool = False, upholds: bool = False, refuses: bool = False
) -> list[str]:
    """Warnings for the officer who acts: where the act writes to the person, upholds or refuses."""
    assert ticket.refuse_by
    found = []
    if writes and not composing.is_proven(ticket):
        found.append(STRANGER)
    if upholds and ticket.member_id is None:
        found.append("No account is matched: it excludes no member.")
    if refuses and today() > ticket.refuse_by:
        day = deadlines.in_words(ticket.refuse_by)
        found.append(f"The deadline for refusing was {day}; the letter says that it is late.")
    return found


def dossier_of(case: Case) -> dict[str, Any]:
    """The ticket's text, files and facts: for the officer who decides, and for the one who reviews the decision."""
    return {
        "attachments": list(case.attachments),
        "files_wait": any(file.waits_until for file in case.attachments),
        "incidents": list(case.incidents),
    }
