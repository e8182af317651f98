"""Rows that may not change are guarded three times: by the model, the queryset, and the database.

`AppendOnly` and `AppendOnlyQuerySet` refuse in Python. `Guard` is the migration operation that puts the
triggers into the database, `missing_guards` the question whether they are all still there (a SQLite
migration that rebuilds a table drops its triggers without a word).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from django.apps import apps
from django.db import connections, models
from django.db.migrations.operations.base import Operation

from ledger.errors import AppendOnlyViolation


class AppendOnlyQuerySet(models.QuerySet[Any]):
    """Rows can be added and read."""

    def _refuse(self, *args: Any, **kwargs: Any) -> Any:
        raise AppendOnlyViolation(f"{self.model._meta.label} is append-only.")

    update = delete = bulk_update = update_or_create = _refuse


class AppendOnly(models.Model):
    """A row that is written once and stays as it is."""

    guard = "append-only"

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise AppendOnlyViolation(f"{self._meta.label} {self.pk} is append-only.")
        kwargs["force_insert"] = True
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> Any:
        raise AppendOnlyViolation(f"{self._meta.label} {self.pk} is append-only.")


# --- Triggers -----------------------------------------------------------------------------------
# A guard of "append-only" refuses UPDATE, DELETE and TRUNCATE; "undeletable" refuses the last two. Apps add
# guards of their own with `add_guard`.

FUNCTION = "ledger_refuse"
_REFUSED = {"append-only": ("UPDATE", "DELETE"), "undeletable": ("DELETE",)}


@dataclass(frozen=True)
class Trigger:
    """A trigger of an app's own guard, in the SQL of both engines."""

    suffix: str
    """Its name is the table's with this behind it."""
    event: str
    """`BEFORE DELETE`, `AFTER INSERT`, …"""
    postgresql: str
    """The name of a function without arguments that `functions` of the guard creates."""
    sqlite: str
    """The SQL after the table's name: `WHEN …` if there is a condition, then `BEGIN …; END`."""
    only_counts: bool = False
    """Refuses nothing: it stays where a guard is lifted, so that what happens meanwhile is counted."""


@dataclass(frozen=True)
class OwnGuard:
    triggers: Sequence[Trigger]
    functions: Sequence[str] = ()
    """Statements that create the functions on PostgreSQL; safe to run again."""


_own: dict[str, OwnGuard] = {}


def add_guard(name: str, guard: OwnGuard) -> None:
    """Let models and migrations name a guard that only their app can write. TRUNCATE is refused as well."""
    _own[name] = guard


def guarded_models() -> dict[str, str]:
    """Every table that must be guarded, with its guard."""
    found = {}
    for model in apps.get_models():
        guard = getattr(model, "guard", None)
        if guard:
            found[model._meta.db_table] = guard
    return found


def guard_sql(vendor: str, table: str, guard: str) -> list[str]:
    """The statements that guard a table; safe to run again."""
    return [statement for name in _names(vendor, table, guard) for statement in name.statements]


@dataclass(frozen=True)
class _Made:
    name: str
    statements: Sequence[str]
    only_counts: bool = False


def _names(vendor: str, table: str, guard: str) -> list[_Made]:
    """The triggers of a guarded table, and how each is made."""
    refused: tuple[str, ...] = _REFUSED.get(guard, ())
    if vendor == "postgresql":
        refused = (*refused, "TRUNCATE")
    own = _own[guard].triggers if guard in _own else ()
    return [
        *(_refusing(vendor, table, guard, event) for event in refused),
        *(_made(vendor, table, trigger) for trigger in own),
    ]


def _refusing(vendor: str, table: str, guard: str, event: str) -> _Made:
    name = trigger_name(table, event)
    level = "STATEMENT" if event == "TRUNCATE" else "ROW"
    if vendor == "postgresql":
        return _postgresql(name, table, f"BEFORE {event}", level, f"{FUNCTION}('{guard}')")
    return _sqlite(
        name, table, f"BEFORE {event}", f"BEGIN SELECT RAISE(ABORT, '{table} is {guard}'); END"
    )


