"""Conditions that hold before the portal starts."""

import os
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any
from urllib.parse import parse_qs, urlsplit

import structlog
from cryptography.fernet import Fernet
from django.conf import settings
from django.contrib.auth.models import User
from django.core import checks
from django.db import connections

from common.errors import NotStartable
from common.identity import sender

logger = structlog.get_logger(__name__)


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


@checks.register()
def senders_are_told_apart(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    """Sign-in delays and limits count by sender: with one sender for all, one attacker could lock out all people."""
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


@checks.register()
def redaction_keys_are_own(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    """The redaction list holds names and addresses of people: its keys are Fernet keys, and none is the published one."""
    try:
        for key in settings.REDACTION_KEYS:
            Fernet(key)
    except ValueError:
        problem = "REDACTION_KEYS holds what is no Fernet key (32 bytes in URL-safe base64)."
    else:
        if settings.DEVELOPMENT or settings.REDACTION_KEYS_DEFAULT not in settings.REDACTION_KEYS:
            return []
        problem = "REDACTION_KEYS holds the key of development, which everybody can read."
    return [
        checks.Error(
            problem,
            hint="python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'",
            id="portal.E009",
        )
    ]


# --- `manage.py check --deploy` -----------------------------------------------------------------


@checks.register(deploy=True)
def raw_data_is_known(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    """Without the prefixes of raw data, a job that reads it without a run is not noticed."""
    prefixes = settings.RAW_DATA_PREFIXES
    hint = (
        "RAW_DATA_PREFIXES=s3://lake/raw/,hive://warehouse/posts: beginnings of namespace and name."
    )
    if not prefixes:
        problem = (
            "RAW_DATA_PREFIXES is empty: no job that reads raw data without a run opens a finding."
        )
        return [checks.Warning(problem, hint=hint, id="portal.W002")]
    odd = [one for one in prefixes if "/" not in one or any(sign.isspace() for sign in one)]
    if odd:
        problem = (
            f"{len(odd)} of RAW_DATA_PREFIXES have no namespace and name, as in s3://lake/raw/."
        )
        return [checks.Error(problem, hint=hint, id="portal.E010")]
    return []


@checks.register(deploy=True)
def broker_is_closed(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    """A broker over TCP asks for a password, and over a network speaks TLS with a certificate that is verified."""
    found: list[checks.CheckMessage] = []
    for url in filter(None, settings.REDIS_URL.split(";")):
        parts = urlsplit(url)
        if "socket" in parts.scheme or parts.scheme == "unix":
            continue
        if not parts.password:
            found.append(
                checks.Error(
                    "REDIS_URL has no password: anyone who reaches the port can read and send tasks.",
                    hint="Set requirepass, or an ACL, in the broker, and write rediss://:password@host.",
                    id="portal.E005",
                )
            )
        asks_no_certificate = "none" in parse_qs(parts.query).get("ssl_cert_reqs", [""])[0].lower()
        if not _is_here(parts.hostname) and (
            parts.scheme not in ("rediss", "amqps") or asks_no_certificate
        ):
            found.append(
                checks.Error(
                    "REDIS_URL leads over a network without verified TLS.",
                    hint="rediss://…?ssl_cert_reqs=CERT_REQUIRED, or a broker on this machine.",
                    id="portal.E006",
                )
            )
    return found


@checks.register(deploy=True)
def database_is_closed(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    """PostgreSQL over a network speaks TLS."""
    database = settings.DATABASES["default"]
    options = database.get("OPTIONS", {})
    hosts = str(options.get("host") or database.get("HOST") or os.environ.get("PGHOST", ""))
    mode = options.get("sslmode") or os.environ.get("PGSSLMODE", "")
    if database["ENGINE"] != "django.db.backends.postgresql" or all(
        host.startswith("/") or _is_here(host) for host in hosts.split(",") if host
    ):
        return []
    if mode in ("require", "verify-ca", "verify-full"):
        return []
    return [
        checks.Error(
            "DATABASE_URL leads over a network and does not insist on TLS.",
            hint="postgres://…?sslmode=verify-full (and sslrootcert).",
            id="portal.E007",
        )
    ]


@checks.register(deploy=True)
def data_directory_is_private(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    """Archives, attachments and SQLite's file are for the portal's own user."""
    if not settings.DATA_DIR.is_dir() or not settings.DATA_DIR.stat().st_mode & 0o007:
        return []
    return [
        checks.Error(
            "PORTAL_DATA_DIR is open to every user of the machine.",
            hint=f"chmod 700 {settings.DATA_DIR}",
            id="portal.E008",
        )
    ]


def _is_here(host: str | None) -> bool:
    """Whether a host is this machine; a name that does not say so is not."""
    if not host or host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
