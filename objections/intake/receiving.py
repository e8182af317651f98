"""Taking objections in. Nothing genuine is lost: a flood is set aside, and restricts all the same."""

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

import structlog
from django.conf import settings
from django.db import connection
from django.db.models import Q, QuerySet, Subquery, Sum
from django.utils import timezone

from common.files import space
from common.mail import addresses
from common.text import words
from consent import countries, members
from consent.choices import Purpose, Status
from consent.models import Member
from consent.references import MAX_LENGTH, folding_of, key_of, without_controls
from ledger import canonical, entries, open_entry
from ledger.bulk import among
from ledger.errors import InvalidInput
from ledger.references import next_reference
from objections.choices import LOOSELY, UNPROVEN, Channel, FoundBy, Kind, LetterKind, TicketState
from objections.clock import deadlines
from objections.errors import FormUsed, TicketIdReused
from objections.intake import candidates, naming
from objections.letters import composing
from objections.models import Attachment, Objection, Requester, Ticket
from objections.redaction import keeping as redaction
from objections.ticket import inherited, quarantine, uploads
from objections.ticket.case import Case, case_of
from objections.ticket.incidents import look_for_incidents
from objections.ticket.states import join_groups

logger = structlog.get_logger(__name__)

BY_PERSON = "the person"
"""The origin of a file that came with the filing."""
MAX_STATEMENT_LENGTH = 20_000
EARLIEST = dt.datetime(2018, 5, 25, tzinfo=dt.UTC)
"""The first day of the GDPR: an older receipt is a typing mistake."""
CLOCK_SKEW = dt.timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filing:
    """An objection as it was sent. Raises InvalidInput, naming the field, when no officer could work it."""

    purposes: Collection[str]
    channel: str
    kind: str = Kind.OBJECTION
    country: str = ""
    region: str = ""
    """A part of the country with a law of its own: CA of US."""
    language: str = "en"
    """The language of our letters, one of `letter_texts.LANGUAGES`."""
    name: str = ""
    email: str = ""
    postal_address: str = ""
    statement: str = ""
    account_ref: str = ""
    """The account the person says is theirs, in any spelling: its key is kept. Whether it is known is not told."""
    member: Member | None = None
    """The member, where the product vouches for who files."""
    received_at: dt.datetime | None = None
    """The time of receipt, if it was earlier than now."""
    source_id: str = ""
    """The sender's own id: the same again is a replay."""
    sender: str = ""
    """The network address; kept as a keyed hash only."""
    looks_automatic: bool = False
    files: Collection[uploads.Upload] = field(default_factory=tuple)

    def __post_init__(self) -> None:
        for name, given, known in (
            ("kind", [self.kind], Kind.values),
            ("channel", [self.channel], Channel.values),
            ("purposes", self.purposes, Purpose.values),
        ):
            if not given or set(given) - set(known):
                raise InvalidInput(f"One or more of {', '.join(known)}.", field=name)
        cleaned = {
            "name": words.clean(self.name, max_length=200, field="name", lines=False),
            "email": words.clean(self.email, max_length=254, field="email", lines=False).lower(),
            "postal_address": words.clean(
                self.postal_address, max_length=500, field="postal_address"
            ),
            "statement": words.clean(
                self.statement, max_length=MAX_STATEMENT_LENGTH, field="statement"
            ),
            "account_ref": _key_named(self.account_ref),
        }
        for name, text in cleaned.items():
            object.__setattr__(self, name, text)
        if self.email:
            try:
                object.__setattr__(self, "email", addresses.normal(self.email))
            except addresses.NoAddress as error:
                raise InvalidInput(str(error), field="email") from error
        elif not self.postal_address:
            raise InvalidInput("We need an address to answer to.", field="email")
        if len(self.source_id) > 64 or not self.source_id.isprintable():
            raise InvalidInput("At most 64 printable characters.", field="source_id")
        if len(self.files) > uploads.MAX_FILES:
            raise InvalidInput(f"At most {uploads.MAX_FILES} files.", field="attachments")

    @property
    def is_authenticated(self) -> bool:
        return self.member is not None

    @property
    def files_wait(self) -> bool:
        """Whether files wait in quarantine: their sender is unverified."""
        return self.channel in UNPROVEN and not self.is_authenticated

    @property
    def digest(self) -> str:
        """A keyed hash: after an erasure, names cannot be tried against it."""
        facts = {
            "purposes": sorted(self.purposes),
            "kind": self.kind,
            "country": self.country,
            "region": self.region,
            "name": self.name,
            "email": self.email,
            "postal_address": self.postal_address,
            "statement": self.statement,
            "account_ref": self.account_ref,
            "member": self.member.pk if self.member else None,
            "received_at": self.received_at,
            "files": [sha256(upload.data).hexdigest() for upload in self.files],
        }
        return members.keyed_hash("ticket", canonical.dumps(facts))


