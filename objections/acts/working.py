"""What the privacy team does to a ticket on the way to an answer: one function an act.

The admin and the tasks are doors to these. Every act takes the version of the ticket that its reader saw. What is
decided in the end is in `closing`.
"""

import datetime as dt
from collections.abc import Collection

from django.contrib.auth.models import User
from django.db.models import F, Q

from consent import countries, members
from consent.choices import Purpose, Status
from consent.lookup import look_up
from consent.models import Member
from ledger import clock as portal_clock
from ledger import entries, open_entry
from ledger.errors import InvalidInput, NotFound
from ledger.models import Entry
from ledger.references import next_reference
from objections.acts import required_words
from objections.choices import (
    UNPROVEN,
    Effect,
    ExtensionReason,
    LetterKind,
    LetterState,
    NoteKind,
    Regime,
    State,
)
from objections.clock import deadlines
from objections.clock.days import today
from objections.errors import ForbiddenMove, NeedsSecondPerson, NotAllowedHere
from objections.intake import receiving
from objections.letters import composing
from objections.letters.texts import date_in_words
from objections.models import Attachment, Incident, Objection, Ticket
from objections.ticket import quarantine, uploads
from objections.ticket.checks import check_not_erased, check_undecided, check_writable, recorded
from objections.ticket.clocks import (
    clock_after_identity,
    clock_from,
    clock_of,
    is_paused,
    keep_clock,
)
from objections.ticket.incidents import look_for_incidents
from objections.ticket.notes import must_say, write_note
from objections.ticket.officers import officer_of
from objections.ticket.states import join_groups, locked, move

# --- Who works it -------------------------------------------------------------------------------


def assign(*, ticket: Ticket, officer: User | None, version: int, actor: User) -> Ticket:
    """Give a ticket to somebody, or to nobody."""
    with recorded("objection.assigned", ticket, actor) as opened:
        row = locked(ticket, version)
        if not row.is_open:
            raise NotAllowedHere(
                f"{row} is {row.get_state_display()}: a closed ticket is worked by nobody."
            )
        if row.assignee_id == (officer.pk if officer else None):
            opened.abandon()
            return row
        if officer is not None and not officer.has_perm("objections.work_ticket"):
            raise InvalidInput("Only who works tickets can be given one.", field="officer")
        row.assignee = officer
        opened.reason = f"to {officer.get_username()}" if officer else "to nobody"
        row.save()
    return row


def begin_review(*, ticket: Ticket, version: int, actor: User) -> Ticket:
    """Start examining what the person asks; the person who starts has the ticket, unless an officer has it."""
    with recorded("objection.review_begun", ticket, actor):
        row = locked(ticket, version)
        if row.state == State.IDENTITY_CHECK:
            raise NotAllowedHere("Identity was asked for: record the answer, or close the ticket.")
        move(row, State.IN_REVIEW)
        row.assignee = officer_of(row) or actor
        row.save()
    return row


def note(*, ticket: Ticket, text: str, actor: User) -> None:
    """Keep an internal note; nobody outside the team ever reads it, and it is erased with the person's data."""
    must_say("text", text, "Write something.")
    with recorded("objection.noted", ticket, actor):
        row = locked(ticket)
        check_not_erased(row)
        write_note(row, NoteKind.NOTE, text, actor)
        # A new version: who decides must have seen it.
        row.save()


def attach(*, ticket: Ticket, files: Collection[uploads.Upload], actor: User) -> list[Attachment]:
    """Keep checked files with the ticket."""
    if not files:
        raise InvalidInput("Choose a file.", field="attachments")
    stored = uploads.store_all(files)
    with (
        uploads.removed_on_failure(stored) as committing,
        recorded("objection.attached", ticket, actor),
    ):
        row = locked(ticket)
        check_not_erased(row)
        row.save()
        attached = [
            receiving.attach(row, upload, key, added_by=actor.get_username())
            for upload, key in stored
        ]
        committing()
    return attached


def keep_files(*, ticket: Ticket, version: int, actor: User) -> Ticket:
    """Keep the files that wait in quarantine, although nobody has confirmed the address. Raises NotAllowedHere."""
    with recorded("objection.files_kept", ticket, actor) as opened:
        row = locked(ticket, version)
        check_not_erased(row)
        count = quarantine.keep(row)
        if not count:
            raise NotAllowedHere("No file waits: they are kept, or gone.")
        opened.reason = f"{count} file{'' if count == 1 else 's'}"
        row.save()
    return row


# --- Who it is ----------------------------------------------------------------------------------


