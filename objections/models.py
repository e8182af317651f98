"""Objections to processing: from the second one is received, the member is out of the purposes it names.

Columns that decide or must be proved are tracked or sealed, and hold no personal data. Words that people wrote, and words
about them, are in rows of their own that are erased (`Requester`, `Attachment`, `Note`, `LetterText`, and
`RedactionValues`, which are encrypted and live as long as the objection holds).
"""

import datetime as dt
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q

from consent.choices import Purpose
from consent.models import Member
from consent.references import MAX_FOLDED
from ledger.models import Sealed, Tracked, tracked_history
from objections.choices import (
    ABUSE,
    DUPLICATE,
    ENDINGS,
    FINAL_STATES,
    ChangeKind,
    ChangeVerdict,
    Channel,
    Delivery,
    Effect,
    ExtensionReason,
    FoundBy,
    Kind,
    LetterKind,
    LetterState,
    NoteKind,
    Outcome,
    RedactionState,
    Regime,
    TicketState,
)
from objections.clock.deadlines import local_date
from objections.querysets import (
    LetterQuerySet,
    ObjectionQuerySet,
    ProposedChangeQuerySet,
    ProposedOutcomeQuerySet,
    RedactionQuerySet,
    TicketQuerySet,
)


class Ticket(Tracked):
    """A data processing objection (GDPR Art. 21): its state and its clock. Who wrote it is kept elsewhere.

    A ticket without a state is never assigned: it keeps a test account out, or one more account that another ticket
    may be about (`stands_for`). (Its columns can be empty because a
    sealed table grows by nullable columns only.)
    """

    reference = models.CharField(max_length=30, unique=True)
    member = models.ForeignKey(Member, models.PROTECT, null=True, related_name="tickets")
    received_at = models.DateTimeField(help_text="When it reached us; corrected backwards only.")
    state = models.CharField(max_length=20, choices=TicketState, null=True)
    kind = models.CharField(max_length=11, choices=Kind, null=True)
    channel = models.CharField(max_length=10, choices=Channel, null=True)
    source_id = models.CharField(
        max_length=100, null=True, help_text="The sender's own id: a replay is recognised by it."
    )
    body_digest = models.CharField(max_length=64, null=True)
    country = models.CharField(max_length=2, null=True, help_text="ISO 3166-1, empty when unknown.")
    recorded_at = models.DateTimeField(null=True)

    # --- Who it is, as far as it decides
    is_authenticated = models.BooleanField(
        null=True, help_text="Filed by a member who was logged in to the product."
    )
    confirmed_at = models.DateTimeField(
        "e-mail confirmed at", null=True, help_text="When the link in our mail was followed."
    )
    identified_at = models.DateTimeField(null=True, help_text="When identity was answered.")
    without_account_at = models.DateTimeField(
        "without an account since",
        null=True,
        help_text="When an officer confirmed that the person has no account.",
    )
    is_set_aside = models.BooleanField(
        null=True, help_text="Received during a flood. It still takes effect."
    )
    linked_to = models.ForeignKey(
        "self",
        models.PROTECT,
        null=True,
        related_name="linked",
        help_text="The first ticket of the same person.",
    )

    found_by = models.CharField(
        max_length=8, choices=FoundBy, null=True, help_text="The way to the member."
    )
    stands_for = models.ForeignKey(
        "self",
        models.PROTECT,
        null=True,
        related_name="stand_ins",
        help_text="The ticket that may be about this member too: until an officer has chosen, the member is out.",
    )

    # --- The clock
    regime = models.CharField(max_length=5, choices=Regime, null=True)
    clock = models.JSONField(null=True, help_text="Rule, calendar and dates as computed.")
    due_on = models.DateField("due", null=True, help_text="By when the person has an answer.")
    refuse_by = models.DateField(
        null=True, help_text="By when a refusal must have reached the person."
    )
    target_on = models.DateField("internal target", null=True)
    identity_asked_on = models.DateField(null=True, help_text="When the identity request was sent.")
    extension_reason = models.CharField(max_length=10, choices=ExtensionReason, null=True)
    extended_on = models.DateField(null=True, help_text="When the notice of it was sent.")

    # --- Work
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="tickets"
    )
    closed_at = models.DateTimeField(null=True)
    answered_at = models.DateTimeField(null=True, help_text="When the outcome letter was sent.")
    delivers_at = models.DateTimeField(
        null=True,
        help_text="When the outcome letter, which is on its way, will count as delivered: until then what it ends"
        " restricts.",
    )
    delivered_at = models.DateTimeField(
        null=True, help_text="When the outcome letter counted as delivered."
    )
    kept_for_answer_at = models.DateTimeField(
        null=True,
        help_text="When the member's account was erased, and the personal data but for what the answer needs.",
    )
    erased_at = models.DateTimeField(
        null=True, help_text="When the personal data kept with it was erased."
    )
    version = models.PositiveIntegerField(null=True)
    history = tracked_history()

    objects = TicketQuerySet.as_manager()

    class Meta:
        ordering = ["-received_at"]
        verbose_name = "objection ticket"
        permissions = [
            ("work_ticket", "Can work objection tickets"),
            ("file_ticket", "Can file objections for the product"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(state__isnull=True)
                | Q(
                    state__in=TicketState.values,
                    kind__in=Kind.values,
                    channel__in=Channel.values,
                    regime__in=Regime.values,
                    clock__isnull=False,
                    due_on__isnull=False,
                    refuse_by__isnull=False,
                    target_on__isnull=False,
                    recorded_at__isnull=False,
                    is_authenticated__isnull=False,
                    version__isnull=False,
                ),
                name="worked_ticket_is_complete",
            ),
            models.CheckConstraint(
                condition=Q(state__isnull=True)
                | Q(state__in=FINAL_STATES, closed_at__isnull=False)
                | (~Q(state__in=FINAL_STATES) & Q(closed_at__isnull=True)),
                name="closed_ticket_has_a_time",
            ),
            models.UniqueConstraint(fields=["channel", "source_id"], name="ticket_filed_once"),
            models.CheckConstraint(
                condition=Q(delivers_at__isnull=True) | Q(delivered_at__isnull=True),
                name="answer_on_its_way_or_delivered",
            ),
        ]
        indexes = [
            models.Index(
                fields=["due_on", "id"],
                name="ticket_queue",
                condition=Q(closed_at__isnull=True, state__isnull=False),
            ),
            models.Index(fields=["closed_at", "id"], name="ticket_closed"),
            models.Index(fields=["recorded_at", "id"], name="ticket_recorded"),
            models.Index(
                fields=["delivers_at"],
                name="ticket_answer_on_its_way",
                condition=Q(delivers_at__isnull=False),
            ),
            models.Index(
                fields=["id"],
                name="ticket_kept_for_answer",
                condition=Q(kept_for_answer_at__isnull=False, erased_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return self.reference

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.state is not None:
            self.version = (self.version or 0) + 1
        super().save(*args, **kwargs)

    @property
    def received_on(self) -> dt.date:
        """The day of receipt, where the clock counts it; a new start of the clock does not move it."""
        zone = self.clock["time_zone"] if self.clock else settings.CONTROLLER_TIME_ZONE
        return local_date(self.received_at, zone)

    @property
    def is_open(self) -> bool:
        return self.state is not None and self.state not in FINAL_STATES

    @property
    def ending(self) -> str:
        """The ending of a closed ticket, one of `ENDINGS`; the state of an open one. As `querysets.ending`."""
        if self.is_closed_as_abuse:
            return ABUSE
        if self.state == TicketState.REFUSED and all(
            one.outcome == Outcome.DUPLICATE for one in self.objections.all()
        ):
            return DUPLICATE
        return self.state or ""

    def get_state_display(self) -> str:  # type: ignore[no-redef]  # Django's is generated
        """The state in words, as people tell tickets apart: a closed duplicate is no refusal."""
        ending = self.ending
        return ENDINGS[ending] if ending in ENDINGS else TicketState(ending).label

    @property
    def is_closed_as_abuse(self) -> bool:
        """Closed while it was set aside: no letter was sent, and its restrictions stay."""
        return self.closed_at is not None and bool(self.is_set_aside)

    @property
    def is_verified(self) -> bool:
        """Whether we know who asks: logged in to the product, or identity answered."""
        return bool(self.is_authenticated) or self.identified_at is not None


class Objection(Tracked):
    """A ticket's effect on one purpose, and what was decided on it."""

    ticket = models.ForeignKey(Ticket, models.PROTECT, related_name="objections")
    # Repeats the ticket's member: the freeze reads one index and no join.
    member = models.ForeignKey(Member, models.PROTECT, null=True, related_name="+")
    purpose = models.CharField(max_length=20, choices=Purpose)
    effect = models.CharField(max_length=18, choices=Effect, default=Effect.RESTRICTING)
    outcome = models.CharField(
        max_length=12,
        choices=Outcome,
        null=True,
        help_text="Any but an upheld one takes effect when its letter counts as delivered.",
    )
    # Every row has it; a sealed table grows by nullable columns.
    restricts_since = models.DateTimeField(
        null=True,
        help_text="From when it keeps the member out, as we know by now: the receipt; where a letter came back, the"
        " moment at which that letter had ended the restriction.",
    )
    history = tracked_history()

    objects = ObjectionQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["ticket", "purpose"], name="one_effect_per_purpose"),
            models.CheckConstraint(
                condition=Q(effect__in=Effect.values, purpose__in=Purpose.values),
                name="objection_in_known_words",
            ),
        ]
        indexes = [
            models.Index(
                fields=["purpose", "effect", "member"],
                name="objection_in_effect",
                condition=~Q(effect=Effect.RESTRICTION_LIFTED),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.ticket_id}: {self.purpose} {self.effect}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.follow_ticket()
        super().save(*args, **kwargs)

    def follow_ticket(self) -> None:
        """Take over from the ticket what the row repeats. Called wherever one is saved."""
        self.member_id = self.ticket.member_id
        self.restricts_since = self.restricts_since or self.ticket.received_at


class Proposal(Sealed):
    """An outcome that would admit the member again; it waits for a second person."""

    ticket = models.ForeignKey(Ticket, models.PROTECT, related_name="proposals")
    state = models.CharField(
        max_length=20, choices=TicketState, help_text="What the ticket becomes."
    )
    outcomes = models.JSONField(help_text="The outcome for each purpose.")
    also = models.JSONField(help_text="References of linked tickets decided together with it.")
    also_versions = models.JSONField(
        null=True, help_text="The version of each of them that was seen by who proposed it."
    )
    proposed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")

    objects = ProposedOutcomeQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.ticket}: {self.get_state_display()} proposed"


class Approval(Sealed):
    """A second person's word on a proposed outcome."""

    proposal = models.OneToOneField(Proposal, models.PROTECT, related_name="approval")
    verdict = models.CharField(max_length=8, choices=ChangeVerdict)
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")

    def __str__(self) -> str:
        return f"{self.proposal}: {self.verdict}"


class ProposedChange(Sealed):
    """A change that removes evidence, or changes what our letters say; it waits for a second person."""

    kind = models.CharField(max_length=11, choices=ChangeKind)
    subject = models.CharField(
        max_length=30, help_text="A ticket's reference, or a kind of letter."
    )
    facts = models.JSONField(null=True, help_text="A letter's text. Never personal data.")
    proposed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")

    objects = ProposedChangeQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["kind", "subject"], name="change_of_subject")]

    def __str__(self) -> str:
        if self.kind == ChangeKind.ERASURE:
            return f"{self.subject}: erasure of its words"
        return f"text of the letter “{LetterKind(self.subject).label}”"


