"""Erase a member's identity (GDPR Art. 17): out for good, in every run from now on. Cannot be undone.

The account_ref is personal data, so it is asked for, or read from standard input, and never an argument:
arguments are seen by everybody on the machine and stay in the shell's history.
"""

import getpass
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from consent import accounts
from ledger.errors import Refusal
from ledger.management.people import active_person


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--reason", required=True, help="goes into the ledger: no personal data, no account_ref"
        )
        parser.add_argument("--by", required=True, metavar="USER", help="who decided it")
        parser.add_argument("--yes", action="store_true", help="do not ask, for standard input")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["reason"].strip():
            raise CommandError("Say why.")
        person = active_person(options["by"])
        if sys.stdin.isatty():
            account_ref = getpass.getpass("account_ref (not shown): ")
        else:
            account_ref = sys.stdin.readline().rstrip("\r\n")
            if not options["yes"]:
                raise CommandError("There is no terminal to confirm on: pass --yes.")
        if account_ref and account_ref in options["reason"]:
            raise CommandError("The reason holds the account_ref: it would stay in the ledger.")
        if not options["yes"] and input("Erase this member for good? Type 'erase': ") != "erase":
            raise CommandError("Nothing was erased.")
        try:
            member = accounts.erase_member(
                account_ref=account_ref, actor=person, reason=options["reason"]
            )
        except Refusal as refusal:
            raise CommandError(str(refusal)) from refusal
        self.stdout.write(f"Erased: {member} is out of every run from now on.")
        for sentence in accounts.kept_after_erasure(member):
            self.stdout.write(sentence)
