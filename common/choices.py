"""The closed vocabularies of what every app uses."""

from django.db import models


class FileState(models.TextChoices):
    """How far a made file is."""

    WAITING = "waiting", "being made"
    READY = "ready", "ready"
    FAILED = "failed", "failed"
    ENDED = "ended", "ended"
