"""Load the real timeline of generative AI: its notices and region rules, with dates and sources."""

import datetime as dt
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser

from consent.rulebook import timeline
from ledger.errors import Refusal


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--until",
            type=dt.date.fromisoformat,
            metavar="DATE",
            help="only rules known by this day (YYYY-MM-DD)",
        )
        parser.add_argument("--proposed-by", required=True, metavar="USER")
        parser.add_argument("--approved-by", required=True, metavar="USER")

    def handle(self, *args: Any, **options: Any) -> None:
        people = [self._person(options[part]) for part in ("proposed_by", "approved_by")]
        try:
            for sentence in timeline.load(
                proposer=people[0], approver=people[1], until=options["until"]
            ):
                self.stdout.write(sentence)
        except Refusal as refusal:
            raise CommandError(str(refusal)) from refusal

    def _person(self, username: str) -> User:
        try:
            return User.objects.get(username=username)
        except User.DoesNotExist:
            raise CommandError(f"There is no user {username!r}.") from None
