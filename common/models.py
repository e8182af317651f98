"""Rows that the pages, endpoints and processes of every app share: tokens, failed sign-ins, made files, drafts and leases."""

import secrets
from functools import partial

from django.conf import settings
from django.db import models
from django.utils import timezone
from knox.models import AbstractAuthToken

from common.choices import FileState


class Lease(models.Model):
    """Which work a process has for itself, and until when (`common.processes.leases`). Not part of the record."""

    name = models.CharField(max_length=100, primary_key=True)
    token = models.CharField(max_length=32, blank=True)
    expires_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name


class ServiceToken(AbstractAuthToken):
    """A bearer token of a service or a person: stored hashed, scoped, expiring.

    The token can do what its user may do, and of that only what its scopes name.
    """

    name = models.CharField(max_length=100, help_text="What it is for.")
    scopes = models.JSONField(default=list)

    class Meta:
        ordering = ["-created"]

    def __str__(self) -> str:
        return f"{self.name} ({self.token_key}…)"


class FailedSignIns(models.Model):
    """A count of failed sign-ins, by account and sender or by sender alone (`common.identity.sign_in`).

    Nothing is proved by it: it is neither sealed nor guarded, and goes a day after the last failure.
    """

    key = models.CharField(
        max_length=64, primary_key=True, help_text="Keyed hash of account and sender."
    )
    failures = models.PositiveIntegerField(default=0)
    failed_at = models.DateTimeField(db_index=True)

    class Meta:
        verbose_name_plural = "failed sign-ins"

    def __str__(self) -> str:
        return f"{self.failures} failures"


class MadeFile(models.Model):
    """A long file that was requested: its place in the queue, and where it is once it is made.

    Not part of the record, and erasable: it ends after some hours. Who downloaded it is in the record of reads.
    """

    key = models.CharField(
        max_length=32, unique=True, editable=False, default=partial(secrets.token_hex, 16)
    )
    kind = models.CharField(max_length=40, help_text="Which maker writes it.")
    parameters = models.JSONField(default=dict, help_text="What the maker is told.")
    question = models.CharField(
        max_length=64, db_index=True, help_text="SHA-256 of kind and parameters."
    )
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    state = models.CharField(max_length=7, choices=FileState, default=FileState.WAITING)
    asked_at = models.DateTimeField(default=timezone.now)

    claim = models.CharField(max_length=32, blank=True, help_text="Names the process at work.")
    not_before = models.DateTimeField(
        default=timezone.now, help_text="Until then the process at work has it alone."
    )
    attempts = models.PositiveIntegerField(default=0)
    written = models.PositiveBigIntegerField(default=0, help_text="Bytes so far.")
    error_code = models.CharField(max_length=40, blank=True)
    error = models.CharField(max_length=500, blank=True)

    digest = models.CharField(max_length=64, blank=True, help_text="SHA-256 of the file.")
    size = models.PositiveBigIntegerField(default=0, help_text="Bytes of the file.")
    facts = models.JSONField(default=dict, help_text="What the maker counted.")
    ends_at = models.DateTimeField(null=True, help_text="From then on the file is deleted.")
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["question"],
                condition=models.Q(state=FileState.WAITING),
                name="file_is_made_once",
            ),
        ]
        indexes = [models.Index(fields=["state", "not_before"], name="file_queue")]

    def __str__(self) -> str:
        return f"{self.kind} {self.key}"


class Draft(models.Model):
    """Values that a person typed into a form whose act is not done yet. Only that person ever sees them.

    Personal data: untracked, unsealed, deleted with the act, with its subject, and after `DRAFT_DAYS`.
    """

    officer = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    address = models.CharField(max_length=200, help_text="The path of the form's page.")
    subject = models.CharField(max_length=100, blank=True, db_index=True)
    title = models.CharField(max_length=200, blank=True)
    fields = models.JSONField(help_text="The values sent, by the name of their field.")
    saved_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["officer", "address"], name="one_draft_of_a_form"),
        ]

    def __str__(self) -> str:
        return f"draft {self.pk}"


class DraftFile(models.Model):
    """A file chosen for a form whose act is not done yet."""

    draft = models.ForeignKey(Draft, models.CASCADE, related_name="files")
    field = models.CharField(max_length=50)
    name = models.CharField(max_length=200)
    data = models.BinaryField()

    def __str__(self) -> str:
        return f"file of draft {self.draft_id}"
