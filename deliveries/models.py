"""Deliveries of manifests, receipts of their use, and who received what was made of them."""

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q

from deliveries.choices import ALIVE, DeliveryForm, DeliveryState, RecipientKind, WaiverState
from deliveries.querysets import DataSetQuerySet, DeliveryQuerySet
from ledger.models import Sealed, Tracked, tracked_history
from training_runs.choices import Agreement
from training_runs.models import Manifest, Run, Team

_SLUG = RegexValidator(r"^[a-z0-9]+(-[a-z0-9]+)*\Z", "Small letters, digits, dashes.")


# --- Deliveries ---------------------------------------------------------------------------------


class Recipient(Tracked):
    """A team, an affiliate or a processor that receives data sets. Administrators make them."""

    name = models.CharField(max_length=60, unique=True, validators=[_SLUG])
    title = models.CharField(max_length=200, help_text="As letters and documents name it.")
    kind = models.CharField(max_length=9, choices=RecipientKind)
    team = models.OneToOneField(
        Team, models.PROTECT, null=True, blank=True, related_name="recipient",
        help_text="For a recipient that is a team of our own.",
    )  # fmt: skip
    country = models.CharField(max_length=2, blank=True, help_text="ISO 3166-1.")
    mailbox = models.EmailField(
        blank=True, help_text="A mailbox of the organisation, not of a person."
    )
    is_active = models.BooleanField(default=True)
    history = tracked_history()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=Q(kind=RecipientKind.TEAM) | Q(team__isnull=True),
                name="only_a_team_recipient_has_a_team",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Delivery(Tracked):
    """A list that may be used until its lease ends: the manifest without the members who are out by its cut.

    The row is its own place in the queue. Nothing of a made delivery changes but its state.
    """

    reference = models.CharField(max_length=20, unique=True, editable=False)
    run = models.ForeignKey(Run, models.PROTECT, related_name="deliveries")
    manifest = models.ForeignKey(Manifest, models.PROTECT, related_name="deliveries")
    form = models.CharField(max_length=4, choices=DeliveryForm, default=DeliveryForm.LIST)
    recipient = models.ForeignKey(
        Recipient, models.PROTECT, null=True, blank=True, related_name="deliveries",
        help_text="Empty for the run's own team.",
    )  # fmt: skip
    renews = models.OneToOneField(
        "self", models.PROTECT, null=True, blank=True, related_name="renewed_by"
    )
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    requested_at = models.DateTimeField()
    state = models.CharField(max_length=9, choices=DeliveryState, default=DeliveryState.REQUESTED)

    cut = models.PositiveBigIntegerField(null=True, help_text="The ledger size it counts.")
    ledger_root = models.CharField(max_length=64, blank=True)
    as_of = models.DateTimeField(null=True, help_text="The instant whose rules apply.")
    digest = models.CharField(
        max_length=64, blank=True, help_text="SHA-256 of its archive: the sets, with numbers only."
    )
    size = models.PositiveBigIntegerField(default=0, help_text="Bytes of the archive.")
    rows = models.PositiveIntegerField(default=0, help_text="Members delivered.")
    subtracted = models.PositiveIntegerField(
        default=0, help_text="Members of the manifest who are out by the cut."
    )
    subtraction_digest = models.CharField(
        max_length=64, blank=True, help_text="SHA-256 of the set of the subtracted, as Roaring."
    )
    files = models.JSONField(
        default=list, help_text="The files of accounts: name, sha256, bytes, rows, first, last."
    )
    delivered_at = models.DateTimeField(null=True)
    leased_until = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    end_reason = models.CharField(max_length=200, blank=True)
    history = tracked_history()

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "deliveries"
        permissions = [("download_delivery", "Can download deliveries of own runs")]
        constraints = [
            models.UniqueConstraint(
                fields=["run", "form", "recipient"],
                condition=Q(state=DeliveryState.REQUESTED),
                name="delivery_is_made_once",
            ),
            # Two empty recipients do not count as equal.
            models.UniqueConstraint(
                fields=["run", "form"],
                condition=Q(state=DeliveryState.REQUESTED, recipient__isnull=True),
                name="own_delivery_is_made_once",
            ),
            models.CheckConstraint(
                condition=~Q(state=DeliveryState.DELIVERED)
                | Q(cut__isnull=False, delivered_at__isnull=False, leased_until__isnull=False),
                name="delivered_has_cut_and_lease",
            ),
        ]
        indexes = [
            models.Index(
                fields=["leased_until"], name="delivery_alive", condition=Q(state__in=ALIVE)
            ),
        ]

    def __str__(self) -> str:
        return self.reference


