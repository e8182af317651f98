"""Recompute the ledger and derive again, for a while, the manifests that were verified longest ago; the worker's clock
starts it every night.
"""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from auditing import verification


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--seconds", type=float, default=3_600, help="how long to derive manifests again"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        check = verification.check_tonight(seconds=options["seconds"])
        self.stdout.write(f"{check.size} entries and {check.rows} rows recomputed.")
        if check.problems:
            raise CommandError(
                "The ledger does not verify: see docs/how-to/verification-failed.md."
            )
