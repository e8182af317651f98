from django.db import models

from ledger.models import Sealed


class Note(Sealed):
    text = models.TextField()

    def __str__(self) -> str:
        return self.text