class DeliveryAttempt(models.Model):
    """Why a requested delivery is still waiting. Not part of the record: the next attempt replaces it."""

    delivery = models.OneToOneField(
        Delivery, models.CASCADE, primary_key=True, related_name="attempt"
    )
    count = models.PositiveIntegerField(default=0)
    error_code = models.CharField(max_length=40)
    error = models.CharField(max_length=500)
    last_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.delivery_id}: {self.error_code}"


class DeliveryVerification(Sealed):
    """The second way of arriving at a delivery, and whether it agreed."""

    delivery = models.OneToOneField(Delivery, models.PROTECT, related_name="verification")
    agreement = models.CharField(max_length=7, choices=Agreement)
    derived_digest = models.CharField(
        max_length=64, help_text="SHA-256 of the archive according to history."
    )
    detail = models.JSONField(default=dict, help_text="What differs, in counts.")
    verified_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.delivery}: {self.agreement}"


# --- The account map ----------------------------------------------------------------------------


class AccountMapRequest(Sealed):
    """A request for the account map, which is kept until then for everybody who may fetch it."""

    kept_until = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        permissions = [("download_accountmap", "Can request and download the account map")]

    def __str__(self) -> str:
        return f"account map until {self.kept_until:%Y-%m-%d}"


class AccountMapFile(Sealed):
    """A file of the account map as it was made: the accounts of the 2^20 member numbers of a place."""

    place = models.PositiveIntegerField(help_text="Its first number is place x 2^20.")
    cut = models.PositiveBigIntegerField(help_text="The ledger size it counts.")
    sha256 = models.CharField(max_length=64)
    size = models.PositiveBigIntegerField(help_text="Bytes.")
    rows = models.PositiveIntegerField()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"accounts of place {self.place} at {self.cut}"


class AccountMapRange(models.Model):
    """A range of the account map as it stands: what changed it, and its file. Not part of the record."""

    place = models.PositiveIntegerField(primary_key=True)
    changed_entry = models.PositiveBigIntegerField(
        help_text="The last entry that created, spelt or erased an account in it."
    )
    changed_at = models.DateTimeField()
    cut = models.PositiveBigIntegerField(
        default=0, help_text="The ledger size up to which the file has been compared."
    )
    tried_at = models.DateTimeField(
        null=True, help_text="When its file was last made, or could not be."
    )
    file = models.ForeignKey(
        AccountMapFile, models.PROTECT, null=True, related_name="+",
        help_text="Empty until it is made, and from an erasure until it is made again.",
    )  # fmt: skip

    class Meta:
        ordering = ["place"]

    def __str__(self) -> str:
        return f"place {self.place}"

    @property
    def is_current(self) -> bool:
        """Whether the file has every change of its accounts."""
        return self.file_id is not None and self.changed_entry <= self.cut


# --- Training -----------------------------------------------------------------------------------


class TrainingStart(Sealed):
    """The beginning of a training on a delivery; a retry is another one."""

    run = models.ForeignKey(Run, models.PROTECT, related_name="starts")
    delivery = models.ForeignKey(Delivery, models.PROTECT, related_name="starts")
    began_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"training of {self.run_id} on {self.delivery_id}"