def _key_named(account_ref: str) -> str:
    """The key of the account that a person named. Control characters are removed, not refused."""
    key = key_of(without_controls(account_ref))
    if len(key) > MAX_LENGTH:
        raise InvalidInput(
            f"At most {MAX_LENGTH} characters; these are {len(key):,}.",
            field="account_ref",
            code="too_long",
        )
    return key


def check_received_at(moment: dt.datetime) -> None:
    """For what staff type, where a mistake is shown to who can mend it. Raises InvalidInput."""
    if moment > timezone.now() + CLOCK_SKEW:
        raise InvalidInput("In the future.", field="received_at", code="in_the_future")
    if moment < EARLIEST:
        raise InvalidInput(f"Before {EARLIEST:%Y-%m-%d}.", field="received_at", code="too_long_ago")


def receive(filing: Filing, *, actor: open_entry.Actor) -> Ticket:
    """Take an objection in: when this returns, the restriction stands (GDPR Art. 18(1)(d)).

    The same channel and source id again give the ticket that is there; raises TicketIdReused when they come with
    another body. A letter is queued with it: a confirmation link where we do not know who filed, else the
    acknowledgement.
    """
    return receive_once(filing, actor=actor)[0]


def receive_once(filing: Filing, *, actor: open_entry.Actor) -> tuple[Ticket, bool]:
    """`receive`, and whether the ticket is new."""
    digest = filing.digest
    if known := _filed_before(filing, digest):
        return known, False
    # On disk before the ledger's lock is taken: no request waits for a slow disk.
    stored = _store(filing)
    with (
        uploads.removed_on_failure(stored) as committing,
        entries.entry("objection.received", actor=actor) as opened,
    ):
        known = _filed_before(filing, digest)
        if known is None:
            # Asked again under the lock: others filed meanwhile.
            taken = stored if _has_room_for(filing) else []
            ticket = _record(filing, digest, opened, taken)
        else:
            opened.abandon()
            taken = []
        committing()
    for upload in stored:
        if upload not in taken:
            uploads.remove(upload[1])
    if known is not None:
        return known, False
    if filing.received_at is not None:
        look_for_incidents(ticket)
    return ticket, True


Stored = Sequence[tuple[uploads.Upload, str]]


def _store(filing: Filing) -> Stored:
    """The files on disk, with their keys: all of them or none.

    Where a limit is reached or the disk is full, an objection from the form is taken without them. Staff, who can try
    again, are told: raises OSError.
    """
    if not _has_room_for(filing):
        logger.warning("files not taken", error="limit")
        return []
    try:
        return uploads.store_all(filing.files, is_waiting=filing.files_wait)
    except OSError as error:
        if filing.channel not in UNPROVEN:
            raise
        logger.error("files not taken", error=type(error).__name__)
        return []


