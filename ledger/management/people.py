"""The person a command acts for."""

from django.contrib.auth.models import User
from django.core.management.base import CommandError


def active_person(username: str) -> User:
    """The active user of that name, who is no superuser. Raises CommandError."""
    people = User.objects.filter(is_active=True, is_superuser=False)
    person = people.filter(username=username).first()
    if person is None:
        raise CommandError(f"There is no active user {username}.")
    return person
