"""What the acts on tickets are made of."""

import datetime as dt
from contextlib import AbstractContextManager

import structlog
from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import Min, Q
from django.utils import timezone

from objections import deadlines, exposure
from objections.choices import AS_ABUSE, NEXT_STATES, NoteKind, State
from objections.errors import AlreadyProposed, ForbiddenMove, NotAllowedHere, WordsErased
from objections.letter_texts import is_blank
from objections.models import Incident, Note, Objection, Proposal, Ticket
from objections.querysets import working_officers
from portal import ledger
from portal.errors import InvalidInput, PortalError, StaleEdit

logger = structlog.get_logger(__name__)

DESK = "system:desk"


def today() -> dt.date:
    """The day where the establishment that answers is."""
    return day_of(timezone.now())


def day_of(moment: dt.datetime) -> dt.date:
    return deadlines.local_date(moment, settings.CONTROLLER_TIME_ZONE)


def officer_of(ticket: Ticket) -> User | None:
    """The officer who has the ticket. An account that was closed or lost the role has no tickets any more."""
    assignee = ticket.assignee
    if assignee is None:
        return None
    known = getattr(ticket, "has_no_officer", None)
    if known is None:
        known = not working_officers().filter(pk=assignee.pk).exists()
    return None if known else assignee


def officer_in_words(ticket: Ticket) -> str:
    """The officer's name, or that the ticket is unassigned and who had it."""
    if officer := officer_of(ticket):
        return officer.get_username()
    if ticket.assignee is None:
        return "unassigned"
    return f"unassigned: {ticket.assignee.get_username()} works no tickets any more"


def work_of(person: User) -> str:
    """For the person's account page: how many open tickets they have, and what becomes of them. Empty without any."""
    count = Ticket.objects.open().of(person).count()
    if not count:
        return ""
    # A message begins with a capital letter, and a name must not get one.
    tickets = f"{count:,} open ticket{'' if count == 1 else 's'} of {person.get_username()}"
    is_one = count == 1
    if working_officers().filter(pk=person.pk).exists():
        return (
            f"{tickets} {'returns' if is_one else 'return'} to Unassigned when the account is closed"
            " or loses its role."
        )
    return f"{tickets} {'is' if is_one else 'are'} in Unassigned: the account works no tickets any more."


def effect_in_words(ticket: Ticket) -> str:
    """Whom an open ticket keeps out, in a sentence for officers."""
    if ticket.member_id is None:
        return "No account is matched: it keeps nobody out yet."
    return "The member stays out of the purposes named."


def locked(ticket: Ticket, version: int | None = None) -> Ticket:
    """The ticket as it is now, locked; needs an open entry. Raises StaleEdit unless it is at the version its reader saw."""
    row: Ticket = Ticket.objects.worked().select_for_update().get(pk=ticket.pk)
    if version is not None and row.version != version:
        raise StaleEdit(f"Somebody changed {row} in the meantime: look at it again.")
    return row


def why_no_move(ticket: Ticket, state: State) -> str:
    """Why the map has no move to the state from here; empty when it has."""
    assert ticket.state is not None
    possible = NEXT_STATES[ticket.state]
    if possible and ticket.is_set_aside:
        possible |= {AS_ABUSE}
    if state in possible:
        return ""
    allowed = ", ".join(one.label for one in State if one in possible)
    rest = (
        f"From here it can become: {allowed}."
        if allowed
        else "A closed ticket is not reopened: a new objection opens a new ticket."
    )
    return f"{ticket} is {ticket.get_state_display()} and cannot become {state.label}. {rest}"


def move(ticket: Ticket, state: State) -> None:
    """The one place where a ticket changes state; the caller saves it."""
    if sentence := why_no_move(ticket, state):
        raise ForbiddenMove(sentence)
    ticket.state = state
    if not NEXT_STATES[state]:
        ticket.closed_at = ledger.current().recorded_at


def join_groups(ticket: Ticket, other: Ticket) -> bool:
    """Two tickets are one person's: the later group goes to the first ticket of the earlier one.

    False where they are in one group already. Needs an open entry. A ticket is linked to a first one, never to one
    that is linked itself.
    """
    heads = {one.linked_to or one for one in (ticket, other)}
    if len(heads) == 1:
        return False
    first, later = sorted(heads, key=lambda head: head.pk)
    for one in Ticket.objects.filter(Q(pk=later.pk) | Q(linked_to=later)).order_by("pk"):
        one.linked_to = first
        one.save()
    return True


