"""Many rows at once, past the ORM: COPY on PostgreSQL, `executemany` on SQLite.

Only for services that write their own history and ledger entry around it. Values are str, int, date, aware
datetime or None. Work is done column by column: a loop over single values would cost more than the database.
"""

import datetime as dt
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.db import connection, models

Rows = Iterable[Sequence[Any]]

_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_STAGE = "bulk_stage"


def insert_rows(model: type[models.Model], columns: Sequence[str], rows: Rows) -> None:
    """Insert rows. Columns left out take the database's default."""
    table, names = _quoted(model, columns)
    if connection.vendor == "postgresql":
        _copy(f"{table} ({', '.join(names)})", rows)
    else:
        marks = ", ".join(["%s"] * len(columns))
        _execute_many(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})", rows)


def update_rows(model: type[models.Model], columns: Sequence[str], rows: Rows) -> None:
    """Update rows by their first column, the primary key. A key that is not there changes nothing."""
    table, (key, *names) = _quoted(model, columns)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                f"CREATE TEMPORARY TABLE {_STAGE} AS"
                f" SELECT {', '.join([key, *names])} FROM {table} WITH NO DATA"
            )
            _copy(_STAGE, rows)
            moved = ", ".join(f"{name} = s.{name}" for name in names)
            cursor.execute(f"UPDATE {table} t SET {moved} FROM {_STAGE} s WHERE t.{key} = s.{key}")
            cursor.execute(f"DROP TABLE {_STAGE}")
    else:
        moved = ", ".join(f"{name} = %s" for name in names)
        _execute_many(
            f"UPDATE {table} SET {moved} WHERE {key} = %s", ((*row[1:], row[0]) for row in rows)
        )


def among(column: str, values: Sequence[str] | Sequence[int]) -> tuple[str, list[str]]:
    """SQL and parameters for "the column is one of these": one parameter, however many values.

    As JSON: quoting each value of an array, and planning for each, would take longer than the search.
    """
    sent = [json.dumps(list(values))]
    if connection.vendor == "postgresql":
        kind = "text" if values and isinstance(values[0], str) else "int"
        return f"{column} = ANY(ARRAY(SELECT jsonb_array_elements_text(%s::jsonb))::{kind}[])", sent
    return f"{column} IN (SELECT value FROM json_each(%s))", sent


def vacuum(*tables: type[models.Model]) -> None:
    """Make index-only scans and the planner's figures good again after many rows. PostgreSQL only.

    Does nothing inside a transaction, where it is not possible.
    """
    if connection.vendor == "postgresql" and not connection.in_atomic_block:
        with connection.cursor() as cursor:
            for model in tables:
                cursor.execute(f"VACUUM (ANALYZE) {_quoted(model, ())[0]}")


def _quoted(model: type[models.Model], columns: Sequence[str]) -> tuple[str, list[str]]:
    quote = connection.ops.quote_name
    return quote(model._meta.db_table), [quote(column) for column in columns]


def _execute_many(statement: str, rows: Rows) -> None:
    columns = [_each(column, _sqlite_value) for column in zip(*rows, strict=True)]
    with connection.cursor() as cursor:
        cursor.executemany(statement, list(zip(*columns, strict=True)))


def _copy(target: str, rows: Rows) -> None:
    columns = [_copy_column(column) for column in zip(*rows, strict=True)]
    text = "".join(["\t".join(line) + "\n" for line in zip(*columns, strict=True)])
    with connection.cursor() as cursor, cursor.copy(f"COPY {target} FROM STDIN") as copy:
        copy.write(text)


def _copy_column(column: Sequence[Any]) -> Iterable[str]:
    kinds = set(map(type, column))
    if kinds == {int}:
        return map(str, column)
    if kinds == {str}:
        # Four quick looks at the whole column instead of a look at each character.
        text = "".join(column)
        return map(_copy_text, column) if any(map(text.__contains__, "\\\t\n\r")) else column
    return _each(column, _copy_text)


def _each(column: Sequence[Any], write: Callable[[Any], Any]) -> Iterable[Any]:
    """`write` of each value; once per different value where they repeat (dates, codes)."""
    written = {value: write(value) for value in set(column)}
    return map(written.__getitem__, column)


def _copy_text(value: Any) -> str:
    if value is None:
        return "\\N"
    return str(value).translate(_ESCAPES)


def _sqlite_value(value: Any) -> Any:
    """As Django's SQLite backend would store it."""
    if isinstance(value, dt.datetime):
        return connection.ops.adapt_datetimefield_value(value)
    return str(value) if isinstance(value, dt.date) else value
