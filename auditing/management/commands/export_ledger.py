"""Write the ledger, its checkpoints, the reads and every manifest into a directory, for `outsider/verify.py`."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from auditing.exports import exporting
from ledger.entries import read_head
from ledger.errors import Refusal
from ledger.management.people import active_person
from ledger.reads.recording import record_read


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("directory", type=Path, help="a directory that does not exist yet")
        parser.add_argument("--by", required=True, metavar="USER", help="who asks for the export")
        parser.add_argument("--purpose", required=True, help="the reason; it is recorded")

    def handle(self, *args: Any, **options: Any) -> None:
        person = active_person(options["by"])
        if not person.has_perm("ledger.view_checkpoint"):
            raise CommandError(
                f"{person.username} is not an auditor: only auditors can export the ledger."
            )
        if not options["purpose"].strip():
            raise CommandError("Give a reason.")
        try:
            record_read(person, "export.ledger", "ledger", purpose=options["purpose"])
            with tqdm(total=read_head().size, unit=" entries", disable=None, leave=False) as bar:
                done = exporting.export(options["directory"], progress=bar.update)
        except (Refusal, OSError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"{done.size} entries and {done.manifests} manifests are in {done.directory}.\n"
            f"Check it: python3 verify.py export {done.directory} --key VERIFIER_KEY --kept CHECKPOINT"
        )
