"""What must be true before the portal starts."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core import checks
from django.db import connections

from portal import sender
from portal.append_only import missing_guards
from portal.errors import GuardsMissing, NotStartable


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
                hint="Add a migration with portal.append_only.Guard for its model.",
                id="portal.E001",
            )
            for name in missing_guards(using)
        ]
    return found


@checks.register(checks.Tags.database)
def no_superusers(
    app_configs: Any, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[checks.CheckMessage]:
    """A superuser is past every rule of the roles. None can sign in; one that is there was made by hand."""
    found: list[checks.CheckMessage] = []
    for using in databases or []:
        if User._meta.db_table not in connections[using].introspection.table_names():
            continue
        names = User.objects.using(using).filter(is_superuser=True).order_by("username")
        found += [
            checks.Error(
                f"{name} is a superuser.",
                hint="Take is_superuser from the account; make people by manage.py create_person.",
                id="portal.E004",
            )
            for name in names.values_list("username", flat=True)[:20]
        ]
    return found


def require_triggers() -> None:
    """Stop the process when an append-only table is unguarded. Asked by the web server and the worker."""
    missing = missing_guards()
    if missing:
        raise GuardsMissing(
            f"The portal does not start: {len(missing)} database guards are missing"
            f" ({', '.join(missing[:3])}). Run `manage.py migrate`, then `manage.py check --database default`."
        )


@checks.register()
def senders_are_told_apart(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    """Sign-in delays and limits count by sender: with one sender for all, anybody could keep everybody out."""
    problem = sender.misconfigured()
    return [checks.Error(problem, id="portal.E003")] if problem else []


def require_senders() -> None:
    """Stop a web server that cannot tell who sends a request. Raises NotStartable."""
    problem = sender.misconfigured() or sender.misplaced()
    if problem:
        raise NotStartable(f"The portal does not start: {problem}")


_GOES_NOWHERE = ("console", "dummy", "filebased", "locmem")


@checks.register()
def letters_leave(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    """A letter that only seems to leave would take effect all the same: restrictions would end by it."""
    kind = settings.EMAIL_BACKEND.split(".")[-2]
    if settings.DEVELOPMENT or kind not in _GOES_NOWHERE:
        return []
    return [
        checks.Error(
            "EMAIL_URL sends letters nowhere, and they would count as sent.",
            hint="Name a mail server: smtp+tls://user:password@host:port.",
            id="portal.E002",
        )
    ]
