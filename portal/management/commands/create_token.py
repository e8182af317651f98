"""Make a service token and print it, once."""

from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.models import Group, User
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from common import registry
from common.identity import roles, tokens
from ledger import entries
from ledger.checkpoints import signing
from ledger.errors import Refusal

ACTOR = "system:create_token"


class Command(BaseCommand):
    help = "Make a service token for a user and print it once; it is not stored anywhere else."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--user", required=True, help="The user's name.")
        parser.add_argument("--name", required=True, help="What the token is for.")
        parser.add_argument(
            "--scope", required=True, nargs="+", help=f"From: {', '.join(registry.scopes)}."
        )
        parser.add_argument("--days", type=int, default=90, help="Ends after (90, at most 365).")
        parser.add_argument(
            "--create-user", action="store_true",
            help="Make a service user of that name, who cannot log in by password; needs --role.",
        )  # fmt: skip
        parser.add_argument("--role", choices=sorted(roles.NAMES), help="The new user's role.")

    def handle(self, *args: Any, **options: Any) -> None:
        if bool(options["role"]) != options["create_user"]:
            raise CommandError("--create-user and --role go together.")
        try:
            # The user and the token, or neither.
            with transaction.atomic():
                _, plain = tokens.issue_token(
                    user=self._user(options["user"], options["role"]),
                    name=options["name"],
                    scopes=options["scope"],
                    days=options["days"],
                    actor=ACTOR,
                )
        except Refusal as refusal:
            place = getattr(refusal, "field", "")
            raise CommandError(f"{place}: {refusal}" if place else str(refusal)) from refusal
        self.stdout.write(plain)
        for verifier in signing.verifiers():
            self.stderr.write(f"Checkpoints are signed by {verifier.text}")

    def _user(self, username: str, role: str | None) -> User:
        user = User.objects.filter(username=username).first()
        if role is None:
            if user is None:
                raise CommandError(
                    f"There is no user {username}. --create-user --role ROLE makes a service user."
                )
            return user
        if user is not None:
            raise CommandError(f"There is a user {username} already: leave --create-user away.")
        with entries.entry(
            "user.changed",
            actor=ACTOR,
            subject=username[:100],
            reason=f"Added. Roles now: {role}. Active.",
        ):
            user = User.objects.create_user(username)
            user.groups.add(Group.objects.get(name=role))
        return user
