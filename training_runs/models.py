"""Training runs, and the frozen answers to whose data they may use."""

from typing import Any

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.urls import reverse

from consent.choices import Purpose, ReviewVerdict
from ledger.append_only import AppendOnly
from ledger.models import Sealed, Tracked, tracked_history
from training_runs.choices import Agreement, FindingKind, IncidentState, RunState, TeamKind
from training_runs.querysets import ManifestQuerySet, RunQuerySet


class Team(Tracked):
    """A team or a service that runs belong to, with a person who answers for it. Administrators make them."""

    name = models.CharField(
        max_length=60,
        unique=True,
        validators=[RegexValidator(r"^[a-z0-9]+(-[a-z0-9]+)*\Z", "Small letters, digits, dashes.")],
        help_text="Small letters, digits and dashes: feed-ranking.",
    )
    kind = models.CharField(max_length=7, choices=TeamKind, default=TeamKind.TEAM)
    responsible = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    is_active = models.BooleanField(default=True)
    history = tracked_history()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class TeamMembership(Tracked):
    """A person, or the account of a service, in a team: may act on the team's runs while it is active."""

    team = models.ForeignKey(Team, models.PROTECT, related_name="memberships")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="team_memberships"
    )
    is_active = models.BooleanField(default=True)
    history = tracked_history()

    class Meta:
        ordering = ["team", "user"]
        constraints = [
            models.UniqueConstraint(fields=["team", "user"], name="once_in_a_team"),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} in {self.team_id}"


class Run(Tracked):
    """A training run, registered by the ML team. A requested run is its own place in the queue."""

    reference = models.CharField(max_length=20, unique=True, editable=False)
    tracker_run_id = models.CharField(
        max_length=100, unique=True, help_text="The experiment tracker's id of the run."
    )
    title = models.CharField(max_length=200, blank=True)
    purpose = models.CharField(max_length=20, choices=Purpose)
    data_categories = models.JSONField(default=list)
    parent = models.ForeignKey(
        "self",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="children",
        help_text="The run whose manifest is used again: resuming, fine-tuning, handing over.",
    )
    team = models.ForeignKey(Team, models.PROTECT, related_name="runs")
    state = models.CharField(max_length=10, choices=RunState, default=RunState.REGISTERED)
    registered_at = models.DateTimeField()
    requested_at = models.DateTimeField(null=True)
    as_of = models.DateTimeField(null=True, help_text="The instant whose rules apply.")
    version = models.PositiveIntegerField(default=1, editable=False)
    history = tracked_history()

    objects = RunQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        permissions = [
            ("start_run", "Can start, complete and cancel a run"),
            ("explain_run", "Can ask why a member is in or out of a run"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=[RunState.REGISTERED, RunState.CANCELLED])
                | Q(requested_at__isnull=False, as_of__isnull=False),
                name="requested_run_has_an_instant",
            ),
        ]
        indexes = [
            models.Index(
                fields=["requested_at"], name="run_queue", condition=Q(state=RunState.REQUESTED)
            ),
        ]

    def __str__(self) -> str:
        return self.reference

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            self.version += 1
        super().save(*args, **kwargs)

    def get_absolute_url(self) -> str:
        return reverse("api:run-detail", args=[self.reference])


MAX_POINT = 2_000
"""Characters of each point of an assessment."""


class Assessment(Sealed):
    """Why data of one purpose may be used again for another: the five points of GDPR Art. 6(4), in the words of the run's team."""

    run = models.ForeignKey(Run, models.PROTECT, related_name="assessments")
    other_purposes = models.JSONField(
        help_text="The purposes of the runs it builds on that are not its own."
    )
    link = models.TextField(
        "link between the purposes",
        max_length=MAX_POINT,
        help_text="Art. 6(4)(a): any link between the purpose of the collection and the new one.",
    )
    context = models.TextField(
        "context of the collection",
        max_length=MAX_POINT,
        help_text="Art. 6(4)(b): in what context the data was collected, and what members could expect.",
    )
    nature = models.TextField(
        "nature of the data",
        max_length=MAX_POINT,
        help_text="Art. 6(4)(c): the kinds of data, and whether special categories may be among them.",
    )
    consequences = models.TextField(
        "consequences for members",
        max_length=MAX_POINT,
        help_text="Art. 6(4)(d): what the new processing may lead to.",
    )
    safeguards = models.TextField(
        "safeguards",
        max_length=MAX_POINT,
        help_text="Art. 6(4)(e): such as redaction, pseudonyms, encryption, limits of access.",
    )
    written_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    written_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        verbose_name = "compatibility assessment"

    def __str__(self) -> str:
        return f"assessment {self.pk} of {self.run.reference}"


