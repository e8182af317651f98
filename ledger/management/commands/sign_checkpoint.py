"""Sign a checkpoint over what the ledger has grown by: by hand, from cron, or under a service manager."""

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ledger.checkpoints import signing
from ledger.checks import require_triggers
from ledger.errors import Refusal
from ledger.models import Checkpoint


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--every", type=float, metavar="SECONDS", help="go on until stopped; else sign once"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        require_triggers()
        try:
            while True:
                before = Checkpoint.objects.first()
                checkpoint = signing.sign_now()
                if options["every"] is None or checkpoint != before:
                    self.stdout.write(checkpoint.note)
                if options["every"] is None:
                    return
                self.stdout.flush()
                time.sleep(options["every"])
        except Refusal as error:
            raise CommandError(str(error)) from error
