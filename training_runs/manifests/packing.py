"""From querysets of member numbers to Roaring bitmaps, packed by aggregates inside the database.

The rows never become Python objects: PostgreSQL sends four bytes a number in one value, SQLite a list of
digits. A value has a limit (1 GB), so large numbers of members are packed a range at a time.
"""

import sys
from array import array
from collections.abc import Sequence
from typing import Any

import psycopg
from django.db import connection
from django.db.models import QuerySet
from pyroaring import BitMap

from training_runs.errors import FreezeRefused

RANGE = 2**27
"""Member numbers packed in one value: 512 MiB at most."""


def pack(rules: "Sequence[QuerySet[Any, int]]", highest: int) -> list[BitMap]:
    """The set of member numbers (1..`highest`) of each flat `values_list`, all read by one statement.

    The database counts what it packs; another count here, or a number twice, raises FreezeRefused.
    """
    packed = [BitMap() for _ in rules]
    counted = [0] * len(rules)
    for low in range(0, highest + 1, RANGE):
        values = _read(*_statement(rules, low if highest >= RANGE else None))
        for place in range(len(rules)):
            packed[place] |= _unpack(values[2 * place])
            counted[place] += values[2 * place + 1]
    for members, count in zip(packed, counted, strict=True):
        if count != len(members):
            raise FreezeRefused(
                f"A rule counted {count} members and packed {len(members)}: the freeze is stopped."
            )
    return packed


def pack_by(rows: "QuerySet[Any, Any]", highest: int) -> dict[Any, BitMap]:
    """Member numbers by another value: `rows` are a `values_list` of that value and the number. NULL is left out.

    A range at a time, so that no value of the database exceeds its limit.
    """
    found: dict[Any, BitMap] = {}
    packing = (
        "string_agg(int4send(number), ''::bytea)"
        if connection.vendor == "postgresql"
        else "group_concat(number)"
    )
    compiler = rows.order_by().query.get_compiler(connection=connection, elide_empty=False)
    sql, params = compiler.as_sql()
    for low in range(0, highest + 1, RANGE):
        with connection.cursor() as cursor:
            cursor.execute(
                f"WITH chosen (value, number) AS ({sql}) SELECT value, {packing} FROM chosen"
                f" WHERE number >= {low} AND number < {low + RANGE} AND value IS NOT NULL GROUP BY value",
                params,
            )
            for value, packed in cursor.fetchall():
                found[value] = found.get(value, BitMap()) | _unpack(packed)
    return found


def _statement(rules: "Sequence[QuerySet[Any, int]]", low: int | None) -> tuple[str, list[Any]]:
    """One row: for each rule its members in [low, low + RANGE), packed, and how many they are."""
    packing = (
        "string_agg(int4send(number), ''::bytea)"
        if connection.vendor == "postgresql"
        else "group_concat(number)"
    )
    bounds = "" if low is None else f" WHERE number >= {low} AND number < {low + RANGE}"
    parts, params = [], []
    for place, numbers in enumerate(rules):
        compiler = numbers.order_by().query.get_compiler(connection=connection, elide_empty=False)
        sql, values = compiler.as_sql()
        parts.append(
            f"(WITH chosen (number) AS ({sql}) SELECT {packing}, count(*) FROM chosen{bounds})"
            f" AS rule_{place}"
        )
        params += values
    return f"SELECT * FROM {', '.join(parts)}", params


def _read(sql: str, params: list[Any]) -> tuple[Any, ...]:
    if connection.vendor == "postgresql":
        connection.ensure_connection()
        # Django's cursors take results as text, which doubles what is sent; this one is binary.
        with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
            row = cursor.execute(sql.encode(), params, binary=True).fetchone()
    else:
        with connection.cursor() as cursor:
            row = cursor.execute(sql, params).fetchone()
    assert row is not None
    return row


def _unpack(value: Any) -> BitMap:
    if not value:
        return BitMap()
    if isinstance(value, str):
        return BitMap(array("I", map(int, value.split(","))))
    numbers = array("I", value)
    # int4send writes the most significant byte first.
    if sys.byteorder == "little":
        numbers.byteswap()
    return BitMap(numbers)