class ChangeReview(Sealed):
    """A second person's word on a proposed change."""

    change = models.OneToOneField(ProposedChange, models.PROTECT, related_name="review")
    verdict = models.CharField(max_length=8, choices=ChangeVerdict)
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")

    def __str__(self) -> str:
        return f"{self.change}: {self.verdict}"


# --- Letters ------------------------------------------------------------------------------------


class LetterTemplate(Sealed):
    """A version of a letter's text. Version 0 is the built-in text (`templates/letters/`)."""

    kind = models.CharField(max_length=20, choices=LetterKind)
    language = models.CharField(max_length=8, default="en")
    number = models.PositiveIntegerField("version")
    subject = models.CharField(max_length=150)
    body = models.TextField()

    class Meta:
        ordering = ["kind", "language", "-number"]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "language", "number"], name="template_version_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}, version {self.number}"


class Letter(Tracked):
    """A letter of ours: queued with the act that causes it, in effect once it is sent."""

    ticket = models.ForeignKey(Ticket, models.PROTECT, related_name="letters")
    kind = models.CharField(max_length=20, choices=LetterKind)
    language = models.CharField(max_length=8)
    template_version = models.PositiveIntegerField()
    delivery = models.CharField(max_length=5, choices=Delivery)
    state = models.CharField(max_length=9, choices=LetterState, default=LetterState.WAITING)
    also = models.JSONField(default=list, help_text="Linked tickets it answers too.")
    promised_on = models.DateField(
        null=True, help_text="The new day for our answer that an extension notice names."
    )
    queued_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True)
    history = tracked_history()

    objects = LetterQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=LetterState.values)
                & (
                    Q(state=LetterState.SENT, sent_at__isnull=False)
                    | (~Q(state=LetterState.SENT) & Q(sent_at__isnull=True))
                ),
                name="sent_letter_has_a_time",
            ),
        ]
        indexes = [
            models.Index(
                fields=["state", "id"], name="letter_unsent", condition=~Q(state=LetterState.SENT)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} of {self.ticket}"


# --- The redaction list -------------------------------------------------------------------------


class RedactionEntry(Tracked):
    """An entry of the redaction list: a ticket of a person without an account, while its objection holds.

    It holds counts and a commitment. The values are in `RedactionValues`, encrypted, and go when the entry ends. The
    entry lives apart from the ticket's own retention.
    """

    ticket = models.OneToOneField(Ticket, models.PROTECT, related_name="redaction")
    state = models.CharField(max_length=7, choices=RedactionState, default=RedactionState.HOLDING)
    version = models.PositiveIntegerField(default=0, help_text="Counts the changes of the entry.")
    counts = models.JSONField(help_text="How many values of each kind it has.")
    is_weak = models.BooleanField(
        help_text="Every value is short or common: the entry is not lent, an officer must add one."
    )
    commitment = models.CharField(
        max_length=64,
        help_text="HMAC-SHA-256 of the values under their salt; empty once they are gone.",
    )
    told_at = models.DateTimeField(
        null=True,
        help_text="When the person was told that their data is not recognised once the values are erased.",
    )
    told_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+"
    )
    erased_at = models.DateTimeField(
        null=True, help_text="When the values were erased at the person's request: for good."
    )
    history = tracked_history()

    objects = RedactionQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        verbose_name = "entry of the redaction list"
        verbose_name_plural = "redaction list"
        permissions = [
            ("view_redaction_values", "Can read the values of the redaction list"),
            ("borrow_redaction_list", "Can borrow the redaction list for a delivery"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(state=RedactionState.HOLDING, erased_at__isnull=True)
                | Q(state=RedactionState.ENDED, commitment=""),
                name="ended_entry_has_no_values",
            ),
            models.CheckConstraint(
                condition=Q(erased_at__isnull=True) | Q(told_at__isnull=False),
                name="erased_after_the_person_was_told",
            ),
        ]
        indexes = [
            models.Index(fields=["state", "is_weak", "id"], name="redaction_by_state"),
        ]

    def __str__(self) -> str:
        return f"RE-{self.pk:06d}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.version += 1
        super().save(*args, **kwargs)

    @property
    def is_holding(self) -> bool:
        return self.state == RedactionState.HOLDING

    @property
    def is_lent(self) -> bool:
        """Whether preparations get it: it holds, and has a value that identifies a person."""
        return self.is_holding and not self.is_weak


