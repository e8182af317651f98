"""Letters: their words and the queue they wait in. `outbox` sends them.

A letter is composed with the act that causes it, so that what was previewed is what is sent.
"""

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

import structlog
from django.conf import settings
from django.contrib.auth.models import User
from django.core import signing
from django.db.models import Q
from django.urls import reverse

from common.errors import StaleEdit
from consent import members
from consent.choices import Purpose
from ledger import entries, open_entry
from ledger.errors import InvalidInput
from objections.choices import (
    UNPROVEN,
    ChangeKind,
    ChangeVerdict,
    Delivery,
    Effect,
    LetterKind,
    LetterState,
    NoteKind,
    Outcome,
    TicketState,
)
from objections.clock.days import day_of, today
from objections.clock.deadlines import IDENTITY_WAIT_DAYS
from objections.errors import LinkExpired, NeedsSecondPerson, PersonalDataErased, WhyNot
from objections.letters import texts
from objections.letters.texts import Text
from objections.models import (
    Letter,
    LetterTemplate,
    LetterText,
    Objection,
    Proposal,
    ProposedChange,
    RedactionEntry,
    Requester,
    Ticket,
)
from objections.redaction import facts, vault
from objections.redaction.values import in_words, kinds_in_words
from objections.ticket import quarantine, two_person
from objections.ticket.case import Case, case_of
from objections.ticket.clocks import clock_after_identity

logger = structlog.get_logger(__name__)

UNSENT = (LetterState.WAITING, LetterState.FAILED)
_LINK = "objections.confirmation"


# --- Texts --------------------------------------------------------------------------------------


def template(kind: str, language: str = "en") -> tuple[int, Text]:
    """The text in use and its version; 0 is the built-in text."""
    newest = LetterTemplate.objects.filter(kind=kind, language=language).order_by("-number").first()
    if newest is None:
        return 0, texts.built_in(kind, language)
    return newest.number, Text(newest.subject, newest.body)


def propose_text(
    *, kind: str, text: Text, version: int, actor: User, reason: str, language: str = "en"
) -> ProposedChange:
    """Propose another text for a kind of letter; a second person puts it into use.

    Raises StaleEdit, InvalidInput, AlreadyProposed.
    """
    text = texts.tidy(text)
    texts.check(kind, text)
    if not reason.strip():
        raise InvalidInput("Say what changed and why.", field="reason")
    with entries.entry("letter.text_proposed", actor=actor, subject=kind, reason=reason):
        _check_in_use(kind, text, version, language)
        facts = {
            "language": language,
            "version": version,
            "subject": text.subject,
            "body": text.body,
        }
        return two_person.propose(ChangeKind.LETTER_TEXT, kind, actor=actor, facts=facts)


def review_text(
    *, change: ProposedChange, verdict: ChangeVerdict, actor: User, reason: str
) -> LetterTemplate | None:
    """The second person's word on a text: approved, it is in use from the next letter on.

    Raises NeedsSecondPerson, AlreadySettled, and what `propose_text` raises where that holds by now.
    """
    two_person.check_reason(reason)
    is_approved = verdict == ChangeVerdict.APPROVED
    act = "letter.text_changed" if is_approved else "letter.text_returned"
    with entries.entry(act, actor=actor, subject=change.subject, reason=reason):
        two_person.record_word(change, verdict=verdict, actor=actor)
        if not is_approved:
            return None
        text, facts = proposed_text(change), change.facts or {}
        version, language = facts["version"], facts["language"]
        texts.check(change.subject, text)
        _check_in_use(change.subject, text, version, language)
        row = LetterTemplate(
            kind=change.subject,
            language=language,
            number=version + 1,
            subject=text.subject,
            body=text.body,
        )
        row.save()
    return row


def proposed_text(change: ProposedChange) -> Text:
    facts = change.facts or {}
    return Text(facts["subject"], facts["body"])