def take_back_extension(ticket: Ticket) -> None:
    """An extended ticket is in review again: the notice, without which it does not count, reached nobody.

    Beside the map of states: nothing was decided, what was recorded as sent was not. The caller saves it.
    """
    if ticket.state != State.EXTENDED:
        raise ForbiddenMove(f"{ticket} is {ticket.get_state_display()}: it is not extended.")
    ticket.state = State.IN_REVIEW
    ticket.extended_on = None


def write_note(ticket: Ticket, kind: NoteKind, text: str, actor: ledger.Actor) -> None:
    """Keep staff's words with the ticket; the ledger keeps that there are some, not what they say.

    None are kept where the person's data is erased: nothing would erase them again.
    """
    if text.strip() and ticket.erased_at is None:
        Note.objects.create(
            ticket=ticket,
            kind=kind,
            text=text,
            entry_id=ledger.current().sequence,
            author_name=ledger.name_of(actor),
            written_at=ledger.current().recorded_at,
        )


def look_for_incidents(ticket: Ticket) -> list[Incident]:
    """Record every run frozen with the member in it after the objection had reached us and before it was recorded.

    Called wherever a restriction turns out to be older than its entry, after that entry: reading old archives takes
    time and can fail, and no restriction may depend on it. What fails is logged and looked for again every day.
    The manifests stay as they are.
    """
    if ticket.member_id is None or ticket.state is None:
        return []
    purposes = list(ticket.objections.values_list("purpose", flat=True))
    try:
        uses = exposure.uses_of(ticket.member_id, purposes, since=ticket.received_at)
    except (PortalError, OSError) as error:
        logger.error(
            "incidents not looked for", ticket=ticket.reference, error=type(error).__name__
        )
        return []
    recorded_in = _first_recorded(ticket)
    with ledger.entry("objection.incident_found", actor=DESK, subject=ticket.reference) as opened:
        known = set(ticket.incidents.values_list("run", flat=True))
        found = [
            Incident(
                ticket=ticket,
                run=use.run,
                purpose=use.purpose,
                received_at=ticket.received_at,
                frozen_at=use.frozen_at,
            )
            for use in uses
            # A cut that counts the restriction has the member in it only where it was lifted by then.
            if use.run not in known and use.cut < recorded_in[use.purpose]
        ]
        opened.reason = ", ".join(incident.run for incident in found)
        ledger.add(found)
        if not found:
            opened.abandon()
    return found


def _first_recorded(ticket: Ticket) -> dict[str, int]:
    """For each purpose, the entry from which on the ledger has the objection as this member's."""
    rows = Objection.history.filter(ticket_id=ticket.pk, member_id=ticket.member_id)
    return dict(rows.order_by("purpose").values_list("purpose").annotate(Min("entry_id")))


def must_say(field: str, text: str, sentence: str) -> None:
    """Raises InvalidInput with the sentence unless there are words to be seen."""
    if is_blank(text):
        raise InvalidInput(sentence, field=field)


def recorded(
    kind: str, ticket: Ticket, actor: ledger.Actor, *, reason: str = ""
) -> AbstractContextManager[ledger.OpenEntry]:
    """The ledger entry of an act on a ticket."""
    return ledger.entry(kind, actor=actor, subject=ticket.reference, reason=reason)


def waiting_proposal(ticket: Ticket) -> Proposal | None:
    """The outcome of the ticket that waits for a second person."""
    found: Proposal | None = (
        Proposal.objects.waiting().filter(ticket=ticket).select_related("proposed_by").first()
    )
    return found


def check_undecided(ticket: Ticket) -> None:
    """Nothing else is decided while an outcome waits."""
    if waiting_proposal(ticket):
        raise AlreadyProposed(
            f"An outcome of {ticket} waits for a second person: it is approved or sent back first."
        )


def check_writable(ticket: Ticket) -> None:
    """Nobody is written to before a person has looked at what a flood set aside."""
    if ticket.is_set_aside:
        raise NotAllowedHere(
            f"{ticket} was set aside: release it first, so that it may be answered."
        )


def check_not_erased(ticket: Ticket) -> None:
    if ticket.erased_at:
        raise WordsErased(f"The personal data of {ticket} is erased: nothing is added to it.")
