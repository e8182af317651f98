"""Encrypt the redaction list under the first of REDACTION_KEYS. Stopped, it goes on when it is run again.

Set the new key before the old ones, run this, and take the old keys out once it says that every row is under the first.
"""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from ledger import entries
from ledger.errors import Refusal
from objections.models import RedactionValues
from objections.redaction import vault

ACTOR = "command:rotate_redaction_keys"


class Command(BaseCommand):
    help = __doc__

    def handle(self, *args: Any, **options: Any) -> None:
        total = RedactionValues.objects.count()
        try:
            with tqdm(total=total, unit=" rows", disable=not sys.stderr.isatty()) as progress:
                count = vault.rotate(progress.update)
            left = vault.waits_for_rotation()
        except Refusal as refusal:
            raise CommandError(
                f"{refusal} The rows before it are under the first key; run it again once this is settled."
            ) from None
        if left:
            raise CommandError(
                f"{left} of {RedactionValues.objects.count()} rows are not under the first key yet: an old key is still"
                " in use by a running process. Restart it, and run this again."
            )
        if count:
            with entries.entry(
                "redaction.keys_rotated", actor=ACTOR, reason=f"{count} rows encrypted anew"
            ):
                pass
        self.stdout.write(f"{count} rows encrypted anew; all {total} are under the first key.")
