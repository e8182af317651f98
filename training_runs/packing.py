"""From a queryset of member numbers to a Roaring bitmap, packed by one aggregate inside the database.

The rows never become Python objects: PostgreSQL sends four bytes a number in one value, SQLite a list of
digits. A value has a limit (1 GB), so large numbers of members are packed a range at a time.
"""

from array import array
from typing import Any

from django.db import connection
from django.db.models import QuerySet
from pyroaring import BitMap

from training_runs.errors import FreezeRefused

RANGE = 2**27
"""Member numbers packed in one value: 512 MiB at most."""


def pack(numbers: "QuerySet[Any, int]", highest: int) -> BitMap:
    """The set of member numbers (1..`highest`) a flat `values_list` yields.

    The database counts what it packs; another count here, or a number twice, raises FreezeRefused.
    """
    sql, params = numbers.order_by().query.get_compiler(connection=connection).as_sql()
    packed = BitMap()
    counted = 0
    with connection.cursor() as cursor:
        for low in range(0, highest + 1, RANGE):
            bounds = ""
            if highest >= RANGE:
                bounds = f" WHERE number >= {low} AND number < {low + RANGE}"
            if connection.vendor == "postgresql":
                cursor.execute(
                    "SELECT string_agg(int4send(number), ''::bytea), count(*)"
                    f" FROM ({sql}) AS chosen (number){bounds}",
                    params,
                )
                values, count = cursor.fetchone()
                part = array("I", values or b"")
                part.byteswap()
            else:
                cursor.execute(
                    f"WITH chosen (number) AS ({sql})"
                    f" SELECT group_concat(number), count(*) FROM chosen{bounds}",
                    params,
                )
                values, count = cursor.fetchone()
                part = array("I", map(int, values.split(","))) if values else array("I")
            packed |= BitMap(part)
            counted += count
    if counted != len(packed):
        raise FreezeRefused(
            f"A rule counted {counted} members and packed {len(packed)}: the freeze is stopped."
        )
    return packed