class RedactionLoan(Sealed):
    """A loan of the redaction list to a preparation, for one delivery. It holds numbers, never a value."""

    delivery = models.CharField(max_length=100, help_text="The delivery's reference.")
    purpose = models.CharField(max_length=20, choices=Purpose)
    list_version = models.CharField(
        max_length=64, help_text="SHA-256 over the numbers and versions of the entries lent."
    )
    entries_lent = models.JSONField(help_text="Number and version of each entry lent.")
    count = models.PositiveIntegerField(help_text="Entries lent.")
    until = models.DateTimeField(help_text="When the borrower deletes its copy.")
    borrower = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")

    class Meta:
        ordering = ["-id"]
        verbose_name = "loan of the redaction list"
        verbose_name_plural = "loans of the redaction list"
        indexes = [
            models.Index(fields=["delivery"], name="redaction_loan_by_delivery"),
            models.Index(fields=["list_version"], name="redaction_loan_by_version"),
        ]

    def __str__(self) -> str:
        return f"loan for {self.delivery}"


class RedactionHits(Sealed):
    """How often a preparation found an entry's values, as its receipt says."""

    redaction = models.ForeignKey(RedactionEntry, models.PROTECT, related_name="hits")
    loan = models.ForeignKey(RedactionLoan, models.PROTECT, related_name="hits")
    hits = models.PositiveBigIntegerField()

    class Meta:
        ordering = ["-id"]
        verbose_name = "hits of an entry of the redaction list"
        verbose_name_plural = "hits of the redaction list"

    def __str__(self) -> str:
        return f"{self.redaction}: {self.hits}"


