"""Permissions for an auditor to see more than numbers."""

from django.conf import settings
from django.db import models

from ledger.models import Sealed


class Reveal(Sealed):
    """An officer's leave for one auditor to see who one member or one requester is, for a while.

    The reason is the entry's. Each look is a read of its own.
    """

    auditor = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="reveals")
    subject = models.CharField(max_length=40, help_text="member:12, or a ticket's reference.")
    granted_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    until = models.DateTimeField(help_text="The identity cannot be seen after that.")

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"reveal of {self.subject}"


class Dossier(models.Model):
    """No table: dossiers and past states are read from the ledger. It holds the right to open them."""

    class Meta:
        managed = False
        default_permissions = ()
        permissions = [("view_dossier", "Can open dossiers and past states")]

    def __str__(self) -> str:
        return "dossier"