def ask_identity(*, ticket: Ticket, doubt: str, question: str, version: int, actor: User) -> Ticket:
    """Ask the person who they are, for a reasonable doubt only (GDPR Art. 12(6)).

    In the EU it pauses the clock if asked promptly, in the UK it starts it anew at the answer. Both from the day
    the letter is sent.
    """
    required_words.check("doubt", doubt)
    required_words.check("question", question)
    with recorded("objection.identity_asked", ticket, actor):
        row = locked(ticket, version)
        if row.is_verified:
            raise NotAllowedHere(
                "The person was logged in, or has answered: identity is not asked for (GDPR Art. 12(6))."
            )
        if row.regime == Regime.US_CA:
            raise NotAllowedHere(
                "California asks nobody who opts out for identity (CCPA regulations, § 7026(d))."
            )
        check_undecided(row)
        check_writable(row)
        move(row, State.IDENTITY_CHECK)
        row.assignee = officer_of(row) or actor
        row.save()
        write_note(row, NoteKind.DOUBT, doubt, actor)
        composing.queue(row, LetterKind.IDENTITY_REQUEST, doubt=doubt, identity_question=question)
    return row


def record_identity(
    *, ticket: Ticket, answered_on: dt.date, how: str, version: int, actor: User
) -> Ticket:
    """The person answered and is who they say: the review begins, and the clock goes on by its rule.

    They are told the new day. Who answered before our letter left stopped no clock.
    """
    must_say("how", how, "Say how identity was answered.")
    with recorded("objection.identity_answered", ticket, actor) as opened:
        row = locked(ticket, version)
        _check_asked(row)
        first = row.identity_asked_on or clock_of(row).receipt_date
        if not first <= answered_on <= today():
            raise InvalidInput(f"A day from {first} to today.", field="answered_on")
        if row.identity_asked_on:
            keep_clock(row, clock_after_identity(row, answered_on))
        row.identified_at = opened.recorded_at
        quarantine.keep(row)
        move(row, State.IN_REVIEW)
        row.save()
        write_note(row, NoteKind.IDENTITY, how, actor)
        if row.erased_at is None:
            composing.queue(row, LetterKind.ACKNOWLEDGEMENT)
    return row


def go_on_without_identity(*, ticket: Ticket, reason: str, version: int, actor: User) -> Ticket:
    """Review the ticket although identity was not answered: it was asked by mistake, or the letter finds nobody.

    The person stays unknown to us, and the clock has not stopped.
    """
    must_say("reason", reason, "Say why it goes on without: the ledger keeps it, so no names.")
    with recorded("objection.identity_waived", ticket, actor, reason=reason):
        row = locked(ticket, version)
        _check_asked(row)
        move(row, State.IN_REVIEW)
        row.save()
    return row


def _check_asked(ticket: Ticket) -> None:
    if ticket.state != State.IDENTITY_CHECK:
        raise ForbiddenMove(
            f"{ticket} is {ticket.get_state_display()}: nobody was asked who they are."
        )
    check_undecided(ticket)


def confirm_address(*, ticket: Ticket, reason: str, version: int, actor: User) -> Ticket:
    """The address is the person's although they did not follow the link: they wrote from it, say."""
    must_say("reason", reason, "Say how you know: the ledger keeps it, so no names or addresses.")
    with recorded("objection.address_confirmed", ticket, actor, reason=reason) as opened:
        row = locked(ticket, version)
        check_not_erased(row)
        if not row.is_open:
            raise NotAllowedHere(
                f"{row} is closed: what is left to be told is in the outcome letter."
            )
        if composing.is_proven(row):
            raise NotAllowedHere("There is nothing to confirm: the address is known to be theirs.")
        check_writable(row)
        row.confirmed_at = opened.recorded_at
        row.save()
        quarantine.keep(row)
        composing.cancel(row, LetterKind.CONFIRMATION)
        composing.queue(row, LetterKind.ACKNOWLEDGEMENT)
    return row


def match(
    *, ticket: Ticket, account_ref: str, reason: str, version: int, actor: User
) -> tuple[Ticket, list[Incident]]:
    """Find the member behind a ticket that named none: out from now on, and runs since receipt are incidents.

    Raises NotFound; the look is on record, also then.
    """
    must_say("reason", reason, "Say how you know it is theirs: the ledger keeps it, so no names.")
    if members.is_test_account(account_ref):
        raise InvalidInput("That is one of the portal's own test accounts.", field="account_ref")
    member = look_up(account_ref, reader=actor, kind="member.read", purpose=ticket.reference)
    with recorded("objection.matched", ticket, actor, reason=reason):
        row = locked(ticket, version)
        if row.member_id is not None:
            raise NotAllowedHere(
                f"{row} belongs to a member already; that does not change. If it is the wrong one, key the objection"
                " in once more with the right account and the same receipt: it restricts and finds incidents as"
                " this one did."
            )
        still = Member.objects.exclude(status=Status.ERASED).filter(pk=member.pk).first()
        if still is None:
            raise NotFound("The account was erased meanwhile.")
        receiving.give_member(row, still)
    row.refresh_from_db()
    return row, look_for_incidents(row)