# --- Personal data: untracked, erased -----------------------------------------------------------


class Requester(models.Model):
    """The requester's name, addresses and statement: the personal data of a ticket."""

    ticket = models.OneToOneField(
        Ticket, models.PROTECT, primary_key=True, related_name="requester"
    )
    name = models.CharField(max_length=200, blank=True)
    email = models.CharField("e-mail", max_length=254, blank=True, db_index=True)
    postal_address = models.TextField(blank=True)
    account_named = models.CharField(
        max_length=100, blank=True, help_text="The account the person says is theirs."
    )
    account_folded = models.CharField(
        max_length=MAX_FOLDED,
        blank=True,
        help_text="The folding of what was named, or of the account in its address.",
    )
    statement = models.TextField(blank=True)
    language = models.CharField(max_length=8, default="en")
    sender_hash = models.CharField(
        max_length=64, blank=True, help_text="Keyed hash of the network address, against floods."
    )
    filed_at = models.DateTimeField()
    files_refused = models.PositiveSmallIntegerField(
        default=0, help_text="Files that came with it and were not taken: a limit was reached."
    )

    class Meta:
        indexes = [
            models.Index(fields=["sender_hash", "filed_at"], name="requester_by_sender"),
            models.Index(fields=["account_named"], name="requester_by_account"),
            models.Index(fields=["account_folded"], name="requester_by_folding"),
        ]

    def __str__(self) -> str:
        return f"requester of ticket {self.ticket_id}"


