"""Who a command acts for."""

from django.contrib.auth.models import User
from django.core.management.base import CommandError


def active_person(username: str) -> User:
    """The active user of that name. Raises CommandError."""
    person = User.objects.filter(username=username, is_active=True).first()
    if person is None:
        raise CommandError(f"There is no active user {username}.")
    return person
