"""Members, what they chose, and the rules and notices that decide whether a choice is needed."""

import datetime as dt
from functools import reduce
from operator import or_

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q

from consent.choices import (
    BY_COUNTRY,
    AccountChangeKind,
    Channel,
    Choice,
    NoticeChannel,
    PolicyKind,
    Purpose,
    ReviewVerdict,
    RuleKind,
    Status,
)
from consent.countries import CANARIES, NAMES, UNKNOWN
from consent.guards import UNTIL_ERASED
from consent.querysets import ConsentQuerySet, MemberQuerySet, ProposalQuerySet
from consent.references import MAX_FOLDED, MAX_LENGTH
from ledger.models import Sealed, Tracked, tracked_history

FIRST_DAY = dt.date(2024, 9, 18)
"""No run is as of an earlier day: a member of age by then need not be in the index of minors."""
MAJORITY, MAX_AGE = 18, 25
"""Under the first no member is in anywhere; a country's row may ask for more, up to the second."""


class Member(Tracked):
    """An account of the product: a number and the facts that decide. No name, no e-mail, no reference.

    Numbers are dense (1..n, allocated under the ledger's lock) and fit 31 bits: that makes manifests small.
    """

    id = models.PositiveIntegerField(
        "member number", primary_key=True, help_text="Ours; the product's key is the account_ref."
    )
    country = models.CharField(
        max_length=2, default=UNKNOWN, blank=True, help_text="ISO 3166-1, empty when unknown."
    )
    country_given = models.CharField(
        max_length=20, default="", blank=True, help_text="As sent, if it was not the code."
    )
    adult_on = models.DateField(
        "of age on",
        null=True,
        blank=True,
        help_text="The date of majority; the date of birth is not kept.",
    )
    adult_at = models.PositiveSmallIntegerField(
        "of age at",
        default=MAJORITY,
        help_text="The age that the date of majority was computed for.",
    )
    status = models.CharField(max_length=8, choices=Status, default=Status.UNKNOWN)
    reference_seal = models.CharField(
        max_length=64, help_text="HMAC-SHA-256 of the account_ref under the member's own salt."
    )
    history = tracked_history()

    objects = MemberQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        permissions = [("view_standing", "Can ask where a member stands")]
        constraints = [
            models.CheckConstraint(condition=Q(id__gte=1), name="member_number_from_one"),
            # A word that no rule knows would be in no exclusion either.
            models.CheckConstraint(
                condition=Q(status__in=Status.values), name="member_status_known"
            ),
            # A lower age would let in a member whom no rule about ages can keep out.
            models.CheckConstraint(
                condition=Q(adult_at__gte=MAJORITY), name="member_of_age_at_18_or_later"
            ),
            # A code that no rule can name would be in no exclusion.
            models.CheckConstraint(
                condition=Q(country__in=sorted({UNKNOWN, *NAMES, *CANARIES})),
                name="member_country_known_or_empty",
            ),
        ]
        # Each index serves one exclusion, so that a freeze reads only who is out.
        indexes = [
            # With the age: where a country asks for a higher one, only those below it are read.
            models.Index(fields=["country", "adult_at", "id"], name="member_by_country"),
            models.Index(
                fields=["adult_on", "id"],
                name="member_minor",
                condition=Q(adult_on__gt=FIRST_DAY),
            ),
            models.Index(
                fields=["id"], name="member_of_unknown_age", condition=Q(adult_on__isnull=True)
            ),
            models.Index(
                fields=["status", "id"], name="member_not_open", condition=~Q(status=Status.OPEN)
            ),
        ]

    def __str__(self) -> str:
        return f"member {self.id}"