class AssessmentReview(Sealed):
    """A privacy officer's word on an assessment. It is final."""

    assessment = models.OneToOneField(Assessment, models.PROTECT, related_name="review")
    verdict = models.CharField(max_length=8, choices=ReviewVerdict)
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")

    def __str__(self) -> str:
        return f"{self.verdict}: {self.assessment}"


class FreezeAttempt(models.Model):
    """Why a requested run is still waiting. Not part of the record: the next attempt replaces it."""

    run = models.OneToOneField(Run, models.CASCADE, primary_key=True, related_name="attempt")
    count = models.PositiveIntegerField(default=0)
    error_code = models.CharField(max_length=40)
    error = models.CharField(max_length=500)
    last_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.run_id}: {self.error_code}"


class Manifest(Sealed):
    """The frozen answer for a run. The archive is a file named by its SHA-256; its header is kept here too."""

    run = models.OneToOneField(Run, models.PROTECT, related_name="manifest")
    cut = models.PositiveBigIntegerField(help_text="The ledger size it counts.")
    ledger_root = models.CharField(max_length=64)
    digest = models.CharField(max_length=64, help_text="SHA-256 of the archive.")
    size = models.PositiveBigIntegerField(help_text="Bytes of the archive.")
    included = models.PositiveIntegerField()
    population = models.PositiveIntegerField(help_text="Every member number at the cut.")
    header = models.JSONField()
    frozen_at = models.DateTimeField()
    seconds = models.CharField(max_length=12, help_text="How long the freeze took.")

    objects = ManifestQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        permissions = [("download_manifest", "Can download a manifest and its member lists")]

    def __str__(self) -> str:
        return f"manifest of {self.run.reference}"


class Verification(Sealed):
    """The second way of arriving at a manifest, and whether it agreed."""

    manifest = models.ForeignKey(Manifest, models.PROTECT, related_name="verifications")
    agreement = models.CharField(max_length=7, choices=Agreement)
    derived_digest = models.CharField(max_length=64, blank=True)
    detail = models.JSONField(default=dict, help_text="What differs, in counts.")
    verified_at = models.DateTimeField()
    members_root = models.CharField(
        max_length=64, null=True, help_text="Root of the tree over all members in the manifest."
    )

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.manifest}: {self.agreement}"


class ManifestCheckpoint(AppendOnly):
    """The signed root of the tree over everybody in a manifest: what proofs of members lead to."""

    manifest = models.OneToOneField(
        Manifest, models.PROTECT, primary_key=True, related_name="checkpoint"
    )
    leaves = models.PositiveIntegerField()
    root = models.CharField(max_length=64)
    note = models.TextField(help_text="C2SP signed note.")
    signed_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"checkpoint of the {self.manifest}"


class WithdrawnAnswer(models.Model):
    """An answer of who has withdrawn from a run: by its digest a training acknowledges it. Not part of the record."""

    run = models.ForeignKey(Run, models.CASCADE, related_name="withdrawn_answers")
    digest = models.CharField(max_length=64, help_text="SHA-256 of the set, as Roaring.")
    cut = models.PositiveBigIntegerField(help_text="The ledger size that the answer counts.")
    withdrawn = models.PositiveIntegerField()
    answered_at = models.DateTimeField()
    question = models.CharField(
        max_length=64, blank=True, help_text="SHA-256 of the rules of its day that it applied."
    )
    members = models.BinaryField(
        null=True,
        help_text="The set as Roaring, of the newest answer: the next one begins with it.",
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["run", "digest"], name="one_answer_of_a_digest"),
        ]

    def __str__(self) -> str:
        return f"{self.withdrawn} withdrawn from {self.run_id}"


