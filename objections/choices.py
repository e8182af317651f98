from django.db import models


class Effect(models.TextChoices):
    """What an objection does to one purpose."""

    RESTRICTING = "restricting", "out while it is examined"
    UPHELD = "upheld", "out for good"
    LIFTED = "lifted", "no effect"
