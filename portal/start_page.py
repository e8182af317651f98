"""The start page: for each role, what waits for that person.

Apps add their panels from their `admin.py`; the portal itself knows no member, ticket or run.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User
from django.http import HttpRequest

Person = User | AbstractBaseUser | AnonymousUser


@dataclass(frozen=True)
class Line:
    """One thing that waits. `tone` is "", "good", "warning" or "danger" and only repeats what the words say."""

    text: str
    url: str = ""
    detail: str = ""
    tone: str = ""


@dataclass(frozen=True)
class Panel:
    """A box of the start page. `empty` says in words that nothing waits."""

    title: str
    lines: Sequence[Line]
    empty: str
    links: Sequence[tuple[str, str]] = ()
    """(text, url): where to go from here."""


@dataclass(frozen=True)
class _Place:
    permission: str
    order: int
    build: Callable[[HttpRequest], Panel]


_places: list[_Place] = []


def panel(
    permission: str, *, order: int
) -> Callable[[Callable[[HttpRequest], Panel]], Callable[[HttpRequest], Panel]]:
    """Put a panel on the start page of everybody who has the permission, in the given order."""

    def add(build: Callable[[HttpRequest], Panel]) -> Callable[[HttpRequest], Panel]:
        _places.append(_Place(permission, order, build))
        return build

    return add


def panels_for(request: HttpRequest) -> list[Panel]:
    """The panels of the person who asks."""
    places = sorted(_places, key=lambda place: place.order)
    return [p.build(request) for p in places if request.user.has_perm(p.permission)]
