import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from common.processes import supervisor


class Command(BaseCommand):
    help = (
        "Serve the whole portal for a trial: broker (unless REDIS_URL is set), workers and web server."
        " Production runs each as a service (docs/how-to/operator/production.md)."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--bind", default="127.0.0.1:8000", help="address and port")
        parser.add_argument(
            "--no-worker", action="store_true", help="the worker runs somewhere else"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        def say(sentence: str) -> None:
            self.stdout.write(sentence)
            self.stdout.flush()

        say(
            "This is for trials: production runs each part as a service (docs/how-to/operator/production.md)."
        )
        try:
            code = supervisor.serve(options["bind"], worker=not options["no_worker"], say=say)
        except supervisor.NotStarted as refusal:
            self.stderr.write(str(refusal))
            code = 2
        sys.exit(code)
