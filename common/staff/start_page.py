"""The start page: for each role, what waits for that person.

Apps add their panels with a decorator, from the modules that their `admin.py` imports.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User
from django.http import HttpRequest

from common import drafts
from common.models import Draft

SENT_BACK = "Sent back to you"
BEGUN = "Unfinished drafts"

Person = User | AbstractBaseUser | AnonymousUser


@dataclass(frozen=True)
class PanelLine:
    """One thing that waits. `tone` is "", "good", "warning" or "danger" and only repeats what the words say."""

    text: str
    url: str = ""
    detail: str = ""
    tone: str = ""


@dataclass(frozen=True)
class Panel:
    """A box of the start page. `empty` says in words that nothing waits."""

    title: str
    lines: Sequence[PanelLine]
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
    """The panels of the person who asks; first of all what came back to them."""
    places = sorted(_places, key=lambda place: place.order)
    found = [p.build(request) for p in places if request.user.has_perm(p.permission)]
    if begun := drafts.of(request.user):
        found.insert(0, _drafts_panel(begun))
    if came_back := sent_back_to(request.user):
        found.insert(0, _sent_back_panel(came_back))
    return found


# --- What came back -----------------------------------------------------------------------------


@dataclass(frozen=True)
class SentBack:
    """An act that its author proposed and a second person did not let pass. `url` is the form with its words."""

    text: str
    url: str
    by: str
    reason: str


_sources: list[tuple[str, Callable[[Person], Iterable[SentBack]]]] = []


def sent_back(
    permission: str,
) -> Callable[[Callable[[Person], Iterable[SentBack]]], Callable[[Person], Iterable[SentBack]]]:
    """Add a kind of proposal that can come back to its author, for those who may propose it."""

    def add(
        source: Callable[[Person], Iterable[SentBack]],
    ) -> Callable[[Person], Iterable[SentBack]]:
        _sources.append((permission, source))
        return source

    return add


def sent_back_to(person: Person) -> list[SentBack]:
    """Everything that came back to a person and waits for them to go on."""
    return [
        one
        for permission, source in _sources
        if person.has_perm(permission)  # type: ignore[union-attr]  # a base user has no permissions
        for one in source(person)
    ]


def _sent_back_panel(found: Sequence[SentBack]) -> Panel:
    lines = [
        PanelLine(one.text, one.url, f"sent back by {one.by}: {one.reason}", "danger")
        for one in found
    ]
    return Panel(SENT_BACK, lines, "Nothing was sent back to you.")


def _drafts_panel(found: Sequence[Draft]) -> Panel:
    lines = [
        PanelLine(
            one.title or "A form",
            one.address,
            f"typed on {one.saved_at:%Y-%m-%d %H:%M} UTC, kept for {settings.DRAFT_DAYS} days; only you see it",
        )
        for one in found
    ]
    return Panel(BEGUN, lines, "You have no unfinished drafts.")