def link(*, ticket: Ticket, other: Ticket, reason: str, version: int, actor: User) -> Ticket:
    """Two tickets of one person are handled together; the later one is linked to the first."""
    must_say(
        "reason", reason, "Say how you know it is one person: the ledger keeps it, so no names."
    )
    with recorded("objection.linked", ticket, actor) as opened:
        row = locked(ticket, version)
        other = locked(other)
        if other == row:
            raise InvalidInput("That is the same ticket.", field="other")
        if not join_groups(row, other):
            opened.abandon()
            return row
        opened.reason = f"{other} and {row} are one person's: {reason}"
    row.refresh_from_db()
    return row


def correct_address(
    *, ticket: Ticket, email: str, postal_address: str, reason: str, version: int, actor: User
) -> Ticket:
    """Write to another address from now on. The ledger keeps that it was changed and why, not what it is.

    Raises NeedsSecondPerson for whoever decided on a ticket whose letter, not out yet, lets somebody in again.
    """
    must_say(
        "reason",
        reason,
        "Say how you know the new address: the ledger keeps it, so no names or addresses.",
    )
    asked = receiving.Filing(
        purposes=[Purpose.SAFETY], channel="email", email=email, postal_address=postal_address
    )
    with recorded("objection.address_corrected", ticket, actor, reason=reason):
        row = locked(ticket, version)
        if sentence := composing.why_not_readdressed(row, actor.pk):
            raise NeedsSecondPerson(sentence)
        requester = composing.requester_of(row)
        is_other = requester.email != asked.email
        requester.email, requester.postal_address = asked.email, asked.postal_address
        requester.save()
        if is_other and row.is_open and row.channel in UNPROVEN and not row.is_verified:
            # What the old address confirmed says nothing of the new one.
            row.confirmed_at = None
        row.save()
        # Its link is for the old address.
        composing.cancel(row, LetterKind.CONFIRMATION)
        composing.readdress(row)
        if (
            row.is_open
            and not composing.is_proven(row)
            and requester.email
            and not row.is_set_aside
        ):
            composing.queue(row, LetterKind.CONFIRMATION, **composing.confirmation_link(row))
    return row


# --- The clock ----------------------------------------------------------------------------------


def correct_receipt(
    *, ticket: Ticket, received_at: dt.datetime, reason: str, version: int, actor: User
) -> tuple[Ticket, list[Incident]]:
    """It reached us earlier than recorded: the clock starts then, and runs frozen in between are incidents.

    Backwards only. Manifests stay as they are, and so does the clock of a closed ticket: it has run. The person is
    told a day that moved, and an extension notice that is not out is called off.
    """
    must_say("reason", reason, "Say where the earlier receipt is documented.")
    receiving.check_received_at(received_at)
    with recorded("objection.receipt_corrected", ticket, actor, reason=reason):
        row = locked(ticket, version)
        # A form shows minutes: the same minute is no correction.
        if received_at >= row.received_at.replace(second=0, microsecond=0):
            raise NotAllowedHere(
                "Receipt is corrected backwards only: a later one would take time and protection away."
            )
        told = _dates(row)
        if row.is_open:
            keep_clock(row, clock_from(row, received_at))
            _call_off_extension(row)
        row.received_at = received_at
        row.save()
        _tell_anew(row, told)
    return row, look_for_incidents(row)


def _dates(ticket: Ticket) -> tuple[dt.date | None, dt.date | None]:
    """The days that letters tell."""
    return ticket.due_on, ticket.refuse_by


def _call_off_extension(ticket: Ticket) -> None:
    """A notice that is not out names days of the clock as it was; it may be written anew. The caller saves the ticket."""
    if composing.cancel(ticket, LetterKind.EXTENSION):
        ticket.extension_reason = None


def _tell_anew(ticket: Ticket, told: tuple[dt.date | None, dt.date | None]) -> None:
    """Acknowledge once more, with the day as it is now, where the person was told another one."""
    if _dates(ticket) == told or ticket.erased_at:
        return
    was_told = ticket.letters.filter(
        kind__in=[LetterKind.ACKNOWLEDGEMENT, LetterKind.EXTENSION], state=LetterState.SENT
    ).exists()
    was_about_to = composing.cancel(ticket, LetterKind.ACKNOWLEDGEMENT)
    # Whoever is asked to confirm an address is told the day once they have.
    was_asked = ticket.letters.filter(kind=LetterKind.CONFIRMATION).exists()
    is_asked = was_asked and not composing.is_proven(ticket)
    if (was_told or was_about_to) and not is_asked:
        composing.queue(ticket, LetterKind.ACKNOWLEDGEMENT)