class AccountReference(models.Model):
    """The product's key for a member: personal data, untracked, deleted by erasure and by nothing else.

    The key is what is looked up; the text beside it is what the product's file says, to the byte, and is sealed.
    """

    guard = UNTIL_ERASED

    # No constraint in the database, for the import's sake (see `LedgerHistory.entry`): a member is never
    # deleted, and only `consent.members` writes references, together with their members.
    member = models.OneToOneField(
        Member, models.PROTECT, primary_key=True, related_name="reference", db_constraint=False
    )
    account_ref = models.CharField(
        max_length=MAX_LENGTH,
        help_text="As the product's file spells it; the key until a file has confirmed the account.",
    )
    account_key = models.CharField(
        max_length=MAX_LENGTH, help_text="The canonical key (`consent.references.key_of`)."
    )
    account_folded = models.CharField(  # noqa: DJ001  the index holds the few that are not null
        max_length=MAX_FOLDED,
        null=True,
        help_text="`consent.references.folding_of` the key, where it is another text.",
    )
    salt = models.CharField(max_length=32, help_text="128 random bits, hexadecimal.")
    is_confirmed = models.BooleanField(
        default=False, help_text="Whether a file of the product has named the account."
    )

    class Meta:
        constraints = [
            # Not `unique=True`: that adds a second index for LIKE, which no query uses.
            models.UniqueConstraint(fields=["account_key"], name="account_key_of_one_member"),
        ]
        indexes = [
            models.Index(
                fields=["account_folded"],
                name="reference_by_folding",
                condition=Q(account_folded__isnull=False),
            ),
            models.Index(
                fields=["member"],
                name="reference_of_no_file",
                condition=Q(is_confirmed=False),
            ),
        ]

    def __str__(self) -> str:
        return f"reference of member {self.member_id}"


class Suppression(Sealed):
    """An erased account, as a keyed hash: it cannot come back through an import."""

    member = models.OneToOneField(Member, models.PROTECT, related_name="suppression")
    account_hash = models.CharField(
        max_length=64, unique=True, help_text="HMAC-SHA-256 under SUPPRESSION_KEY."
    )

    def __str__(self) -> str:
        return f"suppression of member {self.member_id}"


class Census(models.Model):
    """How many members and references there are, counted as they are written: a freeze must arrive at the same."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    total = models.PositiveIntegerField(default=0)
    complete = models.PositiveIntegerField(default=0)
    erasures = models.PositiveIntegerField(default=0)
    live_references = models.IntegerField(
        default=0,
        help_text="Counted up as references are written; the table's guard counts down when one is deleted.",
    )

    class Meta:
        verbose_name_plural = "census"
        constraints = [models.CheckConstraint(condition=Q(id=1), name="one_census")]

    def __str__(self) -> str:
        return f"{self.total} members"


class Notice(Sealed):
    """A version of the privacy notice: its text, what it covers, and from when it may be relied on."""

    version = models.CharField(
        max_length=40,
        unique=True,
        validators=[RegexValidator(r"^[A-Za-z0-9_.-]+\Z", "Letters, digits, dots, dashes.")],
    )
    purposes = models.JSONField()
    data_categories = models.JSONField()
    countries = models.JSONField(help_text="ISO codes.")
    published_on = models.DateField()
    in_force_from = models.DateField(help_text="The end of its notice period.")
    supersedes = models.ForeignKey(
        "self", models.PROTECT, null=True, blank=True, related_name="successors"
    )
    texts = models.JSONField(help_text="Language tag (BCP 47) to text.")
    texts_sha256 = models.CharField(
        "SHA-256 of the texts",
        max_length=64,
        help_text="Of the texts as canonical JSON (RFC 8785).",
    )
    address = models.URLField(
        max_length=300, blank=True, help_text="Where the product publishes the text."
    )
    source = models.CharField(max_length=300, help_text="Where the text was taken from.")
    needs_approval = models.BooleanField(default=True)
    proposed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")

    objects = ProposalQuerySet.as_manager()

    class Meta:
        ordering = ["-in_force_from", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(in_force_from__gte=models.F("published_on")),
                name="notice_in_force_after_publication",
            ),
        ]

    def __str__(self) -> str:
        return f"notice {self.version}"

    @property
    def languages(self) -> list[str]:
        return sorted(self.texts)


class NoticeDelivery(Sealed):
    """Evidence that a notice was delivered to a cohort of members: how, when, to how many, by what source."""

    notice = models.ForeignKey(Notice, models.PROTECT, related_name="deliveries")
    channel = models.CharField(max_length=20, choices=NoticeChannel)
    countries = models.JSONField(
        default=list, help_text="ISO codes; empty where a cohort is named."
    )
    cohort = models.CharField(
        max_length=100, blank=True, help_text="The sender's name of the cohort; names no person."
    )
    delivered_from = models.DateField()
    delivered_until = models.DateField()
    recipients = models.BigIntegerField(help_text="How many members it was delivered to.")
    source = models.CharField(max_length=300, help_text="The evidence: a send log, a report.")

    class Meta:
        ordering = ["-entry_id", "-id"]
        verbose_name_plural = "notice deliveries"
        constraints = [
            models.CheckConstraint(
                condition=Q(delivered_until__gte=models.F("delivered_from")),
                name="notice_delivered_until_after_from",
            ),
            models.CheckConstraint(
                condition=Q(recipients__gte=0), name="notice_delivered_to_a_number"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.notice} by {self.channel} to {self.recipients} members"


class NoticeWithdrawal(Sealed):
    """The end of a notice: from a day on it covers nothing. It tightens, so it needs no second person."""

    notice = models.ForeignKey(Notice, models.PROTECT, related_name="withdrawals")
    withdrawn_from = models.DateField(help_text="The first day on which it covers nothing.")
    source = models.CharField(max_length=300, help_text="The decision or finding behind it.")

    class Meta:
        ordering = ["-entry_id", "-id"]

    def __str__(self) -> str:
        return f"{self.notice} withdrawn from {self.withdrawn_from}"


class RegionRule(Sealed):
    """A purpose's permission in some countries from a date on, until further notice."""

    purpose = models.CharField(max_length=20, choices=Purpose)
    countries = models.JSONField(help_text="ISO codes.")
    rule = models.CharField(max_length=10, choices=RuleKind)
    effective_from = models.DateField()
    data_from = models.DateField(
        null=True, blank=True, help_text="The oldest content that may be used; empty for any."
    )
    source = models.CharField(max_length=300, help_text="The law, statement or decision behind it.")
    needs_approval = models.BooleanField(
        help_text="It admits members, or older content, that were out before."
    )
    proposed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")

    objects = ProposalQuerySet.as_manager()

    class Meta:
        ordering = ["-effective_from", "-id"]

    def __str__(self) -> str:
        return f"{self.purpose}: {self.rule} in {len(self.countries)} countries from {self.effective_from}"


