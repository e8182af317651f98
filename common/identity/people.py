"""Work that depends on a person's account: its page shows it before and after the account is closed."""

from django.contrib.auth.models import User

from common import registry


def work_of(person: User) -> list[str]:
    """The person's work that another one has to take over when they leave. Each app that gives people work lists it."""
    sentences = (say(person) for say in registry.hooks("common.work_of_account"))
    return [said for said in sentences if said]