def correct_country(
    *, ticket: Ticket, country: str, region: str, reason: str, version: int, actor: User
) -> Ticket:
    """The person lives somewhere else than was recorded: the clock is computed anew, by the law of that place.

    The person is told a day that moved, and an extension notice that is not out is called off. Once the answer is
    overdue no other law makes it due later.
    """
    must_say("reason", reason, "Say where it is documented: the ledger keeps it, so no names.")
    code = countries.normalise(country)
    if country and not code:
        raise InvalidInput("An ISO 3166-1 code, as in IE.", field="country")
    with recorded("objection.country_corrected", ticket, actor, reason=reason):
        row = locked(ticket, version)
        if not row.is_open:
            raise ForbiddenMove(f"{row} is closed: its clock has run.")
        told = _dates(row)
        was_due = row.due_on
        assert was_due
        is_overdue = was_due < today() and not is_paused(row, clock_of(row))
        row.country = code
        row.regime = deadlines.regime_for(code, region)
        keep_clock(row, clock_from(row, row.received_at))
        if is_overdue and row.due_on and row.due_on > was_due:
            raise NotAllowedHere(
                f"The answer was due on {was_due}, as the person was told. By {row.get_regime_display()} it would be"
                f" due on {row.due_on}: what is late does not become timely by a correction. Answer it now."
            )
        _call_off_extension(row)
        row.save()
        _tell_anew(row, told)
    return row


_MAY_BE_LATE = ("objection.received", "objection.receipt_corrected", "objection.matched")


def look_again_for_incidents(now: dt.datetime | None = None) -> int:
    """Look once more at restrictions older than their entries, recorded in the last 30 days; returns the incidents.

    A run that was being frozen meanwhile had its manifest recorded later; and a look may have failed.
    """
    since = (now or portal_clock.now()) - dt.timedelta(days=30)
    lately = Entry.objects.filter(kind__in=_MAY_BE_LATE, recorded_at__gt=since)
    matched = lately.filter(kind="objection.matched")
    late = Ticket.objects.filter(
        Q(received_at__lt=F("recorded_at")) | Q(reference__in=matched.values("subject")),
        reference__in=lately.values("subject"),
    )
    return sum(len(look_for_incidents(ticket)) for ticket in late.order_by("pk"))


def extend(*, ticket: Ticket, ground: str, explanation: str, version: int, actor: User) -> Ticket:
    """Ask for two more months (GDPR Art. 12(3)): once, for one of two grounds; it counts when the notice is sent."""
    if ground not in ExtensionReason.values:
        raise InvalidInput(
            f"One of {', '.join(ExtensionReason.values)}; a backlog is no ground.", field="ground"
        )
    required_words.check("explanation", explanation)
    with recorded("objection.extension_asked", ticket, actor, reason=ground):
        row = locked(ticket, version)
        clock = clock_of(row)
        if row.extended_on or row.extension_reason:
            raise NotAllowedHere("A ticket is extended once (GDPR Art. 12(3)).")
        if row.state != State.IN_REVIEW:
            raise ForbiddenMove(f"{row} is {row.get_state_display()}: only a review is extended.")
        if clock.extended_due is None:
            raise NotAllowedHere(f"No extension exists under {row.get_regime_display()}.")
        if today() > clock.base_due:
            raise NotAllowedHere(
                f"The first deadline was {clock.base_due}: after it nothing is extended (GDPR Art. 12(3))."
            )
        check_undecided(row)
        check_writable(row)
        row.extension_reason = ground
        row.save()
        composing.queue(
            row,
            LetterKind.EXTENSION,
            clock.extended_due,
            **extension_values(clock, explanation),
        )
    return row


def extension_values(clock: deadlines.Clock, explanation: str) -> dict[str, str]:
    """What an extension notice says beside the rest, for a clock that can be extended."""
    assert clock.extended_due
    return {
        "extension_reason": explanation,
        "new_due_on": date_in_words(clock.extended_due),
        "refuse_by": date_in_words(clock.refuse_by_extended or clock.refuse_by),
    }


# --- Test accounts ------------------------------------------------------------------------------


def keep_out(*, member: Member, purpose: str, effect: Effect, actor: open_entry.Actor) -> Objection:
    """Give a test account an objection in effect. Nobody works its ticket: it has no state and no clock."""
    with entries.entry("objection.planted", actor=actor) as opened:
        ticket = Ticket(
            reference=next_reference("OBJ", opened.recorded_at.year, Ticket),
            member=member,
            received_at=opened.recorded_at,
        )
        ticket.save()
        opened.subject = ticket.reference
        objection = Objection(ticket=ticket, purpose=purpose, effect=effect)
        objection.save()
    return objection
