"""The registry of what each app brings to the portal, declared in its module `brings.py` and collected at the start.

A `Brings` names functions and classes by their dotted names, so that a module of declarations imports no model: the
settings read schedule and queues from it before any app is loaded. `collect` resolves the names once every app is
loaded; one that does not exist stops the process. Panels of the start page, and proposals sent back to their authors,
are declared by decorators at their functions (`common.staff.start_page`).
"""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.utils.module_loading import import_string

from ledger import registry as ledger
from ledger.errors import LedgerError
from ledger.registry import EntryKind, ReadKind

Age = Callable[[dt.datetime], dt.timedelta | None]
"""From the time that it is now to the age of the oldest that waits; None where nothing waits."""


@dataclass(frozen=True)
class Every:
    """A task that runs again and again. `seconds` is the name of the setting that says how often."""

    task: str
    seconds: str


@dataclass(frozen=True)
class Daily:
    """A task of the day, at hours and minutes of a crontab. A message not taken `within` so many seconds is dropped."""

    task: str
    hour: str
    minute: str
    within: int = 20 * 3600


@dataclass(frozen=True)
class Waiting:
    """Work that waits: `/readyz` reports the age of the oldest, and older than `limit` is degraded."""

    name: str
    oldest: str
    """Dotted name of an `Age`."""
    limit: dt.timedelta


@dataclass(frozen=True, kw_only=True)
class Brings:
    """The declarations of one app."""

    entries: Sequence[EntryKind] = ()
    reads: Sequence[ReadKind] = ()
    scopes: Mapping[str, str] = field(default_factory=dict)
    """Scopes of service tokens, with what each lets a token do."""
    permissions: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Permissions by role. A permission that no app names belongs to no role."""
    schedule: Mapping[str, Every | Daily] = field(default_factory=dict)
    queues: Mapping[str, str] = field(default_factory=dict)
    """Queues by task; a task that is not named waits in the default one."""
    waiting: Sequence[Waiting] = ()
    checks: Mapping[str, str] = field(default_factory=dict)
    """Checks of `verify_ledger` by name: dotted names."""
    files: Sequence[str] = ()
    """Dotted names of the `common.files.made_files.Maker` classes."""
    subjects: Sequence[str] = ()
    """Dotted names of `common.staff.subjects.Subject` values, in the order in which they are looked up."""
    trees: Sequence[str] = ()
    """Dotted names of functions that sign trees with each checkpoint (`ledger.registry.trees`)."""
    points: Mapping[str, str] = field(default_factory=dict)
    """Points where apps above may hook in, with what is called there and how."""
    hooks: Mapping[str, str] = field(default_factory=dict)
    """For a point of an app below: the dotted name of the function that is called."""


scopes: dict[str, str] = {}
permissions: dict[str, list[str]] = {}
"""By role."""
waiting: list[tuple[str, Age, dt.timedelta]] = []
makers: dict[str, Any] = {}
subjects: list[Any] = []
_hooks: dict[str, list[Callable[..., Any]]] = {}


def collect(brought: Iterable[Brings]) -> None:
    """Make known what the apps bring, given from the ground up. Called once, when every app is loaded."""
    brought = list(brought)
    # What names nothing comes first: modules that are imported below may ask for it.
    for one in brought:
        ledger.declare(*one.entries, *one.reads)
        scopes.update(one.scopes)
        for role, names in one.permissions.items():
            permissions.setdefault(role, []).extend(names)
        _hooks.update({point: [] for point in one.points})
    for one in brought:
        waiting.extend((w.name, import_string(w.oldest), w.limit) for w in one.waiting)
        ledger.checks.update({name: import_string(check) for name, check in one.checks.items()})
        for maker in map(import_string, one.files):
            makers[maker.kind] = maker()
        subjects.extend(map(import_string, one.subjects))
        ledger.trees.extend(map(import_string, one.trees))
        for point, function in one.hooks.items():
            _hooks[point].append(import_string(function))


def hooks(point: str) -> list[Callable[..., Any]]:
    """The functions of apps above that are called at a point. Raises LedgerError for a point no app declares."""
    if point not in _hooks:
        raise LedgerError(f"No app declares the point {point!r}.")
    return _hooks[point]
