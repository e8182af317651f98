"""Ages of waiting work: each app registers how old its oldest may be, and `/readyz` reports it."""

import datetime as dt
from collections.abc import Callable, Iterator

Age = Callable[[dt.datetime], dt.timedelta | None]
"""From the time that it is now to the age of the oldest; None where nothing waits."""

_ages: dict[str, tuple[Age, dt.timedelta]] = {}


def register_age(name: str, age: Age, *, limit: dt.timedelta) -> None:
    """Have `/readyz` report how old something is; older than `limit` is degraded. Called by apps."""
    _ages[name] = (age, limit)


def ages() -> Iterator[tuple[str, Age, dt.timedelta]]:
    """Each registered age with its name and limit."""
    for name, (age, limit) in _ages.items():
        yield name, age, limit
