"""Refuse to make a superuser: one is past every rule of the roles."""

from typing import Any

from django.contrib.auth.management.commands import createsuperuser
from django.core.management.base import CommandError

from ledger import entries

REFUSAL = (
    "The portal has no superuser: one is past every rule of the roles, and cannot sign in."
    " Make a person with a role: manage.py create_person NAME --role Administrator,"
    " then manage.py changepassword NAME. The attempt is in the ledger."
)


class Command(createsuperuser.Command):
    """Refuse to make a superuser and name the right command. Takes Django's arguments, so that scripts get this answer too."""

    help = __doc__

    def handle(self, *args: Any, **options: Any) -> None:
        with entries.entry(
            "user.superuser_refused",
            actor="command:createsuperuser",
            reason="Refused: a superuser is past every rule of the roles.",
        ):
            pass
        raise CommandError(REFUSAL)
