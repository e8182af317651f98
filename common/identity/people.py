"""What hangs on a person's account: said on its page before the account is closed, and after.

The portal itself knows no ticket or run: each app that gives work to people registers a sentence when it starts.
"""

from collections.abc import Callable

from django.contrib.auth.models import User

_sentences: list[Callable[[User], str]] = []


def register_work(sentence: Callable[[User], str]) -> None:
    """Have the page of an account say what the person has; an empty sentence says nothing."""
    _sentences.append(sentence)


def work_of(person: User) -> list[str]:
    """What the person has, as far as it needs another one when they leave."""
    return [said for sentence in _sentences if (said := sentence(person))]
