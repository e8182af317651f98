"""Canonical JSON (RFC 8785) for everything that is hashed or signed.

Only what travels unharmed between languages is let through: strings, booleans, null, lists, objects with
ASCII keys, and whole numbers below 2^53. A float, a bytes value or a larger number is an error, never a
rounding. Within these bounds `json.dumps` writes exactly the RFC's form, twenty times faster than a
library written in Python; `ledger/tests/test_canonical.py` holds the two against each other.
"""

import datetime as dt
import json
from collections.abc import Iterable, Sequence
from typing import Any

from ledger.errors import NotCanonical

MAX_NUMBER = 2**53 - 1

_encoder = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
)


def dumps(value: Any) -> bytes:
    """The canonical bytes of `value`; dates become ISO 8601, times RFC 3339 in UTC with microseconds.

    Raises NotCanonical for anything that has no canonical form.
    """
    return dumps_plain(plain(value))


def dumps_plain(value: Any) -> bytes:
    """`dumps` of what holds nothing but the types that travel already. Raises NotCanonical."""
    try:
        return _encoder.encode(value).encode("utf-8")
    except UnicodeEncodeError as error:
        raise NotCanonical("A lone surrogate has no canonical form.") from error


class Plain(list[Any]):
    """A value made by `plain_rows`: used unchanged."""


def plain_rows(columns: Iterable[Sequence[Any]]) -> Plain:
    """The columns' rows as the JSON types that travel: `plain`, with each column's type asked once."""
    return Plain(zip(*map(_plain_column, columns), strict=True))


def _plain_column(column: Sequence[Any]) -> Iterable[Any]:
    kinds = set(map(type, column))
    if kinds <= {str, bool, type(None)}:
        return column
    if kinds == {int} and min(column) >= -MAX_NUMBER and max(column) <= MAX_NUMBER:
        return column
    if kinds <= {dt.date, dt.datetime, type(None)}:
        # Days, and the entry's own time, repeat.
        written = {value: plain(value) for value in set(column)}
        return map(written.__getitem__, column)
    return map(plain, column)


def plain(value: Any) -> Any:  # noqa: PLR0911  one line a type
    """`value` as the JSON types that travel."""
    kind = type(value)
    if kind is str or kind is bool or value is None or kind is Plain:
        return value
    if kind is int:
        if -MAX_NUMBER <= value <= MAX_NUMBER:
            return value
        raise NotCanonical(f"{value} does not fit into 2^53: write it as a string.")
    if kind is list or kind is tuple:
        return [plain(item) for item in value]
    if kind is dict:
        for key in value:
            if not (isinstance(key, str) and key.isascii()):
                raise NotCanonical(f"The key {key!r} is not ASCII text.")
        return {key: plain(item) for key, item in value.items()}
    if kind is dt.datetime:
        if value.tzinfo is None:
            raise NotCanonical("A time without a zone has no canonical form.")
        return value.astimezone(dt.UTC).isoformat(timespec="microseconds")[:-6] + "Z"
    if kind is dt.date:
        return value.isoformat()
    if isinstance(value, str):
        return str.__str__(value)
    raise NotCanonical(f"{kind.__name__} has no canonical form.")