class Finding(Sealed):
    """Something an auditor must see: a manifest that does not verify, a run trained on something else."""

    run = models.ForeignKey(
        Run,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="findings",
        help_text="Empty for a use of data that names no run.",
    )
    kind = models.CharField(max_length=20, choices=FindingKind)
    detail = models.JSONField(default=dict)
    found_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.run or 'no run'}: {self.kind}"


class Incident(Tracked):
    """A run that used members who were out, as an entry said after it was frozen. Its manifest never changes.

    One for each run and entry. The members are in an archive, by the reason that was not known.
    """

    reference = models.CharField(max_length=20, unique=True, editable=False)
    run = models.ForeignKey(Run, models.PROTECT, related_name="incidents")
    cause = models.PositiveBigIntegerField(help_text="The entry that recorded the facts.")
    reasons = models.JSONField(help_text="By reason, how many members it kept out.")
    members = models.PositiveIntegerField()
    digest = models.CharField(max_length=64, help_text="SHA-256 of its archive: who, by reason.")
    found_at = models.DateTimeField()
    delivered = models.PositiveIntegerField(
        default=0, help_text="Members in a delivery of the run when it was found."
    )
    used = models.PositiveIntegerField(
        default=0, help_text="Members in a delivery with a receipt when it was found."
    )
    assess_by = models.DateTimeField(
        null=True,
        blank=True,
        help_text="72 hours from finding it (GDPR Art. 33(1)); empty where no data was delivered.",
    )
    state = models.CharField(max_length=12, choices=IncidentState, default=IncidentState.FOUND)
    acknowledged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+"
    )
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    version = models.PositiveIntegerField(default=1, editable=False)
    history = tracked_history()

    class Meta:
        ordering = ["-id"]
        permissions = [("view_own_incident", "Can see and acknowledge the incidents of own runs")]
        constraints = [
            models.UniqueConstraint(fields=["run", "cause"], name="one_incident_of_a_cause"),
        ]
        indexes = [models.Index(fields=["cause"], name="incident_by_cause")]

    def __str__(self) -> str:
        return self.reference

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            self.version += 1
        super().save(*args, **kwargs)


class LateLookOwed(models.Model):
    """A manifest that could not be read when late facts were looked for: the next look begins there again."""

    manifest = models.OneToOneField(Manifest, models.CASCADE, primary_key=True, related_name="+")
    after = models.PositiveBigIntegerField(help_text="The entry behind which to look.")

    def __str__(self) -> str:
        return f"{self.manifest}: owed from entry {self.after} on"


class IncidentAssessment(Sealed):
    """A privacy officer's assessment of an incident: what was done, and who must be told (GDPR Art. 33 and 34)."""

    incident = models.ForeignKey(Incident, models.PROTECT, related_name="assessments")
    measures = models.JSONField(help_text="What was done.")
    tell_authority = models.BooleanField(
        help_text="Whether the supervisory authority must be told (Art. 33)."
    )
    tell_members = models.BooleanField(help_text="Whether the members must be told (Art. 34).")
    reasons = models.TextField(max_length=2000)
    assessed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    assessed_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"assessment of {self.incident.reference}"


class IncidentReview(Sealed):
    """A second privacy officer's word on the assessment of an incident."""

    assessment = models.OneToOneField(IncidentAssessment, models.PROTECT, related_name="review")
    verdict = models.CharField(max_length=8, choices=ReviewVerdict)
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")

    def __str__(self) -> str:
        return f"{self.verdict}: {self.assessment}"


class LateLook(models.Model):
    """The ledger size up to which late facts were looked for. Not part of the record: looking again finds the same."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    looked_upto = models.PositiveBigIntegerField(default=0)
    looked_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="one_late_look")]

    def __str__(self) -> str:
        return f"looked up to entry {self.looked_upto}"


class Canary(Sealed):
    """A test account that must be out of every manifest for exactly one reason."""

    exclusion = models.CharField(max_length=20, unique=True)
    member = models.OneToOneField("consent.Member", models.PROTECT, related_name="canary")

    class Meta:
        verbose_name_plural = "canaries"

    def __str__(self) -> str:
        return f"canary for {self.exclusion}"