class TrainingPulse(models.Model):
    """The last sign of life of a training, and when it first read data. Not part of the record."""

    run = models.OneToOneField(Run, models.CASCADE, primary_key=True, related_name="pulse")
    heartbeat_at = models.DateTimeField()
    first_read_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"pulse of {self.run_id}"


class Acknowledgement(Sealed):
    """The word of a run that it knows who has withdrawn, up to a cut."""

    run = models.ForeignKey(Run, models.PROTECT, related_name="acknowledgements")
    delivery = models.ForeignKey(Delivery, models.PROTECT, related_name="acknowledgements")
    cut = models.PositiveBigIntegerField(help_text="The ledger size of the answer it acknowledges.")
    answered_at = models.DateTimeField(help_text="When that answer was last given.")
    withdrawn = models.PositiveIntegerField(
        help_text="Members of the manifest who were out by then."
    )
    digest = models.CharField(max_length=64, help_text="SHA-256 of their set, as Roaring.")
    acknowledged_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.run_id} up to {self.cut}"


# --- Receipts -----------------------------------------------------------------------------------


class RunnerKey(Tracked):
    """An Ed25519 public key under which a person's or service's runner signs receipts."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="runner_keys")
    name = models.CharField(max_length=100, help_text="What signs with it.")
    public_key = models.CharField(max_length=44, help_text="32 bytes, base64.")
    fingerprint = models.CharField(
        max_length=64, unique=True, help_text="SHA-256 of the 32 bytes: the `keyid` of envelopes."
    )
    registered_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    history = tracked_history()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"key {self.fingerprint[:12]}"


class Receipt(Sealed):
    """A runner's signed statement of what was done with a delivery: a DSSE envelope, as it was sent."""

    reference = models.CharField(max_length=20, unique=True)
    run = models.ForeignKey(Run, models.PROTECT, related_name="receipts")
    delivery = models.ForeignKey(Delivery, models.PROTECT, related_name="receipts")
    key = models.ForeignKey(RunnerKey, models.PROTECT, related_name="receipts")
    digest = models.CharField(max_length=64, unique=True, help_text="SHA-256 of the statement.")
    envelope = models.TextField(help_text="DSSE, JSON.")
    rows_in = models.PositiveBigIntegerField()
    rows_kept = models.PositiveBigIntegerField()
    received_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.reference


class DataSet(Sealed):
    """A file that a receipt says was made of a delivery.

    A later delivery of the same run, or a child run, may claim it again: its lease is then that of the newest claim.
    """

    receipt = models.ForeignKey(Receipt, models.PROTECT, related_name="data_sets")
    name = models.CharField(max_length=500)
    sha256 = models.CharField(max_length=64, db_index=True)
    size = models.PositiveBigIntegerField(help_text="Bytes.")
    rows = models.PositiveBigIntegerField()
    objects = DataSetQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["receipt", "sha256"], name="data_set_once_in_a_receipt")
        ]

    def __str__(self) -> str:
        return self.name


class Waiver(Tracked):
    """A run's completion without a receipt: its team asks with reasons, a privacy officer decides."""

    run = models.ForeignKey(Run, models.PROTECT, related_name="waivers")
    reasons = models.CharField(max_length=1000, help_text="No names, no addresses.")
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    asked_at = models.DateTimeField()
    state = models.CharField(max_length=8, choices=WaiverState, default=WaiverState.ASKED)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+"
    )
    decided_at = models.DateTimeField(null=True)
    decision = models.CharField(max_length=1000, blank=True, help_text="The officer's reasons.")
    history = tracked_history()

    class Meta:
        ordering = ["-id"]
        permissions = [("decide_waiver", "Can decide on a completion without a receipt")]
        constraints = [
            models.UniqueConstraint(
                fields=["run"], condition=Q(state=WaiverState.ASKED), name="one_waiver_waits"
            ),
            models.CheckConstraint(
                condition=Q(decided_by__isnull=True) | ~Q(decided_by=models.F("asked_by")),
                name="waiver_decided_by_another_person",
            ),
        ]

    def __str__(self) -> str:
        return f"waiver of {self.run_id}"