def _check_in_use(kind: str, text: Text, version: int, language: str) -> None:
    """Whether the text is written over the one in use, and says something else."""
    current, in_use = template(kind, language)
    if current != version:
        raise StaleEdit("The text was changed in the meantime: look at it again.")
    if text == texts.tidy(in_use):
        raise InvalidInput("This is the text in use: nothing would change.", field="body")


def compose(case: Case, kind: str, **more: str) -> tuple[int, Text]:
    """The letter as it would be sent, and the version of its text. `more` are what only the act knows."""
    requester = requester_of(case.ticket)
    version, text = template(kind, requester.language)
    return version, texts.render(text, {**_values(case, requester), **more})


def requester_of(ticket: Ticket) -> Requester:
    """Raises PersonalDataErased."""
    requester: Requester | None = getattr(ticket, "requester", None)
    if requester is None:
        raise PersonalDataErased(f"The personal data of {ticket} is erased: no letter can be sent.")
    return requester


def _values(case: Case, requester: Requester) -> dict[str, str]:
    ticket, in_words = case.ticket, texts.date_in_words
    assert ticket.due_on and ticket.refuse_by and ticket.regime and ticket.kind
    assert ticket.recorded_at
    due_on = in_words(ticket.due_on)
    return {
        **texts.LEGAL_WORDS[ticket.regime],
        # A person's text is never sent to an address that may be a stranger's.
        "name": requester.name if is_address_proven(ticket) else "",
        "reference": ticket.reference,
        "request": texts.REQUEST_WORDS[ticket.kind],
        "received_on": in_words(ticket.received_on),
        "purposes": _named(case.purposes),
        "restricted_on": in_words(day_of(ticket.recorded_at)),
        "scope": _scope(case),
        "files": _said_of_files(case, requester),
        "due_on": due_on
        if today() <= ticket.due_on
        else f"{due_on} (that date has passed; we apologise for the delay)",
        # The last day before silence may close the ticket.
        "answer_by": in_words(today() + dt.timedelta(days=IDENTITY_WAIT_DAYS - 1)),
        "refuse_by": in_words(ticket.refuse_by),
        "controller": settings.CONTROLLER_NAME,
        "contact": settings.CONTROLLER_CONTACT,
        "authority_name": texts.authority_for(ticket.country or "", ticket.regime),
    }


def is_proven(ticket: Ticket) -> bool:
    """Whether we know whom we write to: the person, or at least that the address is theirs."""
    return ticket.is_verified or is_address_proven(ticket)


def is_address_proven(ticket: Ticket) -> bool:
    """Whether the address is known to be the person's. The product vouches for a member, not for what they typed."""
    return (
        ticket.confirmed_at is not None
        or ticket.identified_at is not None
        or ticket.channel not in UNPROVEN
    )


_YOUR_ACCOUNT = (
    "This covers your account: it is on no list of accounts whose data new training may use."
)


def _scope(case: Case) -> str:
    """The scope of a promise. An unverified person is told nothing of any account."""
    if not (case.ticket.is_verified and case.ticket.member_id):
        return (
            "This covers the accounts that we can tie to what you told us: they are on no list of accounts whose"
            f" data new training may use. {_about_others_posts(case)} If you have an account and did not name it,"
            " write to us and tell us which."
        )
    used = sorted(incident.run for incident in case.incidents)
    if not used:
        return _YOUR_ACCOUNT
    return (
        f"{_YOUR_ACCOUNT} Your message had reached us before we recorded it, and in between these"
        f" training runs took data that includes yours: {', '.join(used)}. We are sorry."
    )


