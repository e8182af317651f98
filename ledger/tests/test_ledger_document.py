"""Is docs/reference/ledger.md enough? The root recomputed from that page alone, with SQL and the standard library."""

import datetime as dt
import json
import re
from hashlib import sha256
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from ledger import entries, sealing
from tools import factories

PAGE = (Path(settings.BASE_DIR) / "docs/reference/ledger.md").read_text()
TABLES = dict(re.findall(r"^\| `([a-z_]+\.[a-z]+)` \| `([a-z_]+)` \|$", PAGE, re.MULTILINE))

# What PostgreSQL's driver gives as Python objects, SQLite's gives as text and numbers.
FLAGS = {
    "evidence_only", "is_authenticated", "is_set_aside", "needs_approval", "privacy_signal",
}  # fmt: skip
JSON = {
    "also", "also_versions", "clock", "countries", "data_categories", "detail", "header", "outcomes", "purposes",
    "texts",
}  # fmt: skip
TIMES = re.compile(r".*_at|history_date|restricts_since|assess_by|as_of")


def rows_of(sql: str) -> list[dict]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def plain(column: str, value: object) -> object:
    """A column's value as the page writes it."""
    if value is None:
        return None
    if column in FLAGS:
        return bool(value)
    if column in JSON:
        return json.loads(value) if isinstance(value, str) else value
    # `adult_at` is an age.
    if TIMES.fullmatch(column) and not isinstance(value, int):
        moment = dt.datetime.fromisoformat(value) if isinstance(value, str) else value
        return f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z"
    return value.isoformat() if isinstance(value, dt.date) else value


def entry_bytes(entry: dict, written: dict[str, list[dict]]) -> bytes:
    rows = {}
    for name, found in written.items():
        columns = sorted(
            column
            for column in found[0].keys() - {"entry_id", "history_user_id"}
            if any(row[column] is not None for row in found)
        )
        values = [[plain(column, row[column]) for column in columns] for row in found]
        rows[name] = {"columns": columns, "values": values}
    said = {
        "actor": {"id": entry["actor_id"], "name": entry["actor_name"]},
        "credential": entry["credential"],
        "format": 1,
        "kind": entry["kind"],
        "reason": entry["reason"],
        "recorded_at": plain("recorded_at", entry["recorded_at"]),
        "rows": rows,
        "sequence": entry["sequence"],
        "subject": entry["subject"],
    }
    whole = canonical(said)
    if len(whole) <= 65_535:
        return whole
    said["rows"] = {
        name: {
            "columns": table["columns"],
            "count": len(table["values"]),
            "digest": sha256(canonical(table["values"])).hexdigest(),
        }
        for name, table in rows.items()
    }
    return canonical(said)


def canonical(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def code_of_the_page() -> dict:
    """The page's own Python."""
    (source,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names = {"node": node, "sha256": sha256}
    exec(source, names)
    return names


@pytest.mark.django_db(transaction=True)
def test_leaves_and_root_are_recomputed_by_what_the_page_says(
    officer, second_officer, engineer, product
):
    factories.open_world(officer, second_officer)
    factories.add_members(20)
    factories.add_members(500, prefix="many")
    factories.decide("acc-1", "deny", actor=product)
    factories.freeze(engineer)
    factories.send_letters(
        factories.withdraw(factories.objection("acc-2"), officer, second_officer)
    )

    written: dict[int, dict[str, list[dict]]] = {}
    for name, table in TABLES.items():
        key = "history_id" if ".historical" in name else "id"
        for row in rows_of(f"SELECT * FROM {table} ORDER BY entry_id, {key}"):
            written.setdefault(row["entry_id"], {}).setdefault(name, []).append(row)
    leaves, lengths = [], []
    for entry in rows_of("SELECT * FROM ledger_entry ORDER BY sequence"):
        data = entry_bytes(entry, written.get(entry["sequence"], {}))
        leaf = sha256(b"\x00" + data).digest()
        assert leaf.hex() == entry["leaf"]
        leaves.append(leaf)
        lengths += [len(data)] if b'"count":500' in data else []

    # The members of one entry are sealed in its short form.
    assert [length < 1_000 for length in lengths] == [True]
    assert code_of_the_page()["root_of"](leaves).hex() == entries.read_head().root


def test_the_page_names_every_sealed_table():
    sealed = sealing.sealed_models()

    assert {name: model._meta.db_table for name, model in sealed.items()} == TABLES
