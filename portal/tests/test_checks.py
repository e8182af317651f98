"""What must be true before the portal starts."""

import pytest

from portal.checks import (
    broker_is_closed,
    data_directory_is_private,
    database_is_closed,
    letters_leave,
    raw_data_is_known,
)

NOWHERE = "django.core.mail.backends.filebased.EmailBackend"
SMTP = "django.core.mail.backends.smtp.EmailBackend"


@pytest.mark.parametrize(
    ("is_development", "backend", "codes"),
    [
        (True, NOWHERE, []),
        (False, SMTP, []),
        (False, NOWHERE, ["portal.E002"]),
        (False, "django.core.mail.backends.dummy.EmailBackend", ["portal.E002"]),
        (False, "django.core.mail.backends.console.EmailBackend", ["portal.E002"]),
    ],
)
def test_a_production_whose_letters_go_nowhere_does_not_pass(
    is_development, backend, codes, settings
):
    settings.DEVELOPMENT, settings.EMAIL_BACKEND = is_development, backend

    assert [error.id for error in letters_leave(None)] == codes


@pytest.mark.parametrize(
    ("url", "codes"),
    [
        ("", []),
        ("redis+socket:///run/portal/valkey.sock", []),
        ("unix:///run/portal/valkey.sock", []),
        ("redis://127.0.0.1:6379/0", ["portal.E005"]),
        ("redis://:secret@127.0.0.1:6379/0", []),
        ("redis://:secret@[::1]:6379/0", []),
        ("redis://:secret@localhost/0", []),
        ("redis://broker.internal:6379/0", ["portal.E005", "portal.E006"]),
        ("redis://:secret@broker.internal:6379/0", ["portal.E006"]),
        ("redis://user:@broker.internal", ["portal.E005", "portal.E006"]),
        ("rediss://broker.internal", ["portal.E005"]),
        ("rediss://:secret@broker.internal", []),
        ("rediss://:secret@broker.internal?ssl_cert_reqs=CERT_REQUIRED", []),
        ("rediss://:secret@broker.internal?ssl_cert_reqs=CERT_NONE", ["portal.E006"]),
        ("rediss://:secret@broker.internal?ssl_cert_reqs=none", ["portal.E006"]),
        ("rediss://:s@one.internal;redis://two.internal", ["portal.E005", "portal.E006"]),
        ("redis://:secret@0.0.0.0:6379", ["portal.E006"]),
    ],
)
def test_a_broker_that_others_reach_has_a_password_and_tls(url, codes, settings):
    settings.REDIS_URL = url

    assert [error.id for error in broker_is_closed(None)] == codes


@pytest.mark.parametrize(
    ("host", "options", "codes"),
    [
        ("", {}, []),
        ("/var/run/postgresql", {}, []),
        ("", {"host": "/tmp/socket"}, []),
        ("localhost", {}, []),
        ("127.0.0.1", {}, []),
        ("db.internal", {}, ["portal.E007"]),
        ("db.internal", {"sslmode": "prefer"}, ["portal.E007"]),
        ("db.internal", {"sslmode": "require"}, []),
        ("db.internal", {"sslmode": "verify-full"}, []),
        ("127.0.0.1,db.internal", {}, ["portal.E007"]),
    ],
)
def test_a_database_over_a_network_speaks_tls(host, options, codes, settings, monkeypatch):
    for name in ("PGHOST", "PGSSLMODE"):
        monkeypatch.delenv(name, raising=False)
    engine = "django.db.backends.postgresql"
    database = {"ENGINE": engine, "HOST": host, "OPTIONS": options}
    monkeypatch.setitem(settings.DATABASES, "default", database)

    assert [error.id for error in database_is_closed(None)] == codes


@pytest.mark.parametrize(
    ("mode", "codes"),
    [(0o700, []), (0o750, []), (0o755, ["portal.E008"]), (0o701, ["portal.E008"])],
)
def test_a_data_directory_is_for_its_owner_only(mode, codes, tmp_path, settings):
    settings.DATA_DIR = tmp_path / "data"
    settings.DATA_DIR.mkdir()
    settings.DATA_DIR.chmod(mode)

    assert [error.id for error in data_directory_is_private(None)] == codes


@pytest.mark.parametrize(
    ("prefixes", "codes"),
    [
        ([], ["portal.W002"]),
        (["s3://lake/raw/", "hive://warehouse/posts"], []),
        (["posts"], ["portal.E010"]),
        (["s3://lake/raw/", "s3://lake/my posts"], ["portal.E010"]),
    ],
)
def test_a_production_says_where_raw_data_is_stored(prefixes, codes, settings):
    settings.RAW_DATA_PREFIXES = prefixes

    assert [one.id for one in raw_data_is_known(None)] == codes