def _about_others_posts(case: Case) -> str:
    """The promise about what others posted: what the ticket's entry of the redaction list carries, and no more."""
    ticket = case.ticket
    entry: RedactionEntry | None = None
    if ticket.member_id is None:
        entry = RedactionEntry.objects.filter(ticket=ticket).select_related("values").first()
    if entry is None or not entry.is_holding:
        return (
            "It does not cover yet what others posted about you: we have no means of finding that."
        )
    if entry.is_weak:
        return (
            "It does not cover yet what others posted about you: what you told us would also match other people."
            " Tell us your full name, a handle, or the address of a profile, and we can look for it."
        )
    values = vault.values_of(entry)
    assert ticket.kind
    request = texts.REQUEST_WORDS[ticket.kind]
    said = in_words(values) if is_address_proven(ticket) else kinds_in_words(values)
    sentences = [
        f"We keep {said} on a list by which training data is redacted, as long as your {request} holds. It stays"
        " there when we erase the rest of what you sent us. What others posted without any of it is not found."
        " You can ask us to erase it: what others posted about you is then not recognised any more."
    ]
    if any(one.needs_second for one in values):
        sentences.append("A short or common name counts only where another of these is near.")
    if facts.is_list_applied(case.purposes):
        sentences.append(
            "The reports on the training runs completed so far say that the list was applied."
        )
    return " ".join(sentences)


def _named(purposes: Iterable[str]) -> str:
    return ", ".join(Purpose(purpose).label for purpose in sorted(purposes)) or "none"


def outcome_values(
    ticket: Ticket, outcomes: Mapping[str, str], words: Mapping[str, str]
) -> dict[str, str]:
    """Values for an outcome letter's own placeholders. `words` are staff's, by kind of note.

    A duplicate is neither upheld nor refused, and ends no exclusion: its letter has its own text.
    """
    own_words = {one.value: one.label for one in Outcome}
    own_words[Outcome.DUPLICATE] = ELSEWHERE if ticket.is_verified else ELSEWHERE_TO_STRANGERS
    upheld = [purpose for purpose, one in outcomes.items() if one == Outcome.UPHELD]
    elsewhere = [purpose for purpose, one in outcomes.items() if one == Outcome.DUPLICATE]
    return {
        "outcomes": "\n".join(
            f"- {Purpose(purpose).label}: {own_words[outcome]}"
            for purpose, outcome in sorted(outcomes.items())
        ),
        "upheld_purposes": _named(upheld),
        "lifted_purposes": _named(outcomes.keys() - {*upheld, *elsewhere}),
        "ground": words.get(NoteKind.GROUND, ""),
        "balancing_summary": words.get(NoteKind.BALANCING, ""),
        "reasons": words.get(NoteKind.REASONS) or words.get(NoteKind.EVIDENCE, ""),
        "withdrawal": words.get(NoteKind.EVIDENCE, ""),
        "timeliness": _timeliness(ticket, is_yes=set(outcomes.values()) == {Outcome.UPHELD}),
    }


def _timeliness(ticket: Ticket, *, is_yes: bool) -> str:
    """By when the answer was due, and an apology once that day is over. A no has a date of its own (Art. 12(4))."""
    if ticket.state == TicketState.IDENTITY_CHECK and ticket.identity_asked_on:
        # A preview: the clock stands still until the act, which moves the dates as here.
        clock = clock_after_identity(ticket, today())
        due = clock.base_due if is_yes else clock.refuse_by
    else:
        assert ticket.due_on and ticket.refuse_by
        due = ticket.due_on if is_yes else ticket.refuse_by
    sentence = f"This answer was due by {texts.date_in_words(due)}."
    if today() > due:
        sentence += " It is late, and we apologise for the delay."
    return sentence


ELSEWHERE = "already dealt with under another of your objections, which stands"
"""The name of a duplicate in a letter."""
ELSEWHERE_TO_STRANGERS = "dealt with already, or will be; nothing more happens under this reference"
"""The same for a possible stranger who named a member's account: it mentions no other ticket."""


# --- The link in a confirmation -----------------------------------------------------------------


def confirmation_link(ticket: Ticket) -> dict[str, str]:
    """Values for a confirmation letter's own placeholders: the link and its last day."""
    token = signing.dumps([ticket.reference, _address_hash(ticket)], salt=_LINK)
    return {
        "link": settings.PUBLIC_URL + reverse("objection-confirm", args=[token]),
        "link_expires": texts.date_in_words(quarantine.last_day_of_link()),
    }


