"""The keys that sign checkpoints: show them, add one, retire one. Replacing a key is adding, waiting, retiring."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ledger.checkpoints import signing
from ledger.errors import Refusal
from ledger.management.people import active_person


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        acts = parser.add_subparsers(dest="act", required=True, metavar="show | add | retire")
        acts.add_parser("show", help="print the verifier keys of the key file")
        add = acts.add_parser("add", help="make a key; it signs beside those that are there")
        add.add_argument("--by", required=True, help="username of the person who does it")
        retire = acts.add_parser("retire", help="stop a key from signing")
        retire.add_argument("key_id", help="its eight hexadecimal digits")
        retire.add_argument("--by", required=True, help="username of the person who does it")
        retire.add_argument("--reason", required=True, help="why; the ledger keeps it")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["act"] == "show":
                for signer in signing.signers():
                    self.stdout.write(signer.verifier.text)
            elif options["act"] == "add":
                verifier = signing.add_key(actor=active_person(options["by"]))
                self.stdout.write(verifier.text)
                self.stderr.write(
                    "Give this to the auditors through a separate channel, outside the portal."
                )
            else:
                actor = active_person(options["by"])
                signing.retire_key(options["key_id"], actor=actor, reason=options["reason"])
                self.stdout.write(f"{options['key_id']} signs no more.")
        except Refusal as error:
            raise CommandError(str(error)) from error
