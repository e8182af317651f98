"""What every test may ask for: a database that can be emptied, people, their clients, a real worker."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.core.cache import cache
from django.db import connection, transaction
from django.test import Client, TransactionTestCase
from django.utils import timezone

from common.identity import roles
from ledger import clock, registry
from ledger.registry import EntryKind, ReadKind
from portal import directories
from tools import guards

pytest_plugins = ["tools.browsing"]

# Acts and reads of tests.
registry.declare(
    *(
        EntryKind(code, "Act of a test")
        for code in [
            "import.batch", "inner", "outer", "test", "test.act", "test.asked", "test.clock", "test.failed",
            "test.frozen", "test.incident", "test.moved", "test.taken",
        ]
    ),
    ReadKind("test.read", "Read of a test"),
)  # fmt: skip

# Rows that migrations made and tests do not change.
_KEPT = {
    "django_migrations",
    "django_content_type",
    "auth_permission",
    "auth_group",
    "auth_group_permissions",
}


@pytest.fixture(scope="session")
def django_db_modify_db_settings(tmp_path_factory: pytest.TempPathFactory) -> None:
    """SQLite in a file: threads and a worker share it."""
    if connection.vendor == "sqlite":
        connection.settings_dict["TEST"]["NAME"] = str(
            tmp_path_factory.mktemp("db") / "test.sqlite3"
        )


_of_migrations: list[guards.Made] = []
"""The guards that stood when the migrations had run."""


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> None:
    with django_db_blocker.unblock():
        _of_migrations[:] = guards.read()


@pytest.fixture
def guards_of_migrations(db: Any) -> list[guards.Made]:
    return list(_of_migrations)


def _empty_database(case: TransactionTestCase) -> None:
    """Django's flush is refused by the guards, as it should be: lift them, empty, put the migrations' own back.

    In one transaction: on SQLite a hundred single ones would wait for the disk a hundred times.
    """
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            # Inside a transaction it would have no effect.
            cursor.execute("PRAGMA foreign_keys=OFF")
    with transaction.atomic(), connection.cursor() as cursor:
        tables = [t for t in connection.introspection.table_names(cursor) if t not in _KEPT]
        guards.lift()
        if connection.vendor == "postgresql":
            names = ", ".join(f'"{table}"' for table in tables)
            cursor.execute(f"TRUNCATE {names} RESTART IDENTITY")
        else:
            for table in tables:
                cursor.execute(f'DELETE FROM "{table}"')
        cursor.execute("INSERT INTO ledger_ledgerhead (id, size, frontier) VALUES (1, 0, '')")
        cursor.execute(
            "INSERT INTO consent_census (id, total, complete, erasures, live_references)"
            " VALUES (1, 0, 0, 0, 0)"
        )
        guards.put_back(_of_migrations)
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA foreign_keys=ON")


TransactionTestCase._fixture_teardown = _empty_database  # type: ignore[attr-defined, method-assign]


@pytest.fixture(scope="session", autouse=True)
def _cheap_passwords() -> None:
    """A slow hash protects people; nobody here needs it."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(scope="session", autouse=True)
def _directories() -> None:
    """As at the start of every process."""
    directories.make()


@pytest.fixture(autouse=True)
def _travelled_clock() -> Iterator[None]:
    """A test that travels takes the database with it, also on the way back: its clock cannot follow time_machine."""
    has_travelled = False

    def played() -> dt.datetime | None:
        nonlocal has_travelled
        has_travelled = has_travelled or time_machine.escape_hatch.is_travelling()
        return timezone.now() if has_travelled else None

    with clock.played_by(played):
        yield


@pytest.fixture
def databases_own_clock(_travelled_clock: None) -> Iterator[None]:
    """Only this process's clock travels; the database keeps its own, as another machine would."""
    with clock.played_by(lambda: None):
        yield


@pytest.fixture(autouse=True)
def _own_files(tmp_path: Path) -> Iterator[None]:
    """Archives, attachments, keys and checkpoints of one test are not those of another."""
    own = {
        "MANIFEST_DIR": tmp_path / "manifests",
        "ATTACHMENT_DIR": tmp_path / "attachments",
        "QUARANTINE_DIR": tmp_path / "quarantine",
        "MADE_FILE_DIR": tmp_path / "made",
        "CHECKPOINT_KEY_FILE": str(tmp_path / "keys" / "checkpoint.key"),
        "CHECKPOINT_DIR": str(tmp_path / "checkpoints"),
    }
    before = {name: getattr(settings, name) for name in own}
    for name, value in own.items():
        setattr(settings, name, value)
    cache.clear()
    yield
    for name, value in before.items():
        setattr(settings, name, value)


# --- People -------------------------------------------------------------------------------------


def _person(username: str, role: str | None) -> User:
    user = User.objects.create_user(username, password="correct horse battery", is_staff=True)
    if role:
        user.groups.add(Group.objects.get(name=role))
    return user


@pytest.fixture
def officer(db: Any) -> User:
    return _person("olga", roles.PRIVACY_OFFICER)


@pytest.fixture
def second_officer(db: Any) -> User:
    return _person("otto", roles.PRIVACY_OFFICER)


@pytest.fixture
def engineer(db: Any) -> User:
    return _person("emil", roles.ML_ENGINEER)


@pytest.fixture
def second_engineer(db: Any) -> User:
    return _person("edda", roles.ML_ENGINEER)


@pytest.fixture
def auditor(db: Any) -> User:
    return _person("ada", roles.AUDITOR)


@pytest.fixture
def administrator(db: Any) -> User:
    return _person("anton", roles.ADMINISTRATOR)


@pytest.fixture
def product(db: Any) -> User:
    """The product's service account."""
    return _person("product", roles.PRODUCT)


@pytest.fixture
def stranger(db: Any) -> User:
    """Somebody on the staff without a role."""
    return _person("stranger", None)


@pytest.fixture
def client_of() -> Any:
    """A logged-in browser for a user."""

    def login(user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return login