class Policy(Sealed):
    """A number that the controller sets from a date on, until another one."""

    kind = models.CharField(max_length=20, choices=PolicyKind)
    purpose = models.CharField(
        max_length=20, choices=Purpose, blank=True, help_text="Empty for every purpose."
    )
    country = models.CharField(
        max_length=2, blank=True, help_text="ISO 3166-1, empty for every country not named."
    )
    value = models.PositiveSmallIntegerField(help_text="Days; or 1 for on and 0 for off.")
    effective_from = models.DateField()
    source = models.CharField(max_length=300, help_text="The decision behind it.")
    needs_approval = models.BooleanField(help_text="It allows more than the one before.")
    proposed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")

    objects = ProposalQuerySet.as_manager()

    class Meta:
        ordering = ["-effective_from", "-id"]
        verbose_name_plural = "policies"
        constraints = [
            # What decides who is in reads a policy by its kind and purpose only.
            models.CheckConstraint(
                condition=Q(kind__in=BY_COUNTRY, purpose="") | Q(country=""),
                name="policy_names_a_country_where_it_may",
            ),
        ]

    def __str__(self) -> str:
        place = f" in {self.country}" if self.country else ""
        return f"{self.kind} {self.value}{place} from {self.effective_from}"


class AgeRule(Sealed):
    """The age from which members in some countries may be used, from a date on: above 18, or back towards it."""

    countries = models.JSONField(help_text="ISO codes.")
    age = models.PositiveSmallIntegerField(help_text=f"{MAJORITY} to {MAX_AGE}.")
    effective_from = models.DateField()
    source = models.CharField(max_length=300, help_text="The law, statement or decision behind it.")
    needs_approval = models.BooleanField(help_text="It asks for a lower age than before.")
    proposed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")

    objects = ProposalQuerySet.as_manager()

    class Meta:
        ordering = ["-effective_from", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(age__gte=MAJORITY, age__lte=MAX_AGE), name="age_rule_from_18_to_25"
            ),
        ]

    def __str__(self) -> str:
        return f"age {self.age} in {len(self.countries)} countries from {self.effective_from}"


class AccountChange(Sealed):
    """A merge or a split of accounts, as the product sent it: what the first account refused, the second one refuses."""

    kind = models.CharField(max_length=6, choices=AccountChangeKind)
    source_id = models.CharField(
        max_length=100, help_text="The sender's own id: a replay is recognised by it."
    )
    body_digest = models.CharField(
        max_length=64, help_text="HMAC-SHA-256 of what was sent, to recognise a replay."
    )
    member = models.ForeignKey(Member, models.PROTECT, related_name="passed_on")
    heir = models.ForeignKey(Member, models.PROTECT, related_name="inherited")
    held_at = models.DateTimeField(help_text="When the product did it, as it was sent.")

    class Meta:
        ordering = ["-entry_id", "-id"]
        permissions = [("record_accountchange", "Can record merges and splits for the product")]
        constraints = [
            models.UniqueConstraint(fields=["source_id", "heir"], name="account_change_once"),
            models.CheckConstraint(
                condition=~Q(member=models.F("heir")), name="account_changes_to_another"
            ),
        ]

    def __str__(self) -> str:
        return f"member {self.member_id} {self.get_kind_display()}, member {self.heir_id}"