def _made(vendor: str, table: str, trigger: Trigger) -> _Made:
    name = f"{table}_{trigger.suffix}"
    if vendor == "postgresql":
        made = _postgresql(name, table, trigger.event, "ROW", f"{trigger.postgresql}()")
    else:
        made = _sqlite(name, table, trigger.event, trigger.sqlite)
    return replace(made, only_counts=trigger.only_counts)


def _postgresql(name: str, table: str, event: str, level: str, function: str) -> _Made:
    return _Made(
        name,
        [
            f'DROP TRIGGER IF EXISTS "{name}" ON "{table}"',
            f'CREATE TRIGGER "{name}" {event} ON "{table}" FOR EACH {level}'
            f" EXECUTE FUNCTION {function}",
            # Also where a session pretends to be a replica.
            f'ALTER TABLE "{table}" ENABLE ALWAYS TRIGGER "{name}"',
        ],
    )


def _sqlite(name: str, table: str, event: str, body: str) -> _Made:
    return _Made(
        name,
        [
            f'DROP TRIGGER IF EXISTS "{name}"',
            f'CREATE TRIGGER "{name}" {event} ON "{table}" {body}',
        ],
    )


FUNCTION_SQL = f"""
CREATE OR REPLACE FUNCTION {FUNCTION}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is %', TG_TABLE_NAME, TG_ARGV[0] USING ERRCODE = 'restrict_violation';
END $$
"""


def function_sql(guard: str) -> list[str]:
    """The functions that a guard needs on PostgreSQL."""
    return [FUNCTION_SQL, *(_own[guard].functions if guard in _own else ())]


def trigger_name(table: str, event: str) -> str:
    return f"{table}_no_{event.lower()}"


def unguard_sql(vendor: str, table: str, guard: str, *, and_counts: bool = False) -> list[str]:
    """Take off what a guard refuses, for emptying a test database; with `and_counts` all of it."""
    on = f' ON "{table}"' if vendor == "postgresql" else ""
    return [
        f'DROP TRIGGER IF EXISTS "{one.name}"{on}'
        for one in _names(vendor, table, guard)
        if and_counts or not one.only_counts
    ]


class Guard(Operation):
    """Migration operation: guard these models' tables in the database."""

    reversible = True
    reduces_to_sql = True

    def __init__(self, *model_names: str, guard: str = "append-only") -> None:
        self.model_names = model_names
        self.guard = guard

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        return type(self).__name__, list(self.model_names), {"guard": self.guard}

    def state_forwards(self, app_label: str, state: Any) -> None:
        """The models do not change."""

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        self._run(app_label, schema_editor, to_state, guard_sql)

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        self._run(app_label, schema_editor, to_state, partial(unguard_sql, and_counts=True))

    def _run(self, app_label: str, schema_editor: Any, state: Any, statements: Any) -> None:
        vendor = schema_editor.connection.vendor
        if vendor == "postgresql" and statements is guard_sql:
            for function in function_sql(self.guard):
                schema_editor.execute(function, params=None)
        for name in self.model_names:
            table = state.apps.get_model(app_label, name)._meta.db_table
            for statement in statements(vendor, table, self.guard):
                schema_editor.execute(statement, params=None)

    def describe(self) -> str:
        return f"Guard {', '.join(self.model_names)} as {self.guard} in the database"


def missing_guards(using: str = "default") -> list[str]:
    """Names of triggers that should stand in the database and do not, or are switched off."""
    connection = connections[using]
    with connection.cursor() as cursor:
        tables = set(connection.introspection.table_names(cursor))
        if connection.vendor == "postgresql":
            # 'A' is ENABLE ALWAYS: anything else can be got past.
            cursor.execute(
                "SELECT tgname, proname FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid"
                " WHERE NOT tgisinternal AND tgenabled = 'A'"
            )
            known = _functions()
            present = {name for name, function in cursor.fetchall() if function in known}
        else:
            cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
            present = {row[0] for row in cursor.fetchall()}
    return sorted(
        one.name
        for table, guard in guarded_models().items()
        if table in tables
        for one in _names(connection.vendor, table, guard)
        if one.name not in present
    )


def _functions() -> set[str]:
    return {FUNCTION, *(one.postgresql for guard in _own.values() for one in guard.triggers)}