def _has_room_for(filing: Filing) -> bool:
    """Whether the files of a filing fit into what its sender may send in a day, and all senders together."""
    if not filing.files or filing.channel not in UNPROVEN:
        return True
    size = sum(len(upload.data) for upload in filing.files)
    home = settings.QUARANTINE_DIR if filing.files_wait else settings.ATTACHMENT_DIR
    lately = Attachment.objects.filter(
        added_at__gt=timezone.now() - dt.timedelta(days=1), added_by=BY_PERSON
    )
    if filing.member is not None:
        own = lately.filter(ticket__member=filing.member, ticket__is_authenticated=True)
    else:
        # Whose network cannot be told apart share one day.
        own = lately.filter(ticket__requester__sender_hash=_sender_hash(filing.sender))
    waiting = Attachment.objects.filter(waits_until__isnull=False)
    return (
        not space.room(home).is_short(size)
        and _bytes_of(own) + size <= settings.MAX_FILE_BYTES_A_DAY
        and (not filing.files_wait or _bytes_of(waiting) + size <= settings.MAX_WAITING_BYTES)
    )


def _bytes_of(files: QuerySet[Attachment]) -> int:
    return files.aggregate(total=Sum("size"))["total"] or 0


def _record(filing: Filing, digest: str, opened: open_entry.OpenEntry, stored: Stored) -> Ticket:
    now = opened.recorded_at
    vouched = _still_there(filing.member)
    # Naming an account excludes it from now on, whether it is the sender's or not: exclusion is the safe side.
    found_by, named = (
        (FoundBy.PRODUCT, [vouched.pk]) if vouched else naming.accounts_named(filing.account_ref)
    )
    member = named[0] if len(named) == 1 else None
    country = countries.normalise(filing.country)
    if vouched and not country:
        # Only for a verified member: dates and letters would tell a stranger where the member lives.
        country = vouched.country
    # An objection is not refused for its time: nothing reached us later than now, or before there was a GDPR.
    given = filing.received_at
    received_at = min(given, now) if given and given >= EARLIEST else now
    regime = deadlines.regime_for(country, filing.region)
    clock = deadlines.start(
        received_at, regime, time_zone=settings.CONTROLLER_TIME_ZONE, country=country
    )
    ticket = Ticket(
        reference=next_reference("OBJ", now.year),
        member_id=member,
        received_at=received_at,
        recorded_at=now,
        state=TicketState.RECEIVED,
        kind=filing.kind,
        channel=filing.channel,
        source_id=filing.source_id or None,
        body_digest=digest,
        country=country,
        is_authenticated=vouched is not None,
        found_by=found_by if member else None,
        is_set_aside=_is_flood(filing, now),
        linked_to=first_of_person(member, filing.email),
        regime=regime,
        clock=clock.as_json(),
        due_on=clock.base_due,
        refuse_by=clock.refuse_by,
        target_on=clock.target,
    )
    ticket.save()
    opened.subject = ticket.reference
    objections = [
        Objection(ticket=ticket, purpose=purpose) for purpose in sorted(set(filing.purposes))
    ]
    Objection.objects.save_all(objections)
    inherited.follow(ticket, is_new=True)
    requester = Requester.objects.create(
        ticket=ticket,
        name=filing.name,
        email=filing.email,
        postal_address=filing.postal_address,
        account_named=filing.account_ref,
        account_folded=naming.folding_named(filing.account_ref),
        statement=filing.statement,
        language=filing.language,
        sender_hash=_sender_hash(filing.sender),
        filed_at=now,
        files_refused=len(filing.files) - len(stored),
    )
    if member is None:
        redaction.begin(ticket, requester)
        for number in named:
            candidates.add(ticket, number, found_by)
    waits_until = quarantine.end_of_wait() if filing.files_wait else None
    files = [
        attach(ticket, upload, key, added_by=BY_PERSON, waits_until=waits_until)
        for upload, key in stored
    ]
    first_letter(
        Case(
            ticket=ticket,
            requester=requester,
            objections=tuple(objections),
            proposal=None,
            attachments=tuple(files),
            incidents=(),
        )
    )
    return ticket