def _said_of_files(case: Case, requester: Requester) -> str:
    """A letter's sentence about the files that came with the form; empty when there are none to mention."""
    if requester.files_refused:
        return texts.FILES_REFUSED.format(contact=settings.CONTROLLER_CONTACT)
    last_day = quarantine.last_day(case.attachments)
    return texts.FILES_WAIT.format(day=texts.date_in_words(last_day)) if last_day else ""


def ticket_of_link(token: str, *, lock: bool = False) -> Ticket:
    """Raises LinkExpired, also for a link to an address that was corrected since. Locked, it stays as it is seen."""
    try:
        reference, address = signing.loads(
            token, salt=_LINK, max_age=dt.timedelta(days=settings.CONFIRMATION_DAYS)
        )
    except signing.BadSignature as error:
        raise LinkExpired("The link is too old, or not complete.") from error
    tickets = Ticket.objects.worked()
    ticket: Ticket = (tickets.select_for_update() if lock else tickets).get(reference=reference)
    try:
        is_theirs = ticket.erased_at is not None or address == _address_hash(ticket)
    except PersonalDataErased as error:
        # Between two looks.
        raise LinkExpired("The personal data is erased, the address with it.") from error
    if not is_theirs:
        raise LinkExpired("The link belongs to another address.")
    return ticket


def _address_hash(ticket: Ticket) -> str:
    return members.keyed_hash("address", requester_of(ticket).email.encode())[:16]


# --- The queue ----------------------------------------------------------------------------------


def queue(
    case: Case,
    kind: LetterKind,
    promised_on: dt.date | None = None,
    /,
    *,
    also: Iterable[str] = (),
    **more: str,
) -> Letter:
    """Compose a letter and put it into the queue; by post where there is no e-mail address.

    Needs an open entry. `also` are references of linked tickets that it answers too, `promised_on` the new day that
    an extension notice names.
    """
    if kind == LetterKind.CONFIRMATION:
        # The link keeps the files: they wait as long as it can be opened.
        quarantine.wait_for_link(case.attachments)
    version, text = compose(case, kind, **more)
    return _put(case.ticket, kind, version, text, also=also, promised_on=promised_on)


def _put(
    ticket: Ticket,
    kind: str,
    version: int,
    text: Text | LetterText,
    *,
    also: Iterable[str],
    promised_on: dt.date | None,
) -> Letter:
    requester = requester_of(ticket)
    letter = Letter(
        ticket=ticket,
        kind=kind,
        language=requester.language,
        template_version=version,
        delivery=delivery_of(requester),
        also=list(also),
        promised_on=promised_on,
        queued_at=open_entry.current().recorded_at,
    )
    letter.save()
    LetterText.objects.create(
        letter=letter,
        address=address_of(requester),
        subject=text.subject,
        body=text.body,
        not_before=letter.queued_at,
    )
    return letter


def repeat(letter: Letter) -> Letter:
    """The letter once more, to the address of now; a confirmation with a fresh link. Needs an open entry."""
    ticket = letter.ticket
    if letter.kind == LetterKind.CONFIRMATION:
        return queue(case_of(ticket), LetterKind.CONFIRMATION, **confirmation_link(ticket))
    return _put(
        ticket,
        letter.kind,
        letter.template_version,
        letter.text,
        also=letter.also,
        promised_on=letter.promised_on,
    )


def cancel(ticket: Ticket, kind: LetterKind) -> bool:
    """Letters of the kind that are not out are not sent any more; returns whether there were any. Needs an open entry."""
    unsent = Letter.objects.filter(ticket=ticket, kind=kind, state__in=UNSENT)
    for letter in (found := list(unsent.select_for_update())):
        letter.state = LetterState.CANCELLED
        letter.save()
    return bool(found)


