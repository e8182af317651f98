"""The closed vocabularies of what every app uses."""

from django.db import models


class FileState(models.TextChoices):
    """The state of a made file."""

    WAITING = "waiting", "being made"
    READY = "ready", "ready"
    FAILED = "failed", "failed"
    ENDED = "ended", "ended"
