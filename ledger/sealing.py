"""What a leaf covers: the canonical bytes of an entry with the rows it wrote."""

from collections.abc import Mapping, Sequence
from functools import cache, partial
from typing import Any

from django.apps import apps
from django.db import connection, models

from ledger import canonical
from ledger.models import LedgerHistory, Sealed
from ledger.open_entry import OpenEntry

# Not part of the leaf: the entry is the row's address; simple-history's user repeats the entry's actor.
UNSEALED = frozenset({"entry_id", "history_user_id"})


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
    """What the entry wrote, read back from the database: the leaf says what is stored, not what was meant."""
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
    """How a column is read back. PostgreSQL writes times in their canonical form itself: Django's reader
    would take longer over the one time that an import repeats in every row than over all other columns.
    """
    is_time = isinstance(model._meta.get_field(column), models.DateTimeField)
    return _UtcText(column) if is_time and connection.vendor == "postgresql" else column


class _UtcText(models.Func):
    template = """to_char(%(expressions)s AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
    output_field = models.TextField()


def entry_bytes(row: Any, rows: Mapping[str, Sequence[tuple[Any, ...]]]) -> bytes:
    """The canonical bytes of an entry (an `Entry` or an `OpenEntry`) with the rows it wrote."""
    # Texts, and numbers that are keys: only times and what the rows hold have to be looked at.
    return canonical.dumps_plain(
        {
            "actor": {"id": row.actor_id, "name": row.actor_name},
            "kind": row.kind,
            "reason": row.reason,
            "recorded_at": canonical.plain(row.recorded_at),
            "rows": {label: _table(label, values) for label, values in rows.items() if values},
            "sequence": row.sequence,
            "subject": row.subject,
        }
    )


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
