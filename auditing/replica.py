"""Working on another database for a while: a copy of the history on the other engine."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.db import DEFAULT_DB_ALIAS

_alias: ContextVar[str] = ContextVar("alias", default=DEFAULT_DB_ALIAS)


@contextmanager
def working_on(alias: str) -> Iterator[None]:
    """Inside the block the ORM uses that database unless a query names another one."""
    reset = _alias.set(alias)
    try:
        yield
    finally:
        _alias.reset(reset)


class Router:
    """Asked by Django for every question and every write (DATABASE_ROUTERS)."""

    def db_for_read(self, model: type[Any], **hints: Any) -> str:
        return _alias.get()

    db_for_write = db_for_read