REVIEWED = ("region_rule", "notice", "policy", "age_rule")
"""Columns of a review: it is about one of them."""


class Review(Sealed):
    """A second person's word on a proposed rule, notice or policy."""

    region_rule = models.OneToOneField(
        RegionRule, models.PROTECT, null=True, blank=True, related_name="review"
    )
    notice = models.OneToOneField(
        Notice, models.PROTECT, null=True, blank=True, related_name="review"
    )
    policy = models.OneToOneField(
        Policy, models.PROTECT, null=True, blank=True, related_name="review"
    )
    age_rule = models.OneToOneField(
        AgeRule, models.PROTECT, null=True, blank=True, related_name="review"
    )
    verdict = models.CharField(max_length=8, choices=ReviewVerdict)
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=reduce(
                    or_,
                    (
                        Q(**{f"{name}__isnull": name != one for name in REVIEWED})
                        for one in REVIEWED
                    ),
                ),
                name="review_of_one_thing",
            ),
        ]

    def __str__(self) -> str:
        about = self.region_rule or self.notice or self.policy or self.age_rule
        return f"{self.verdict}: {about}"


class Decision(Sealed):
    """One act of a member on a purpose, and when we learned it."""

    member = models.ForeignKey(Member, models.PROTECT, related_name="decisions")
    purpose = models.CharField(max_length=20, choices=Purpose)
    choice = models.CharField(max_length=5, choices=Choice)
    channel = models.CharField(max_length=12, choices=Channel)
    source_id = models.CharField(
        max_length=100, help_text="The sender's own id: a replay is recognised by it."
    )
    decided_at = models.DateTimeField(help_text="As it was sent.")
    # Every row has it; a sealed table grows by nullable columns.
    counts_at: "models.Field[dt.datetime, dt.datetime]" = models.DateTimeField(
        null=True, help_text="When it counts as decided: not after it was received."
    )
    notice_version = models.CharField(max_length=40, blank=True)
    privacy_signal = models.BooleanField(
        null=True, help_text="Sec-GPC as received with the decision; empty when none was sent."
    )
    evidence_only = models.BooleanField(
        default=False, help_text="Kept as evidence; it does not change the member's choice."
    )
    body_digest = models.CharField(
        max_length=64, help_text="HMAC-SHA-256 of what was sent, to recognise a replay."
    )
    account_known = models.BooleanField(
        null=True,
        help_text="Whether a file of the product had named the account when this was recorded.",
    )

    class Meta:
        ordering = ["-entry_id", "-id"]
        permissions = [("record_decision", "Can record decisions for the product")]
        constraints = [
            models.UniqueConstraint(fields=["channel", "source_id"], name="decision_recorded_once"),
        ]

    def __str__(self) -> str:
        return f"{self.choice} {self.purpose}"


class Consent(models.Model):
    """A member's current choice for a purpose: a projection of the decisions. No row means the default."""

    member = models.ForeignKey(Member, models.PROTECT, related_name="consents")
    purpose = models.CharField(max_length=20, choices=Purpose)
    choice = models.CharField(max_length=5, choices=Choice)
    decided_at = models.DateTimeField(help_text="When it counts as decided.")
    notice_version = models.CharField(max_length=40, blank=True)
    is_ahead = models.BooleanField(
        default=False, help_text="An allow that was sent with a later time than its receipt."
    )

    objects = ConsentQuerySet.as_manager()

    class Meta:
        verbose_name = "current choice"
        constraints = [
            models.UniqueConstraint(fields=["member", "purpose"], name="one_consent_per_purpose"),
            models.CheckConstraint(
                condition=Q(choice__in=Choice.values, purpose__in=Purpose.values),
                name="consent_in_known_words",
            ),
        ]
        indexes = [
            models.Index(
                fields=["purpose", "member"],
                name="consent_denied",
                condition=Q(choice=Choice.DENY),
            ),
            models.Index(
                fields=["purpose", "member"],
                name="consent_allowed",
                condition=Q(choice=Choice.ALLOW),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.choice} {self.purpose}"
