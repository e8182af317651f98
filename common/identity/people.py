"""What hangs on a person's account: said on its page before the account is closed, and after."""

from django.contrib.auth.models import User

from common import registry


def work_of(person: User) -> list[str]:
    """What the person has, as far as it needs another one when they leave; each app that gives people work says it."""
    sentences = (say(person) for say in registry.hooks("common.work_of_account"))
    return [said for said in sentences if said]
