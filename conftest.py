"""What every test may ask for: a database that can be emptied, people, their clients, a real worker."""

import contextlib
import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import time_machine
from django.conf import settings
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import connection, transaction
from django.test import Client, TransactionTestCase
from django.utils import timezone
from whitenoise.middleware import WhiteNoiseMiddleware

from common.identity import roles
from ledger import clock, registry
from ledger.registry import EntryKind, ReadKind
from portal import directories
from tools import factories, guards

pytest_plugins = ["tools.browsing"]

# `make test` runs its parts side by side: a slow moment is the machine's, and says nothing of a strategy or a test.
hypothesis.settings.register_profile(
    "shared machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("shared machine")

# Acts and reads of tests. Their kinds begin with `test`, by which `tools.names` knows them.
registry.declare(
    *(
        EntryKind(code, "Act of a test")
        for code in [
            "test.act", "test.asked", "test.batch", "test.clock", "test.failed", "test.frozen",
            "test.incident", "test.moved", "test.taken",
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


_ASKS_FOR_DATABASE = {"db", "transactional_db", "live_server", "django_db_setup"}


@pytest.hookimpl(tryfirst=True)  # before -m selects
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests that ask for no database: they are the same on every engine, and `make test` runs them once."""
    for item in items:
        asks = (
            item.get_closest_marker("django_db")
            or _ASKS_FOR_DATABASE.intersection(getattr(item, "fixturenames", []))
            or issubclass(getattr(item, "cls", None) or object, TransactionTestCase)
        )
        if not asks:
            item.add_marker("no_database")


# PostgreSQL's sequences that have given a number, but for those of kept rows.
_RESTART_NUMBERS = """
    SELECT setval(seqrelid::regclass, seqstart, false)
    FROM pg_sequence
    JOIN pg_depend ON objid = seqrelid AND classid = 'pg_class'::regclass
        AND refclassid = 'pg_class'::regclass AND deptype IN ('a', 'i')
    JOIN pg_class ON pg_class.oid = refobjid
    WHERE relname <> ALL(%s) AND pg_sequence_last_value(seqrelid) IS NOT NULL
"""


@pytest.fixture(scope="session")
def django_db_modify_db_settings(tmp_path_factory: pytest.TempPathFactory) -> None:
    """SQLite in a file: threads and a worker share it. It need not outlive the machine, so no commit waits for the disk."""
    if connection.vendor == "sqlite":
        connection.settings_dict["OPTIONS"]["init_command"] += "; PRAGMA synchronous=OFF"
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


def _empty_database(case: TransactionTestCase | None = None) -> None:
    """Django's flush is refused by the guards, as it should be: lift them, empty, put the migrations' own back.

    A test leaves rows in a few tables: only they are emptied, and only their guards are lifted. On PostgreSQL a TRUNCATE
    of all tables gives every table and index a new file, which costs more than most tests.
    In one transaction: on SQLite a hundred single ones would wait for the disk a hundred times.
    """
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            # Inside a transaction it would have no effect.
            cursor.execute("PRAGMA foreign_keys=OFF")
    with transaction.atomic(), connection.cursor() as cursor:
        tables = [t for t in connection.introspection.table_names(cursor) if t not in _KEPT]
        cursor.execute(
            " UNION ALL ".join(f"SELECT '{t}' WHERE EXISTS (SELECT 1 FROM \"{t}\")" for t in tables)
        )
        filled = [row[0] for row in cursor.fetchall()]
        standing = set(guards.read())
        lifted = {made for made in standing if made.table in filled or made not in _of_migrations}
        guards.lift(lifted)
        if connection.vendor == "postgresql":
            cursor.execute("SET CONSTRAINTS ALL DEFERRED")
        for table in filled:
            cursor.execute(f'DELETE FROM "{table}"')
        if connection.vendor == "postgresql":
            # The foreign keys are checked now: a table whose checks wait takes no trigger back.
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute(_RESTART_NUMBERS, [list(_KEPT)])
        cursor.execute("INSERT INTO ledger_ledgerhead (id, size, frontier) VALUES (1, 0, '')")
        cursor.execute(
            "INSERT INTO consent_census (id, total, complete, erasures, live_references)"
            " VALUES (1, 0, 0, 0, 0)"
        )
        guards.put_back(made for made in _of_migrations if made not in standing - lifted)
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA foreign_keys=ON")


TransactionTestCase._fixture_teardown = _empty_database  # type: ignore[attr-defined, method-assign]


@pytest.fixture(scope="session", autouse=True)
def _cheap_passwords() -> None:
    """A slow hash protects real passwords; tests need none."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(scope="session", autouse=True)
def _static_files_found_once() -> Iterator[None]:
    """Each client has a handler of its own, and each handler would look for every static file on disk."""
    find = WhiteNoiseMiddleware.add_files_from_finders
    found: dict[tuple[str, ...], dict[str, Any]] = {}

    def find_once(self: WhiteNoiseMiddleware) -> None:
        key = (self.static_prefix, str(self.max_age), *map(str, settings.STATICFILES_DIRS))
        if key not in found:
            before = self.files
            self.files = {}
            find(self)
            found[key], self.files = self.files, before
        self.files.update(found[key])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WhiteNoiseMiddleware, "add_files_from_finders", find_once)
        yield


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


@contextlib.contextmanager
def _files_below(directory: Path) -> Iterator[None]:
    """Archives, attachments, keys and checkpoints are kept below this directory."""
    own = {
        "MANIFEST_DIR": directory / "manifests",
        "ATTACHMENT_DIR": directory / "attachments",
        "QUARANTINE_DIR": directory / "quarantine",
        "MADE_FILE_DIR": directory / "made",
        "DELIVERY_DIR": directory / "deliveries",
        "CHECKPOINT_KEY_FILE": str(directory / "keys" / "checkpoint.key"),
        "CHECKPOINT_DIR": str(directory / "checkpoints"),
    }
    before = {name: getattr(settings, name) for name in own}
    for name, value in own.items():
        setattr(settings, name, value)
    yield
    for name, value in before.items():
        setattr(settings, name, value)


@pytest.fixture(autouse=True)
def _own_files(request: pytest.FixtureRequest) -> Iterator[None]:
    """Files of one test are not those of another, unless the tests of a module share a database."""
    cache.clear()
    if "shared_database" in request.fixturenames:
        yield
    else:
        with _files_below(request.getfixturevalue("tmp_path")):
            yield


@pytest.fixture(scope="module")
def shared_database(
    django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """A database, with its files, for tests that only read: what costs most is made once for a module.

    Such a test has no `django_db` mark and asks for no person (`factories.person` makes one for the module).
    """
    with django_db_blocker.unblock(), _files_below(tmp_path_factory.mktemp("shared")):
        yield
        _empty_database()


# --- People -------------------------------------------------------------------------------------


@pytest.fixture
def officer(db: Any) -> User:
    return factories.person("olga", roles.PRIVACY_OFFICER)


@pytest.fixture
def second_officer(db: Any) -> User:
    return factories.person("otto", roles.PRIVACY_OFFICER)


@pytest.fixture
def engineer(db: Any) -> User:
    return factories.person("emil", roles.ML_ENGINEER)


@pytest.fixture
def second_engineer(db: Any) -> User:
    return factories.person("edda", roles.ML_ENGINEER)


@pytest.fixture
def auditor(db: Any) -> User:
    return factories.person("ada", roles.AUDITOR)


@pytest.fixture
def administrator(db: Any) -> User:
    return factories.person("anton", roles.ADMINISTRATOR)


@pytest.fixture
def product(db: Any) -> User:
    """The product's service account."""
    return factories.person("product", roles.PRODUCT)


@pytest.fixture
def stranger(db: Any) -> User:
    """A member of staff without a role."""
    return factories.person("stranger", None)


@pytest.fixture
def client_of() -> Any:
    """A logged-in browser for a user."""

    def login(user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return login
