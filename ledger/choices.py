"""The ledger's closed vocabularies."""

from django.db import models


class DeliveryChannel(models.TextChoices):
    """How a checkpoint left the portal."""

    DIRECTORY = "directory", "directory"
    EMAIL = "email", "e-mail"
    API = "api", "API"
    DOWNLOAD = "download", "download"
