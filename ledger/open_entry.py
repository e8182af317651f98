"""The entry being written: rows ask for it, so that nothing tracked or sealed is written outside one."""

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Union

from django.db import models

from ledger.errors import NoOpenEntry

if TYPE_CHECKING:
    from django.contrib.auth.models import User

Actor = Union["User", str]
"""The actor: a user, or the name of a command or task, written `system:freezer`."""


@dataclass
class OpenEntry:
    """The entry being written. `touch` says which sealed models it has written to."""

    sequence: int
    kind: str
    actor_id: int | None
    actor_name: str
    subject: str
    reason: str
    recorded_at: dt.datetime
    latest_at: dt.datetime
    """The latest `recorded_at` up to this entry: its own, unless a clock stepped back before it."""
    touched: set[type[models.Model]] = field(default_factory=set)
    abandoned: bool = False
    credential: str = ""
    clocks_disagree: bool = False
    """Only kinds declared `despite_clocks` are written: the clocks disagree, or an earlier step is not settled yet."""

    def abandon(self) -> None:
        """Give up an entry that needs no rows after all: no entry is made."""
        self.abandoned = True

    def touch(self, model: type[models.Model]) -> None:
        self.touched.add(model)


opened: ContextVar[OpenEntry | None] = ContextVar("opened", default=None)
"""Set by `ledger.entries.entry` only."""


credential: ContextVar[str | Callable[[], str]] = ContextVar("credential", default="")
"""By what the actor may act: `session`, `link`, `token:<token key>`, `command:<name>:<user of the system>`, `task:<name>`.

A function is called when an entry asks: who is signed in costs a query that most requests do not need. Empty where
nothing is known.
"""


@contextmanager
def acting_with(what: str | Callable[[], str]) -> Iterator[None]:
    """Entries inside record `what` as their credential, unless one inside sets another."""
    reset = credential.set(what)
    try:
        yield
    finally:
        credential.reset(reset)


def credential_now() -> str:
    """The credential of an entry that is opened now."""
    found = credential.get()
    return found if isinstance(found, str) else found()


def current(row: models.Model | None = None) -> OpenEntry:
    """The open entry. Raises NoOpenEntry when there is none."""
    found = opened.get()
    if found is None:
        what = row._meta.label if row is not None else "This"
        raise NoOpenEntry(f"{what} is written inside `with ledger.entry(...)` only.")
    return found


def name_of(actor: Actor) -> str:
    return actor if isinstance(actor, str) else actor.get_username()
