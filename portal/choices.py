"""The ground's closed vocabularies."""

from django.db import models


class DeliveryChannel(models.TextChoices):
    """How a checkpoint left the portal."""

    DIRECTORY = "directory", "directory"
    EMAIL = "email", "e-mail"
    API = "api", "API"
    DOWNLOAD = "download", "download"


class FileState(models.TextChoices):
    """How far a made file is."""

    WAITING = "waiting", "being made"
    READY = "ready", "ready"
    FAILED = "failed", "failed"
    ENDED = "ended", "ended"
