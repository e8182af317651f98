"""Many rows at once, past the ORM: COPY on PostgreSQL, `executemany` on SQLite.

Only for services that write their own history and ledger entry around it. Values are str, int, date, aware
datetime or None. Work is done column by column: a loop over single values would cost more than the database.
"""

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from django.db import connection, models

_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_STAGE = "bulk_stage"
_PIECE = 2_000


class Rows:
    """Rows given as columns of one length, to be inserted into one table or several.

    They are written for the database once, a piece at a time as they are sent: the server works on a
    piece while the next one is being written.
    """

    def __init__(self, columns: Mapping[str, Sequence[Any]]) -> None:
        self.names = list(columns)
        self.columns = list(columns.values())
        self._pieces: list[Any] = []

    def pieces(self) -> Iterator[Any]:
        """PostgreSQL: lines of COPY text. SQLite: lists of rows."""
        write = _copy_lines if connection.vendor == "postgresql" else _sqlite_rows
        yield from self._pieces
        for start in range(len(self._pieces) * _PIECE, len(self.columns[0]), _PIECE):
            self._pieces.append(write([column[start : start + _PIECE] for column in self.columns]))
            yield self._pieces[-1]


def insert_rows(model: type[models.Model], rows: Rows, **same: Any) -> None:
    """Insert rows; `same` are columns with one value in all of them. Others take the database's default."""
    table, names = _quoted(model, [*rows.names, *same])
    if connection.vendor == "postgresql":
        _copy(f"{table} ({', '.join(names)})", rows, list(same.values()))
    else:
        marks = ", ".join(["%s"] * len(names))
        tail = [_sqlite_value(value) for value in same.values()]
        _execute_many(
            f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})",
            ((*row, *tail) for piece in rows.pieces() for row in piece),
        )


def update_rows(model: type[models.Model], rows: Rows) -> None:
    """Update rows by their first column, the primary key. A key that is not there changes nothing."""
    table, (key, *names) = _quoted(model, rows.names)
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
            f"UPDATE {table} SET {moved} WHERE {key} = %s",
            ((*row[1:], row[0]) for piece in rows.pieces() for row in piece),
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


def _execute_many(statement: str, rows: Iterable[Sequence[Any]]) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(statement, list(rows))


def _sqlite_rows(columns: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
    return list(zip(*(map(_sqlite_value, column) for column in columns), strict=True))


def _sqlite_value(value: Any) -> Any:
    """As Django's SQLite backend would store it."""
    if isinstance(value, dt.datetime):
        return connection.ops.adapt_datetimefield_value(value)
    return str(value) if isinstance(value, dt.date) else value


def _copy(target: str, rows: Rows, same: Sequence[Any] = ()) -> None:
    # A line ends where its text has a line break: within values they are escaped.
    end = "".join(f"\t{_copy_text(value)}" for value in same) + "\n"
    with (
        connection.cursor() as cursor,
        # Django does not wrap what `copy` raises.
        connection.wrap_database_errors,
        cursor.copy(f"COPY {target} FROM STDIN") as copy,
    ):
        for lines in rows.pieces():
            copy.write(lines.replace("\n", end) if same else lines)


def _copy_lines(columns: Sequence[Sequence[Any]]) -> str:
    lines = zip(*map(_copy_column, columns), strict=True)
    return "\n".join(map("\t".join, lines)) + "\n"


def _copy_column(column: Sequence[Any]) -> Iterable[str]:
    kinds = set(map(type, column))
    if kinds == {int}:
        return map(str, column)
    if kinds == {str}:
        # Four quick looks at the whole column instead of a look at each character.
        text = "".join(column)
        return map(_copy_text, column) if any(map(text.__contains__, "\\\t\n\r")) else column
    return map(_copy_text, column)


def _copy_text(value: Any) -> str:
    if value is None:
        return "\\N"
    return value.translate(_ESCAPES) if isinstance(value, str) else str(value)
