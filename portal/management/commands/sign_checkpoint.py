"""Sign a checkpoint over what the ledger has grown by: by hand, from cron, or under a service manager."""

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from portal import checkpoints
from portal.checks import require_triggers
from portal.errors import PortalError
from portal.models import Checkpoint


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
                checkpoint = checkpoints.sign_now()
                if options["every"] is None or checkpoint != before:
                    self.stdout.write(checkpoint.note)
                if options["every"] is None:
                    return
                self.stdout.flush()
                time.sleep(options["every"])
        except PortalError as error:
            raise CommandError(str(error)) from error
