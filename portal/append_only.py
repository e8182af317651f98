"""What may not change is guarded three times: by the model, the queryset, and the database.

`AppendOnly` and `AppendOnlyQuerySet` refuse in Python. `Guard` is the migration operation that puts the
triggers into the database, `missing_guards` the question whether they are all still there (a SQLite
migration that rebuilds a table drops its triggers without a word).
"""

from typing import Any

from django.apps import apps
from django.db import connections, models
from django.db.migrations.operations.base import Operation

from portal.errors import AppendOnlyViolation


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
# A guard of "append-only" refuses UPDATE, DELETE and TRUNCATE; "undeletable" refuses the last two.

FUNCTION = "portal_refuse"
_REFUSED = {"append-only": ("UPDATE", "DELETE"), "undeletable": ("DELETE",)}


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
    statements = []
    if vendor == "postgresql":
        for event in (*_REFUSED[guard], "TRUNCATE"):
            name = trigger_name(table, event)
            level = "STATEMENT" if event == "TRUNCATE" else "ROW"
            statements += [
                f'DROP TRIGGER IF EXISTS "{name}" ON "{table}"',
                f'CREATE TRIGGER "{name}" BEFORE {event} ON "{table}"'
                f" FOR EACH {level} EXECUTE FUNCTION {FUNCTION}('{guard}')",
                # Also where a session pretends to be a replica.
                f'ALTER TABLE "{table}" ENABLE ALWAYS TRIGGER "{name}"',
            ]
    else:
        for event in _REFUSED[guard]:
            name = trigger_name(table, event)
            statements += [
                f'DROP TRIGGER IF EXISTS "{name}"',
                f'CREATE TRIGGER "{name}" BEFORE {event} ON "{table}"'
                f" BEGIN SELECT RAISE(ABORT, '{table} is {guard}'); END",
            ]
    return statements


FUNCTION_SQL = f"""
CREATE OR REPLACE FUNCTION {FUNCTION}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is %', TG_TABLE_NAME, TG_ARGV[0] USING ERRCODE = 'restrict_violation';
END $$
"""


def trigger_name(table: str, event: str) -> str:
    return f"{table}_no_{event.lower()}"


def unguard_sql(vendor: str, table: str, guard: str) -> list[str]:
    """The reverse of `guard_sql`: for migrating back, and for emptying a test database."""
    events = _REFUSED[guard] + (("TRUNCATE",) if vendor == "postgresql" else ())
    on = f' ON "{table}"' if vendor == "postgresql" else ""
    return [f'DROP TRIGGER IF EXISTS "{trigger_name(table, event)}"{on}' for event in events]


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
        self._run(app_label, schema_editor, to_state, unguard_sql)

    def _run(self, app_label: str, schema_editor: Any, state: Any, statements: Any) -> None:
        vendor = schema_editor.connection.vendor
        if vendor == "postgresql" and statements is guard_sql:
            schema_editor.execute(FUNCTION_SQL, params=None)
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
                "SELECT tgname FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid"
                " WHERE NOT tgisinternal AND tgenabled = 'A' AND proname = %s",
                [FUNCTION],
            )
        else:
            cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        present = {row[0] for row in cursor.fetchall()}
    truncate = ("TRUNCATE",) if connection.vendor == "postgresql" else ()
    return sorted(
        trigger_name(table, event)
        for table, guard in guarded_models().items()
        if table in tables
        for event in (*_REFUSED[guard], *truncate)
        if trigger_name(table, event) not in present
    )
