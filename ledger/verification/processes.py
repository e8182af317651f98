"""How a process of our own begins. Knows no model: it is imported before Django is set up."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any, TypeVar

import django
from django.db import connection

Work = TypeVar("Work")
Done = TypeVar("Done")


def in_processes(
    do: Callable[[Work], Done], work: Iterable[Work], *, processes: int
) -> Iterator[Done]:
    """`map` over processes that have our database; the results come in the order of the work.

    `do` is a function of a module. What this process has not committed the others do not see.
    """
    names = ("NAME", "USER", "PASSWORD", "HOST", "PORT", "OPTIONS")
    database = {name: connection.settings_dict[name] for name in names}
    # Not forked: two processes on one connection to the database would be the end of both.
    with ProcessPoolExecutor(
        processes, get_context("spawn"), initializer=_begin, initargs=(database,)
    ) as pool:
        yield from pool.map(do, work)


def _begin(database: dict[str, Any]) -> None:
    django.setup()
    connection.settings_dict.update(database)