def _still_there(member: Member | None) -> Member | None:
    """The member as of now: one that was erased meanwhile is unknown."""
    if member is None:
        return None
    found: Member | None = Member.objects.exclude(status=Status.ERASED).filter(pk=member.pk).first()
    return found


def _filed_before(filing: Filing, digest: str) -> Ticket | None:
    if not filing.source_id:
        return None
    known: Ticket | None = Ticket.objects.filter(
        channel=filing.channel, source_id=filing.source_id
    ).first()
    is_another = known is not None and (known.body_digest != digest or not known.is_open)
    if filing.channel == Channel.FORM and is_another:
        # Other words, or an old page sent again after the answer: a new objection, and so a page of its own.
        raise FormUsed("This page was used for another objection: a new one needs a new page.")
    if known is not None and known.body_digest != digest:
        raise TicketIdReused(
            "This source_id was used for another objection: a new objection needs a new one."
        )
    return known


def restrict_new_members(keys: Sequence[str], numbers: Sequence[int]) -> None:
    """Members who named their account before we knew it are out from the entry that creates them.

    Needs that entry open. No run can have used them before, so there is no incident to look for.
    """
    waiting = Ticket.objects.worked().filter(
        Q(member=None) | Q(found_by__in=LOOSELY, closed_at__isnull=True)
    )
    # Nearly always there is none, and an import of millions asks no more than this.
    if not waiting.filter(requester__account_named__gt="").exists():
        return
    number_of = dict(zip(keys, numbers, strict=True))
    alike: dict[str, list[int]] = {}
    for key, number in number_of.items():
        alike.setdefault(folding_of(key), []).append(number)
    named = _tickets_where("account_named", list(number_of)) | _tickets_where(
        "account_folded", list(alike)
    )
    for row in waiting.filter(pk__in=named).select_related("requester").order_by("pk"):
        text = row.requester.account_named
        if members.is_test_account(text):
            continue
        if text in number_of:
            found_by, found = FoundBy.KEY, [number_of[text]]
        else:
            found_by = FoundBy.ADDRESS if naming.ref_in_address(text) else FoundBy.SPELLING
            found = alike.get(row.requester.account_folded, [])
        if len(found) == 1 and row.member_id is None and not candidates.of(row).exists():
            give_member(row, Member.objects.get(pk=found[0]), found_by)
            continue
        for number in found:
            candidates.add(row, number, found_by)


def _tickets_where(column: str, values: list[str]) -> set[int]:
    """The tickets whose requester named one of the values."""
    where, parameters = among(column, values)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT ticket_id FROM {Requester._meta.db_table} WHERE {where}", parameters
        )
        return {ticket for (ticket,) in cursor.fetchall()}


def give_member(ticket: Ticket, member: Member, found_by: FoundBy = FoundBy.OFFICER) -> None:
    """The ticket is the member's from now on, restricts them, and is linked to their first one.

    Needs an open entry, and the ticket locked.
    """
    ticket.member = member
    ticket.found_by = found_by
    ticket.without_account_at = None
    ticket.save()
    for objection in ticket.objections.all():
        # Saving takes the ticket's member over.
        objection.ticket = ticket
        objection.save()
    # An account is excluded by its number; no list of names is needed any more.
    redaction.follow(ticket)
    inherited.follow(ticket)
    first = first_of_person(member.pk, "", but=ticket)
    if first is not None:
        join_groups(ticket, first)


