"""Freeze requested runs, verify unverified manifests, make long files: by hand, or where there is no broker."""

import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from common.files import made_files
from ledger.checks import require_triggers
from training_runs.runs import sweeping


def _sweep() -> dict[str, int]:
    done = sweeping.sweep()
    made_files.remove_ended()
    files = made_files.make_due()
    failed = done.pop("failed") + files["failed"]
    return done | {"files made": files["made"], "failed": failed}


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--every",
            type=float,
            metavar="SECONDS",
            help="go on until stopped; without it, sweep once",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        require_triggers()
        if options["every"] is None:
            done = _sweep()
            self._say(done)
            if done["failed"]:
                raise CommandError("See the log, and the run's page, for what went wrong.")
            return
        stopped = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stopped.set())
        while not stopped.is_set():
            done = _sweep()
            if any(done.values()):
                self._say(done)
            stopped.wait(options["every"])

    def _say(self, done: dict[str, int]) -> None:
        self.stdout.write(", ".join(f"{count} {what}" for what, count in done.items()) + ".")
        self.stdout.flush()