class Completion(Sealed):
    """The ground of a completed run: a receipt, or a waiver."""

    run = models.OneToOneField(Run, models.PROTECT, related_name="completion")
    receipt = models.ForeignKey(
        Receipt, models.PROTECT, null=True, blank=True, related_name="completions"
    )
    waiver = models.ForeignKey(
        Waiver, models.PROTECT, null=True, blank=True, related_name="completions"
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(receipt__isnull=True) ^ Q(waiver__isnull=True),
                name="completed_on_one_ground",
            ),
        ]

    def __str__(self) -> str:
        return f"completion of {self.run_id}"


# --- Lineage ------------------------------------------------------------------------------------


class LineageEvent(Sealed):
    """An OpenLineage event as evidence of what a job did: its digest and what joins it to a run.

    The body may hold personal data (a query's literals), so it is kept apart and can be erased.
    """

    digest = models.CharField(max_length=64, unique=True, help_text="SHA-256 of the event.")
    run = models.ForeignKey(Run, models.PROTECT, null=True, blank=True, related_name="lineage")
    lineage_run_id = models.CharField(max_length=100, db_index=True)
    event_type = models.CharField(max_length=10)
    event_time = models.DateTimeField()
    received_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.event_type} of {self.lineage_run_id}"


class LineageBody(models.Model):
    """The event as it was sent. Untracked: it is deleted after LINEAGE_DAYS."""

    event = models.OneToOneField(
        LineageEvent, models.PROTECT, primary_key=True, related_name="body"
    )
    body = models.JSONField()
    received_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"body of {self.event_id}"


# --- Recipients and models ----------------------------------------------------------------------


class Handover(Sealed):
    """A data set given to a recipient."""

    data_set = models.ForeignKey(DataSet, models.PROTECT, related_name="handovers")
    recipient = models.ForeignKey(Recipient, models.PROTECT, related_name="handovers")
    given_on = models.DateField()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["data_set", "recipient"], name="handed_over_once"),
        ]

    def __str__(self) -> str:
        return f"{self.data_set_id} to {self.recipient_id}"


class RecipientTold(Sealed):
    """A recipient was told of an upheld objection or an erasure (GDPR Art. 19)."""

    subject = models.CharField(max_length=100, help_text="A ticket, or `member:12` for an erasure.")
    recipient = models.ForeignKey(Recipient, models.PROTECT, related_name="told")
    how = models.CharField(max_length=300, help_text="No names, no addresses.")
    told_on = models.DateField(help_text="The day on which the recipient was told.")
    told_at = models.DateTimeField("recorded at")

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "recipients told"
        permissions = [("tell_recipient", "Can record that a recipient was told")]
        constraints = [
            models.UniqueConstraint(fields=["subject", "recipient"], name="told_once"),
        ]

    def __str__(self) -> str:
        return f"{self.recipient_id} told of {self.subject}"


class TrainedModel(Tracked):
    """A model that runs were trained for: what the documents of the law are about."""

    name = models.CharField(max_length=60, unique=True, validators=[_SLUG])
    title = models.CharField(max_length=200)
    team = models.ForeignKey(Team, models.PROTECT, related_name="models")
    version = models.CharField(max_length=60, blank=True)
    released_on = models.DateField(null=True, blank=True)
    facts = models.JSONField(
        default=dict,
        blank=True,
        help_text="What only people know for the documents, by name of the field.",
    )
    history = tracked_history()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class ModelRun(Sealed):
    """A run that belongs to a model."""

    model = models.ForeignKey(TrainedModel, models.PROTECT, related_name="model_runs")
    run = models.OneToOneField(Run, models.PROTECT, related_name="model_run")

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.run_id} of {self.model_id}"
