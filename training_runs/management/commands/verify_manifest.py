"""Derive a run's manifest a second time from history, and compare. Exit code 1 when they differ."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from training_runs.choices import Agreement
from training_runs.models import Manifest
from training_runs.runs import verifying


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("reference", help="the run: TR-2026-000012")

    def handle(self, *args: Any, **options: Any) -> None:
        reference = options["reference"]
        manifest = Manifest.objects.select_related("run").filter(run__reference=reference).first()
        if manifest is None:
            raise CommandError(f"There is no manifest of {reference}.")
        verification = verifying.verify(manifest, actor="command:verify_manifest")
        self.stdout.write(
            f"frozen   {manifest.digest}\nderived  {verification.derived_digest}\n"
            f"cut      {manifest.cut}\nroot     {manifest.ledger_root}"
        )
        if verification.agreement != Agreement.AGREES:
            differences = ", ".join(f"{what}: {n}" for what, n in verification.detail.items())
            raise CommandError(f"The manifest of {reference} does not verify ({differences}).")
        self.stdout.write(f"The manifest of {reference} verifies.")