def why_not_readdressed(case: Case, officer_id: int) -> str:
    """Why an officer may not say where letters go; empty when they may.

    Until a letter that ends an exclusion counts as delivered, the officers who decided it must not choose where it goes.
    """
    ticket = case.ticket
    if ticket.is_open or ticket.delivered_at is not None:
        return ""
    waits = any(one.effect == Effect.RESTRICTING and one.outcome for one in case.objections)
    if waits and officer_id in _deciders(ticket):
        return WhyNot(
            "You proposed or approved this outcome, and its letter ends an exclusion: ask a colleague to change"
            " where it goes.",
            NeedsSecondPerson,
        )
    return ""


def _deciders(ticket: Ticket) -> set[int]:
    """The officers who proposed and approved a ticket's outcome, alone or together with a linked ticket."""
    group = ticket.linked_to_id or ticket.pk
    approved = Proposal.objects.filter(
        Q(ticket=group) | Q(ticket__linked_to=group), approval__verdict=ChangeVerdict.APPROVED
    ).select_related("approval")
    return {
        number
        for one in approved
        if one.ticket_id == ticket.pk or ticket.reference in one.also
        for number in (one.proposed_by_id, one.approval.reviewer_id)
    }


def readdress(ticket: Ticket) -> None:
    """Letters that are not out go to the address the person has now. Needs an open entry."""
    requester = requester_of(ticket)
    for letter in Letter.objects.filter(ticket=ticket, state__in=UNSENT):
        letter.delivery = delivery_of(requester)
        letter.save()
        LetterText.objects.filter(letter=letter).update(address=address_of(requester))


def delivery_of(requester: Requester) -> Delivery:
    return Delivery.EMAIL if requester.email else Delivery.POST


def address_of(requester: Requester) -> str:
    return requester.email or f"{requester.name}\n{requester.postal_address}".strip()


def others_standing(objection: Objection, *, but: Iterable[Ticket] = ()) -> list[Objection]:
    """Objections of the same person to the same purpose that keep them out whatever becomes of this one.

    For a verified person only their own tickets count. For others those count that came from the same address, and
    only if that is proven to be theirs: a stranger's ticket, which names the same account, may be withdrawn.
    """
    others = _same_group(objection).filter(
        Q(effect=Effect.UPHELD) | Q(effect=Effect.RESTRICTING, outcome__isnull=True)
    )
    return [one for one in others.exclude(ticket__in=list(but)) if _is_theirs(one, objection)]


def is_refused_elsewhere(objection: Objection) -> bool:
    """Whether the same person was told, on another ticket, that the same objection is refused."""
    told = _same_group(objection).filter(
        effect=Effect.RESTRICTION_LIFTED,
        outcome=Outcome.REFUSED,
        ticket__delivered_at__isnull=False,
    )
    return any(_is_theirs(one, objection) for one in told)


def answered_duplicates(objection: Objection) -> list[Objection]:
    """Duplicates of an objection whose letter arrived, and that keep the person out because nothing else stands."""
    told = _same_group(objection).filter(
        effect=Effect.RESTRICTING, outcome=Outcome.DUPLICATE, ticket__delivered_at__isnull=False
    )
    return [one for one in told if _is_theirs(objection, one) and not others_standing(one)]


def _same_group(objection: Objection) -> Any:
    """The objections to the same purpose, for the same account, of tickets linked to this one."""
    ticket = objection.ticket
    group = ticket.linked_to_id or ticket.pk
    return (
        Objection.objects.filter(
            Q(ticket=group) | Q(ticket__linked_to=group),
            purpose=objection.purpose,
            member=objection.member,
        )
        .exclude(pk=objection.pk)
        .select_related("ticket", "ticket__requester")
    )


def _is_theirs(other: Objection, objection: Objection) -> bool:
    """Whether we know the other objection to be of the person who wrote this one."""
    ticket = objection.ticket
    return other.ticket.is_verified or (
        not ticket.is_verified and is_proven(other.ticket) and _one_address(ticket, other.ticket)
    )


def _one_address(ticket: Ticket, other: Ticket) -> bool:
    addresses = [address_of(one) for one in Requester.objects.filter(ticket__in=[ticket, other])]
    return len(addresses) == 2 and addresses[0] == addresses[1]
