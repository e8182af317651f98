"""The database's guards as the migrations left them: read once, lifted to empty a test database, put back as they were.

Nothing here knows which guards the models declare: a guard that a migration forgot is missing in every test.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from django.db import connection


@dataclass(frozen=True, order=True)
class Made:
    """A trigger that stands in the database."""

    name: str
    table: str
    definition: str
    """The statement that makes it, as the database says it."""
    fires: str
    """PostgreSQL's `tgenabled`: 'A' is always. Empty on SQLite."""


def read() -> list[Made]:
    """Every trigger of ours in the database."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT tgname, relname, pg_get_triggerdef(pg_trigger.oid), tgenabled::text"
                " FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid WHERE NOT tgisinternal"
            )
        else:
            cursor.execute(
                "SELECT name, tbl_name, sql, '' FROM sqlite_master WHERE type = 'trigger'"
            )
        return sorted(Made(*row) for row in cursor.fetchall())


def lift(guards: Iterable[Made] | None = None) -> None:
    """Drop these triggers, or every one."""
    with connection.cursor() as cursor:
        for made in read() if guards is None else guards:
            on = f' ON "{made.table}"' if connection.vendor == "postgresql" else ""
            cursor.execute(f'DROP TRIGGER "{made.name}"{on}')


def put_back(guards: Iterable[Made]) -> None:
    """Make these triggers; none of them may stand."""
    how = {"A": "ENABLE ALWAYS", "R": "ENABLE REPLICA", "D": "DISABLE"}
    with connection.cursor() as cursor:
        for made in guards:
            cursor.execute(made.definition)
            if made.fires in how:
                cursor.execute(
                    f'ALTER TABLE "{made.table}" {how[made.fires]} TRIGGER "{made.name}"'
                )
