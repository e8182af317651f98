"""The content of a leaf: the canonical bytes of an entry with the rows it wrote."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from hashlib import sha256
from typing import Any

from django.apps import apps
from django.db import connection, models

from ledger import canonical
from ledger.models import LedgerHistory, Sealed
from ledger.open_entry import OpenEntry

# Not part of the leaf: the entry is the row's address; simple-history's user repeats the entry's actor.
UNSEALED = frozenset({"entry_id", "history_user_id"})

FORMAT = 1
"""Of an entry's canonical bytes. Another format takes another number, and a nullable column that says which entries have it."""
MAX_BYTES = 65_535
"""Of what a leaf covers: two bytes say the length of an entry of a C2SP tile."""
MANY_ROWS = 100
"""So many rows are usually more than MAX_BYTES."""


@cache
def sealed_models() -> dict[str, type[models.Model]]:
    """Every model whose rows are part of a leaf, by label, in the order they are sealed."""
    return {
        model._meta.label_lower: model
        for model in sorted(apps.get_models(), key=lambda model: model._meta.label_lower)
        if issubclass(model, (Sealed, LedgerHistory))
    }


@cache
def sealed_columns(model: type[models.Model]) -> tuple[str, ...]:
    """The columns of a row that its leaf covers, in alphabetical order.

    A leaf names those in which any row of the entry has a value. So a column can be added later: older rows
    have no value in it, and their leaves stay as they are. It must be nullable, and none is ever removed.
    """
    return tuple(
        sorted(f.attname for f in model._meta.concrete_fields if f.attname not in UNSEALED)
    )


def sealed_rows(opened: OpenEntry) -> dict[str, list[tuple[Any, ...]]]:
    """The rows that the entry wrote, read back from the database: the leaf says what is stored, not what was meant."""
    rows = {}
    for label, model in sealed_models().items():
        if model in opened.touched:
            rows[label] = list(
                model._default_manager.filter(entry_id=opened.sequence)
                .order_by("pk")
                .values_list(*map(partial(stored, model), sealed_columns(model)))
            )
    return rows


def stored(model: type[models.Model], column: str) -> Any:
    """The expression that reads a column back. PostgreSQL writes times in their canonical form itself: Django's reader
    would take longer over the one time that an import repeats in every row than over all other columns.
    """
    is_time = isinstance(model._meta.get_field(column), models.DateTimeField)
    return _UtcText(column) if is_time and connection.vendor == "postgresql" else column


class _UtcText(models.Func):
    template = """to_char(%(expressions)s AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
    output_field = models.TextField()


def entry_bytes(row: Any, rows: Mapping[str, Sequence[tuple[Any, ...]]]) -> bytes:
    """The canonical bytes of an entry (an `Entry` or an `OpenEntry`) with the rows it wrote: a line of an export."""
    return _bytes(row, _tables(rows))


@dataclass(frozen=True, slots=True)
class LeafData:
    """The bytes that a leaf is the hash of. `is_whole` where it is the entry's canonical bytes."""

    data: bytes
    is_whole: bool


def leaf_data(row: Any, rows: Mapping[str, Sequence[tuple[Any, ...]]]) -> LeafData:
    """The canonical bytes of an entry, or of its short form where they are more than MAX_BYTES.

    In the short form each table has, in place of its values, how many rows there are and the SHA-256 of the values'
    canonical bytes.
    """
    tables = _tables(rows)
    if sum(map(len, rows.values())) <= MANY_ROWS:
        data = _bytes(row, tables)
        if len(data) <= MAX_BYTES:
            return LeafData(data, is_whole=True)
    # Of many rows the values are written once only, where they are too long by themselves.
    values = {label: canonical.dumps_plain(table["values"]) for label, table in tables.items()}
    if sum(map(len, values.values())) <= MAX_BYTES:
        data = _bytes(row, tables)
        if len(data) <= MAX_BYTES:
            return LeafData(data, is_whole=True)
    short = {
        label: {
            "columns": table["columns"],
            "count": len(table["values"]),
            "digest": sha256(values[label]).hexdigest(),
        }
        for label, table in tables.items()
    }
    return LeafData(_bytes(row, short), is_whole=False)


def _bytes(row: Any, tables: Mapping[str, Any]) -> bytes:
    # Texts, and numbers that are keys: only times and what the rows hold have to be looked at.
    return canonical.dumps_plain(
        {
            "actor": {"id": row.actor_id, "name": row.actor_name},
            "credential": row.credential,
            "format": FORMAT,
            "kind": row.kind,
            "reason": row.reason,
            "recorded_at": canonical.plain(row.recorded_at),
            "rows": tables,
            "sequence": row.sequence,
            "subject": row.subject,
        }
    )


def _tables(rows: Mapping[str, Sequence[tuple[Any, ...]]]) -> dict[str, dict[str, Any]]:
    return {label: _table(label, values) for label, values in rows.items() if values}


def _table(label: str, values: Sequence[tuple[Any, ...]]) -> dict[str, Any]:
    """Rows of one model, without the columns in which none of them has a value."""
    names = sealed_columns(sealed_models()[label])
    if len(values) == 1:
        # Most entries write one row, and a ledger has millions of them.
        one = [
            (name, value) for name, value in zip(names, values[0], strict=True) if value is not None
        ]
        return {
            "columns": [name for name, _ in one],
            "values": [[canonical.plain(value) for _, value in one]],
        }
    columns = zip(names, zip(*values, strict=True), strict=True)
    held = {name: column for name, column in columns if any(one is not None for one in column)}
    return {"columns": list(held), "values": canonical.plain_rows(held.values())}