class Attachment(models.Model):
    """A file kept with a ticket; its content is in the attachment store under `key`."""

    ticket = models.ForeignKey(Ticket, models.PROTECT, related_name="attachments")
    name = models.CharField(max_length=100)
    media_type = models.CharField(max_length=40)
    size = models.PositiveIntegerField()
    key = models.CharField(max_length=32, unique=True)
    added_at = models.DateTimeField()
    added_by = models.CharField(max_length=150)
    waits_until = models.DateTimeField(
        null=True,
        help_text="In quarantine: then it goes, unless the address is confirmed or an officer keeps it.",
    )

    class Meta:
        ordering = ["id"]
        indexes = [
            models.Index(
                fields=["waits_until"],
                name="attachment_waits",
                condition=Q(waits_until__isnull=False),
            ),
            models.Index(fields=["added_at"], name="attachment_added"),
        ]

    @property
    def last_day(self) -> dt.date | None:
        """The last day of a file that waits, where the establishment is; None for a kept one."""
        if self.waits_until is None:
            return None
        return local_date(self.waits_until - dt.timedelta(seconds=1), settings.CONTROLLER_TIME_ZONE)

    def __str__(self) -> str:
        return f"attachment {self.pk} of ticket {self.ticket_id}"


class Note(models.Model):
    """Staff's words about a ticket, written with the act of that entry."""

    ticket = models.ForeignKey(Ticket, models.PROTECT, related_name="notes")
    kind = models.CharField(max_length=9, choices=NoteKind, default=NoteKind.NOTE)
    text = models.TextField()
    entry = models.ForeignKey("ledger.Entry", models.PROTECT, related_name="+")
    author_name = models.CharField(max_length=150)
    written_at = models.DateTimeField()

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"note {self.pk} of ticket {self.ticket_id}"


class LetterText(models.Model):
    """A letter's text, its recipient and the progress of sending it."""

    letter = models.OneToOneField(Letter, models.PROTECT, primary_key=True, related_name="text")
    address = models.TextField(help_text="An e-mail address, or where the post goes.")
    subject = models.CharField(max_length=300)
    body = models.TextField()
    attempts = models.PositiveIntegerField(default=0)
    last_error = models.CharField(max_length=200, blank=True)
    not_before = models.DateTimeField(help_text="When it may be tried (again).")

    def __str__(self) -> str:
        return f"text of letter {self.letter_id}"


class RedactionValues(models.Model):
    """The values of an entry of the redaction list with their salt, encrypted under `REDACTION_KEYS`."""

    redaction = models.OneToOneField(
        RedactionEntry, models.PROTECT, primary_key=True, related_name="values"
    )
    encrypted = models.TextField(help_text="A Fernet token.")

    def __str__(self) -> str:
        return f"values of entry {self.redaction_id}"


class Digest(models.Model):
    """That an officer got the digest of a day; the next attempt knows."""

    officer = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    day = models.DateField()
    sent_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["officer", "day"], name="one_digest_a_day"),
        ]

    def __str__(self) -> str:
        return f"digest of {self.day}"
