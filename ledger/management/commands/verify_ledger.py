from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from ledger.entries import read_head
from ledger.verification.verifying import verify_ledger


class Command(BaseCommand):
    help = "Recompute the ledger from the rows it seals, and current state from history."

    def handle(self, *args: Any, **options: Any) -> None:
        with tqdm(total=read_head().size, unit=" entries", disable=None, leave=False) as bar:
            report = verify_ledger(progress=lambda size: bar.update(size - bar.n))
        for problem in report.problems:
            self.stderr.write(self.style.ERROR(problem))
        if report.problems:
            raise CommandError("The ledger does not verify.")
        self.stdout.write(
            f"{report.size} entries and {report.rows} rows recomputed, root {report.root}."
        )
        for check in report.checks:
            self.stdout.write(f"Checked: {check}.")
