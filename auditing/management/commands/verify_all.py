"""Derive every manifest from history, here and on the other database engine, and recompute the ledger."""

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from auditing import verification
from ledger.errors import Refusal
from ledger.verification.verifying import verify_ledger


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--other",
            default="",
            metavar="URL",
            help="an empty PostgreSQL database, postgres://…, for a portal on SQLite; its user must be a superuser",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        started = time.monotonic()
        report = verify_ledger()
        verification.record_check(report, time.monotonic() - started)
        self.stdout.write(f"{report.size} entries and {report.rows} rows recomputed.")
        try:
            done = verification.verify_all(other=options["other"])
        except Refusal as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{done.here} manifests agree with history here.")
        if done.engine:
            self.stdout.write(f"{done.there} manifests agree with history on {done.engine}.")
        else:
            self.stderr.write(
                self.style.WARNING(
                    "NOT DERIVED ON ANOTHER ENGINE: this portal is on SQLite; give an empty PostgreSQL"
                    " database with --other postgres://…"
                )
            )
        for problem in [*report.problems, *done.problems]:
            self.stderr.write(self.style.ERROR(problem))
        if report.problems or done.problems:
            raise CommandError("Something does not verify: see docs/how-to/verification-failed.md.")
