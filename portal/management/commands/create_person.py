"""Make a member of staff with a role: how the first administrator comes to be."""

from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.models import Group, User
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.core.validators import validate_email

from common.identity import roles
from ledger import entries


class Command(BaseCommand):
    help = "Make a member of staff with a role; `changepassword` then gives the password."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--role", required=True, choices=sorted(roles.NAMES))
        parser.add_argument(
            "--email", default="", help="Where the daily digest of the objection desk goes."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        username, role = options["username"], options["role"]
        email = options["email"]
        if email:
            try:
                validate_email(email)
            except ValidationError as error:
                raise CommandError("--email is no e-mail address.") from error
        if User.objects.filter(username=username).exists():
            raise CommandError(f"There is a user {username} already; roles change in the admin.")
        with entries.entry(
            "user.changed",
            actor="command:create_person",
            subject=username[:100],
            reason=f"Added. Roles now: {role}. Active.",
        ):
            user = User.objects.create_user(username, email, is_staff=True)
            user.groups.add(Group.objects.get(name=role))
        self.stdout.write(f"{username} is {role}. Next: manage.py changepassword {username}")
