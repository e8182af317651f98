"""Conditions of the ledger before a process starts: its tables are guarded, its clocks agree."""

from collections.abc import Sequence
from typing import Any

import structlog
from django.core import checks

from ledger import clock
from ledger.append_only import missing_guards
from ledger.errors import GuardsMissing

logger = structlog.get_logger(__name__)


@checks.register(checks.Tags.database)
def guards_are_present(
    app_configs: Any, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[checks.CheckMessage]:
    """Append-only tables have their triggers (`manage.py check --database default`, `migrate`)."""
    found: list[checks.CheckMessage] = []
    for using in databases or []:
        found += [
            checks.Error(
                f"The trigger {name} is missing.",
                hint="Add a migration with ledger.append_only.Guard for its model.",
                id="portal.E001",
            )
            for name in missing_guards(using)
        ]
    return found


@checks.register(checks.Tags.database)
def clocks_agree(
    app_configs: Any, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[checks.CheckMessage]:
    """The database's clock and this process's are not further apart than the ledger allows."""
    found = clock.read() if "default" in (databases or []) else None
    if found is None or found.agrees:
        return []
    return [
        checks.Warning(
            f"The clocks of the database and of this machine are {found.apart.total_seconds():.0f} seconds apart.",
            hint="Set them right (NTP): until then only what excludes is taken.",
            id="portal.W001",
        )
    ]


def compare_clocks() -> None:
    """Say so where the clocks disagree; the process starts all the same, because opt-outs must be taken."""
    found = clock.read()
    if not found.agrees:
        logger.error("clocks disagree", seconds_apart=round(found.apart.total_seconds()))


def require_triggers() -> None:
    """Stop the process when an append-only table is unguarded. Asked by the web server and the worker."""
    missing = missing_guards()
    if missing:
        raise GuardsMissing(
            f"The portal does not start: {len(missing)} database guards are missing"
            f" ({', '.join(missing[:3])}). Run `manage.py migrate`, then `manage.py check --database default`."
        )