def first_of_person(member: int | None, email: str, *, but: Ticket | None = None) -> Ticket | None:
    """The first ticket of the same person, open or closed: the same member, or the same e-mail address."""
    tickets = Ticket.objects.worked().exclude(pk=but.pk if but else None).order_by("pk")
    of_person = []
    if member:
        of_person.append(tickets.filter(member=member))
    if email:
        of_person.append(tickets.filter(requester__email=email))
    if not of_person:
        return None
    # Two questions in one statement: a condition over both would read all tickets, under the ledger's lock.
    firsts = [Subquery(rows.values("pk")[:1]) for rows in of_person]
    found: Ticket | None = (
        Ticket.objects.filter(pk__in=firsts)  # type: ignore[misc]  # subqueries are values to Django
        .select_related("linked_to")
        .order_by("pk")
        .first()
    )
    return (found.linked_to or found) if found else None


def _sender_hash(sender: str) -> str:
    return members.keyed_hash("sender", sender.encode()) if sender else ""


def _is_flood(filing: Filing, now: dt.datetime) -> bool:
    """Whether so much of it came in that a person must look before any letter is sent.

    A member who is logged in is counted by account instead of by network: who else sits there is not theirs to
    answer for. The address is unproven, as with any form.
    """
    if filing.channel not in UNPROVEN:
        return False
    if filing.looks_automatic:
        return True
    lately = Requester.objects.filter(filed_at__gt=now - dt.timedelta(hours=1))
    of_address = lately.filter(email=filing.email) if filing.email else lately.none()
    if _reaches(of_address, settings.FLOOD_PER_ADDRESS):
        return True
    if filing.member is not None:
        # Only tickets filed as the member: any sender may name their account.
        own = lately.filter(ticket__member=filing.member, ticket__is_authenticated=True)
        return _reaches(own, settings.FLOOD_PER_ADDRESS)
    of_network = (
        lately.filter(sender_hash=_sender_hash(filing.sender)) if filing.sender else lately.none()
    )
    return _reaches(of_network, settings.FLOOD_PER_NETWORK)


def _reaches(rows: QuerySet[Requester], limit: int) -> bool:
    return rows[:limit].count() >= limit


def attach(
    ticket: Ticket,
    upload: uploads.Upload,
    key: str,
    *,
    added_by: str,
    waits_until: dt.datetime | None = None,
) -> Attachment:
    """Put a stored file with a ticket, kept or waiting in quarantine."""
    return Attachment.objects.create(
        ticket=ticket,
        name=upload.name,
        media_type=upload.media_type,
        size=len(upload.data),
        key=key,
        added_at=open_entry.current().recorded_at,
        added_by=added_by,
        waits_until=waits_until,
    )


def first_letter(case: Case) -> None:
    """A link to confirm an address whose owner is unknown; tickets that are set aside get none."""
    ticket = case.ticket
    if ticket.is_set_aside:
        return
    is_known = ticket.is_authenticated or ticket.channel not in UNPROVEN
    # Without our pages, or on paper, the person could not follow a link.
    can_follow = settings.MEMBER_PAGES and composing.requester_of(ticket).email
    if is_known or not can_follow:
        composing.queue(case, LetterKind.ACKNOWLEDGEMENT)
    else:
        composing.queue(case, LetterKind.CONFIRMATION, **composing.confirmation_link(ticket))


def confirm(token: str) -> Ticket:
    """The person followed the link in our mail: the address is theirs. Again changes nothing. Raises LinkExpired."""
    # Before the ledger's lock is taken: an invalid link must make no writer wait.
    ticket = composing.ticket_of_link(token)
    with entries.entry(
        "objection.email_confirmed", actor="system:form", subject=ticket.reference
    ) as opened:
        # Once more under it: the address may have been corrected meanwhile, or erased.
        ticket = composing.ticket_of_link(token, lock=True)
        if ticket.confirmed_at is not None or not ticket.is_open or ticket.erased_at:
            opened.abandon()
            return ticket
        ticket.confirmed_at = opened.recorded_at
        ticket.save()
        case = case_of(ticket)
        quarantine.keep(case.attachments)
        composing.queue(case, LetterKind.ACKNOWLEDGEMENT)
    return ticket
