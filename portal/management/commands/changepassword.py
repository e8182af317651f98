"""Give a member of staff a password. The ledger keeps that it changed, and by which command."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.management.commands import changepassword
from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import CommandError

from ledger import entries

MAX_TRIES = 3


class Command(changepassword.Command):
    """Django's command of this name, with an entry."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)  # type: ignore[arg-type]  # a CommandParser is one
        parser.add_argument(
            "--stdin", action="store_true", help="read the password from the first line of stdin"
        )

    def handle(self, *args: Any, **options: Any) -> str:
        username = options["username"]
        if not username:
            raise CommandError("Name whose password it is: manage.py changepassword USERNAME")
        user = User.objects.filter(username=username).first()
        if user is None:
            raise CommandError(f"There is no user {username}.")
        if user.is_superuser:
            raise CommandError(
                f"{username} is a superuser, and a superuser does not sign in."
                " Make a person with a role instead: manage.py create_person."
            )
        password = self._from_stdin(user) if options["stdin"] else self._asked(user)
        # Both or neither. No transaction is open while a person types.
        with entries.entry(
            "user.changed",
            actor="command:changepassword",
            subject=username[:100],
            reason="Changed: password.",
        ):
            user.set_password(password)
            user.save(update_fields=["password"])
        return f"The password of {username} is changed."

    def _from_stdin(self, user: User) -> str:
        password = sys.stdin.readline().rstrip("\r\n")
        try:
            validate_password(password, user)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        return password

    def _asked(self, user: User) -> str:
        for _ in range(MAX_TRIES):
            password = self._typed(f"Password of {user.get_username()}: ")
            if password != self._typed("Password (again): "):
                self.stderr.write("The two differ.")
                continue
            try:
                validate_password(password, user)
            except ValidationError as error:
                self.stderr.write("\n".join(error.messages))
                continue
            return password
        raise CommandError(f"No password was set after {MAX_TRIES} attempts.")

    def _typed(self, prompt: str) -> str:
        return str(self._get_pass(prompt))  # type: ignore[attr-defined]  # the stubs leave it out
