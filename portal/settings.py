"""Every setting comes from the environment; a word it does not know is refused.

| variable | default | meaning |
|---|---|---|
| PORTAL_ENV | production | `production` or `development`; only the latter has default secrets |
| PORTAL_DATA_DIR | ./var | manifests, the SQLite file, the embedded broker's socket |
| STATIC_DIR | static in the data directory | where `collectstatic` puts the pages' files, and the web server reads them |
| DATABASE_URL | SQLite in the data directory | `postgres://…` for anything but a trial |
| REDIS_URL | embedded Valkey's socket in the data directory | the Celery broker |
| SECRET_KEY, SUPPRESSION_KEY | none in production | Django's key; the key of the suppression list's HMAC |
| REDACTION_KEYS | none in production | Fernet keys of the redaction list, comma separated: the first encrypts, the others only open |
| ALLOWED_HOSTS | localhost names in development | comma separated |
| GPC_IMPLIES_DENY | false | policy: a browser's privacy signal with a decision counts as *deny* |
| IMPORT_MAX_NEW_SHARE | 0.2 | an import of members stops where a larger share of its accounts is new |
| MAX_BODY_BYTES | 5 MiB | larger request bodies are refused |
| SWEEP_SECONDS | 20 | how often the worker's clock looks for runs a lost message left waiting |
| CLAIM_SECONDS | 60 | so long after a worker was killed another one takes up what it verified, swept or mailed |
| MAX_WAITING_RUNS | 20 | more runs of one team than these do not wait for their manifest together |
| MAX_WAITING_REQUESTS | 4 | so many requests of one web process wait for a run to change (`?wait=30`); fewer than `WEB_THREADS`, so that others are answered |
| DATABASE_CONN_MAX_AGE | 60 | seconds a PostgreSQL connection is kept |
| WEB_LOCK_SECONDS, WEB_STATEMENT_SECONDS | 3, 30 | so long the web server waits for a lock and for one statement of PostgreSQL before it answers 503 |
| BEHIND_TLS_PROXY | false | believe `X-Forwarded-Proto` |
| PROXY_HOPS | 1 behind a TLS proxy, else 0 | how many of our own proxies append to `X-Forwarded-For`; too few take everybody for one sender, too many believe what a sender wrote (`common/identity/sender.py`) |
| SECURE_SSL_REDIRECT | true in production | send plain HTTP to HTTPS |
| CSRF_TRUSTED_ORIGINS | none | origins of the admin behind a proxy, comma separated |
| PUBLIC_URL | http://127.0.0.1:8000 in development | where members reach the portal: the links in letters |
| MEMBER_PAGES | true | serve the setting page and the objection form; false for companies that only use the API |
| MEMBER_LANGUAGES | none | what member pages may be shown in beside English, comma separated: `de,fr`, by what the browser asks for; a translation is `locale/de/LC_MESSAGES/django.mo` |
| MEMBER_LINK_MINUTES | 10 | how long a link to the setting page can be opened |
| EMAIL_URL | files in the data directory in development | `smtp+tls://user:password@host:port`; letters leave by it |
| CONTROLLER_NAME, CONTROLLER_CONTACT | an example in development | who answers objections, and the address people write to |
| CONTROLLER_TIME_ZONE | Europe/Dublin | the controller's time zone: its day is the day of receipt under the law of the EU, the UK and Switzerland |
| IDENTITY_PROMPT_DAYS | 7 | an identity request asked for within so many days of receipt is prompt, and pauses an EU clock |
| CONFIRMATION_DAYS | 7 | how long the link in a confirmation can be opened |
| DRAFT_DAYS | 30 | so many days after it was typed what staff left unfinished in a form is deleted |
| OBJECTION_RETENTION_DAYS | 1095 | so many days after its answer the personal data of a ticket is erased |
| LEDGER_NAME | the host of PUBLIC_URL with `/ledger` | under which name checkpoints are signed; choose it once |
| CHECKPOINT_KEY_FILE | keys/checkpoint.key in the data directory | the signing keys; keep it outside the database and its backups |
| CHECKPOINT_DIR | checkpoints in the data directory | where signed checkpoints are put for others: a mounted bucket; empty for nowhere |
| CHECKPOINT_SECONDS | 300 | how often the worker's clock signs what the ledger has grown by |
| QUARANTINE_DIR | quarantine in the data directory | where files from the form wait until the address is confirmed or an officer keeps them |
| MAX_FILE_BYTES_A_DAY | 50 MB | files from one sender's network, or of one member, that are taken in a day; an objection beyond it is taken without |
| MAX_WAITING_BYTES | 2 GB | files that wait in the quarantine, all together |
| MIN_FREE_BYTES, MIN_FREE_PERCENT | 1 GB, 5 | the greater of the two stays free for archives: no file from the form is taken into it, and `/readyz` says so |
| MADE_FILE_HOURS | 48 | so long a long file (a list of accounts, an export) is kept after it was made |
| MADE_FILE_BYTES_PER_USER, MADE_FILE_BYTES | 5 GB, 20 GB | room for such files, of one person and of all; a file that does not fit is refused |
| DELIVERY_BYTES_PER_RUN | 100 GB | room for the lists that a run has out at a time; a delivery that does not fit is refused |
| RAW_DATA_PREFIXES | none | beginnings of `namespace/name` of raw data, by commas: an OpenLineage job that reads one without a run opens a finding |
| LINEAGE_DAYS | 90 | so long the bodies of OpenLineage events are kept |
| ACCOUNT_ADDRESS_PATTERN | none | a regular expression with one named group, `ref`, that finds the account in a profile's address: `https://www.example.com/in/(?P<ref>[^/?#]+)` |
| FLOOD_PER_ADDRESS, FLOOD_PER_NETWORK | 5, 50 | from one e-mail address or one network address, more forms an hour than these are taken and set aside |
"""

import os
import re
from importlib import import_module
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

import environ
from celery.schedules import crontab
from django.core.exceptions import ImproperlyConfigured
from kombu.entity import Queue

from common.processes import logs
from common.registry import Brings, Daily, Every
from portal.version import __version__

env = environ.Env()

LOGGING = logs.LOGGING

VERSION = __version__
BASE_DIR = Path(__file__).resolve().parent.parent

PORTAL_ENV = env.str("PORTAL_ENV", "production")
if PORTAL_ENV not in ("production", "development"):
    raise ImproperlyConfigured(f"PORTAL_ENV={PORTAL_ENV!r}: say 'production' or 'development'.")
DEVELOPMENT = PORTAL_ENV == "development"
DEBUG = False


def _needed(name: str, in_development: str) -> str:
    """Read a setting that has a default in development only: production must set it."""
    value: str = env.str(name, "")
    if value:
        return value
    if DEVELOPMENT:
        return in_development
    raise ImproperlyConfigured(f"{name} is not set. Set it, or PORTAL_ENV=development for a trial.")


def _secret(name: str) -> str:
    return _needed(name, f"development-only-{name.lower()}-never-use-this-with-real-members")


SECRET_KEY = _secret("SECRET_KEY")
SUPPRESSION_KEY = _secret("SUPPRESSION_KEY")
REDACTION_KEYS_DEFAULT = "ZGV2ZWxvcG1lbnQtb25seS1uZXZlci1pbi11c2UhISE="
REDACTION_KEYS = [
    key.strip() for key in _needed("REDACTION_KEYS", REDACTION_KEYS_DEFAULT).split(",")
]

# Every process of the portal reads this file first, so all that any of them writes is its user's own: the SQLite file and
# its journal, archives, attachments, keys, logs of the broker, the schedule of the clock.
os.umask(0o077)
# Django's storage sets a mode of its own.
FILE_UPLOAD_PERMISSIONS = 0o600
DATA_DIR = Path(env.str("PORTAL_DATA_DIR", str(BASE_DIR / "var"))).resolve()
MANIFEST_DIR = DATA_DIR / "manifests"
ATTACHMENT_DIR = DATA_DIR / "attachments"
QUARANTINE_DIR = Path(env.str("QUARANTINE_DIR", str(DATA_DIR / "quarantine")))
MAX_FILE_BYTES_A_DAY = env.int("MAX_FILE_BYTES_A_DAY", 50 * 10**6)
MAX_WAITING_BYTES = env.int("MAX_WAITING_BYTES", 2 * 10**9)
MIN_FREE_BYTES = env.int("MIN_FREE_BYTES", 10**9)
MIN_FREE_PERCENT = env.int("MIN_FREE_PERCENT", 5)
# Long files that were asked for. They end after some hours: keep them out of back-ups.
MADE_FILE_DIR = DATA_DIR / "made"
MADE_FILE_HOURS = env.int("MADE_FILE_HOURS", 48)
MADE_FILE_BYTES_PER_USER = env.int("MADE_FILE_BYTES_PER_USER", 5 * 10**9)
MADE_FILE_BYTES = env.int("MADE_FILE_BYTES", 20 * 10**9)

# What is delivered ends with its lease: keep it out of back-ups as well.
DELIVERY_DIR = DATA_DIR / "deliveries"
DELIVERY_BYTES_PER_RUN = env.int("DELIVERY_BYTES_PER_RUN", 100 * 10**9)

# Beginnings of `namespace/name` of data sets that are raw data of members: a job that reads one needs a run.
RAW_DATA_PREFIXES: list[str] = [
    one.strip() for one in env.list("RAW_DATA_PREFIXES", default=[]) if one.strip()
]
LINEAGE_DAYS = env.int("LINEAGE_DAYS", 90)

ALLOWED_HOSTS = env.list(
    "ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "testserver"] if DEVELOPMENT else []
)
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])

# From the roof down: each imports only what is below it.
OUR_APPS = [
    "portal", "auditing", "deliveries", "training_runs", "objections", "consent", "common", "ledger",
]  # fmt: skip
# The ledger knows nothing of the others: it declares its kinds itself. What the others declare imports no model.
BROUGHT: list[Brings] = [import_module(f"{app}.brings").BRINGS for app in OUR_APPS[:-1]]
INSTALLED_APPS = [
    *OUR_APPS,
    "django.contrib.admin.apps.SimpleAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "simple_history",
    "rest_framework",
    "knox",
    "csp",
    "drf_spectacular",
    "drf_spectacular_sidecar",
]

MIDDLEWARE = [
    "portal.middleware.AliveMiddleware",
    "portal.middleware.RequestLogMiddleware",
    "portal.middleware.NoStoreMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "common.staff.error_pages.ErrorPageMiddleware",
    "portal.middleware.RefuseUnreadableMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "portal.middleware.CredentialMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "portal.middleware.RefusalMiddleware",
]

ROOT_URLCONF = "portal.urls"
WSGI_APPLICATION = "portal.wsgi.application"
APPEND_SLASH = False

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# --- Database -----------------------------------------------------------------------------------
DATABASES: dict[str, dict[str, Any]] = {
    "default": env.db_url("DATABASE_URL", default=f"sqlite:///{DATA_DIR / 'portal.sqlite3'}")
}
_database = DATABASES["default"]
if _database["ENGINE"] == "django.db.backends.sqlite3":
    _database["OPTIONS"] = {
        # Django's default (deferred) deadlocks readers that become writers.
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        # recursive_triggers: without it REPLACE deletes a row without asking the delete trigger.
        # The rollback journal stays: WAL has a corruption race in the SQLite of older systems.
        # secure_delete: what was erased is not left in free pages of the file.
        "init_command": "PRAGMA foreign_keys=ON; PRAGMA recursive_triggers=ON; PRAGMA synchronous=FULL;"
        " PRAGMA secure_delete=ON",
    }
elif _database["ENGINE"] == "django.db.backends.postgresql":
    _database["CONN_MAX_AGE"] = env.int("DATABASE_CONN_MAX_AGE", 60)
    _database["CONN_HEALTH_CHECKS"] = True
    # The limits of workers and commands; the web server has shorter ones (`common.processes.limits`). A session that holds the
    # ledger's lock and falls silent must not hold up every opt-out.
    _database.setdefault("OPTIONS", {}).setdefault(
        "options", "-c lock_timeout=30s -c idle_in_transaction_session_timeout=60s"
    )
else:
    raise ImproperlyConfigured("DATABASE_URL: PostgreSQL or SQLite.")

# The web server waits this long for a lock, for one statement, or for SQLite's only writer, and then answers 503. Fewer
# than the web server's own time-out (`deploy/gunicorn.conf.py`), which would end the process and all its requests.
WEB_LOCK_SECONDS = env.int("WEB_LOCK_SECONDS", 3)
WEB_STATEMENT_SECONDS = env.int("WEB_STATEMENT_SECONDS", 30)
WEB_SQLITE_SECONDS = 8

DATABASE_ROUTERS = ["auditing.replica.Router"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-gb"
USE_I18N = True
# Only member pages are shown in another language than the first, see `consent.public.pages.member_page`.
LANGUAGES = [(code, code) for code in [LANGUAGE_CODE, *env.list("MEMBER_LANGUAGES", default=[])]]
LOCALE_PATHS = [BASE_DIR / "locale"]
FORMAT_MODULE_PATH = "portal.formats"

# --- Members, decisions -------------------------------------------------------------------------
GPC_IMPLIES_DENY = env.bool("GPC_IMPLIES_DENY", False)
IMPORT_MAX_NEW_SHARE = env.float("IMPORT_MAX_NEW_SHARE", 0.2)
if not 0 <= IMPORT_MAX_NEW_SHARE <= 1:
    raise ImproperlyConfigured("IMPORT_MAX_NEW_SHARE is a share from 0 to 1, like 0.2.")

# --- Member pages, objections, letters ----------------------------------------------------------
MEMBER_PAGES = env.bool("MEMBER_PAGES", True)
MEMBER_LINK_MINUTES = env.int("MEMBER_LINK_MINUTES", 10)
PUBLIC_URL = _needed("PUBLIC_URL", "http://127.0.0.1:8000").rstrip("/")
CONTROLLER_NAME = _needed("CONTROLLER_NAME", "Example Network Ireland")
CONTROLLER_CONTACT = _needed("CONTROLLER_CONTACT", "privacy@example.org")
CONTROLLER_TIME_ZONE = env.str("CONTROLLER_TIME_ZONE", "Europe/Dublin")
if CONTROLLER_TIME_ZONE not in available_timezones():
    raise ImproperlyConfigured(
        f"CONTROLLER_TIME_ZONE={CONTROLLER_TIME_ZONE!r}: a name like Europe/Dublin."
    )
IDENTITY_PROMPT_DAYS = env.int("IDENTITY_PROMPT_DAYS", 7)
CONFIRMATION_DAYS = env.int("CONFIRMATION_DAYS", 7)
DRAFT_DAYS = env.int("DRAFT_DAYS", 30)
OBJECTION_RETENTION_DAYS = env.int("OBJECTION_RETENTION_DAYS", 3 * 365)
ACCOUNT_ADDRESS_PATTERN = env.str("ACCOUNT_ADDRESS_PATTERN", "")
try:
    _NAMED = list(re.compile(ACCOUNT_ADDRESS_PATTERN).groupindex)
except re.error as error:
    raise ImproperlyConfigured(
        f"ACCOUNT_ADDRESS_PATTERN is no regular expression: {error}."
    ) from error
if ACCOUNT_ADDRESS_PATTERN and _NAMED != ["ref"]:
    raise ImproperlyConfigured("ACCOUNT_ADDRESS_PATTERN has one named group, ref: (?P<ref>…).")
FLOOD_PER_ADDRESS = env.int("FLOOD_PER_ADDRESS", 5)
FLOOD_PER_NETWORK = env.int("FLOOD_PER_NETWORK", 50)
# Sets EMAIL_BACKEND, EMAIL_HOST and what else the address says.
globals().update(env.email_url_config(_needed("EMAIL_URL", "filemail://")))
if globals()["EMAIL_BACKEND"] == "django.core.mail.backends.smtp.EmailBackend":
    EMAIL_BACKEND = "common.mail.backend.InternationalBackend"
EMAIL_FILE_PATH = str(DATA_DIR / "mail")
EMAIL_TIMEOUT = 20
DEFAULT_FROM_EMAIL = CONTROLLER_CONTACT

# --- Checkpoints --------------------------------------------------------------------------------
_host = "portal.example" if DEVELOPMENT else PUBLIC_URL.partition("://")[2]
LEDGER_NAME = env.str("LEDGER_NAME", f"{_host}/ledger")
CHECKPOINT_KEY_FILE = env.str("CHECKPOINT_KEY_FILE", str(DATA_DIR / "keys" / "checkpoint.key"))
CHECKPOINT_DIR = env.str("CHECKPOINT_DIR", str(DATA_DIR / "checkpoints"))
CHECKPOINT_SECONDS = env.float("CHECKPOINT_SECONDS", 300)

# --- Celery: a hint, never the truth (the run row is the queue) ---------------------------------
BROKER_SOCKET = DATA_DIR / "run" / "valkey.sock"
REDIS_URL = env.str("REDIS_URL", "")
CELERY_BROKER_URL = REDIS_URL or f"redis+socket://{BROKER_SOCKET}"
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_TIME_LIMIT = 1800
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_SEND_TASK_EVENTS = False
# Otherwise everybody who reaches the broker can stop the workers (`celery control shutdown`).
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 3600,
    "unacked_restore_interval": 10,
    "socket_timeout": 5,
    "socket_connect_timeout": 2,
    "max_retries": 1,
    # Without it Celery waits two seconds between its attempts.
    "interval_start": 0,
}
# A broker that is down costs a log line, not a request: publishing gives up at once.
CELERY_TASK_PUBLISH_RETRY = False
CELERY_ENABLE_UTC = True
CELERY_TIMEZONE = "UTC"
# Queues apart: a mail server that says nothing, a heap of manifests to verify or a long file keeps no freeze waiting.
# Each has its workers (deploy/worker, `common.processes.supervisor.WORKERS`); a worker that names no queue takes them all.
CELERY_TASK_QUEUES = [
    Queue(name) for name in ("freezes", "verifications", "letters", "files", "housekeeping")
]
CELERY_TASK_DEFAULT_QUEUE = "housekeeping"
CELERY_TASK_ROUTES = {
    task: {"queue": queue} for one in BROUGHT for task, queue in one.queues.items()
}
CLAIM_SECONDS = env.float("CLAIM_SECONDS", 60)
MAX_WAITING_RUNS = env.int("MAX_WAITING_RUNS", 20)
# Each holds a thread for as long as it waits; a process has eight (`deploy/gunicorn.conf.py`).
MAX_WAITING_REQUESTS = env.int("MAX_WAITING_REQUESTS", 4)
SWEEP_SECONDS = env.float("SWEEP_SECONDS", 20)


def _scheduled(task: Every | Daily) -> dict[str, Any]:
    """As Celery's clock wants it. A message that no worker took in time is thrown away: the next one comes."""
    if isinstance(task, Every):
        seconds = globals()[task.seconds]
        return {"task": task.task, "schedule": seconds, "options": {"expires": seconds}}
    when = crontab(hour=task.hour, minute=task.minute)
    return {"task": task.task, "schedule": when, "options": {"expires": task.within}}


CELERY_BEAT_SCHEDULE = {
    name: _scheduled(task) for one in BROUGHT for name, task in one.schedule.items()
}
CELERY_BEAT_SCHEDULE_FILENAME = str(DATA_DIR / "run" / "celerybeat-schedule")

# --- People -------------------------------------------------------------------------------------
AUTHENTICATION_BACKENDS = ["common.identity.sign_in.PasswordBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "admin:login"
# A sign-in that names no page, or one elsewhere, leads here.
LOGIN_REDIRECT_URL = "admin:index"
SESSION_COOKIE_AGE = 8 * 3600
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not DEVELOPMENT
SESSION_COOKIE_HTTPONLY = True
CSRF_FAILURE_VIEW = "common.staff.error_pages.csrf_failure"

# --- Browser security ---------------------------------------------------------------------------
SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", not DEVELOPMENT)
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
SECURE_HSTS_SECONDS = 0 if DEVELOPMENT else 31_536_000
# Subdomains and the browsers' preload list are for the owner of the whole domain to decide.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
SECURE_PROXY_SSL_HEADER = (
    ("HTTP_X_FORWARDED_PROTO", "https") if env.bool("BEHIND_TLS_PROXY", False) else None
)
PROXY_HOPS = env.int("PROXY_HOPS", 1 if SECURE_PROXY_SSL_HEADER else 0)
if PROXY_HOPS < 0:
    raise ImproperlyConfigured("PROXY_HOPS is the number of your own proxies: 0 or more.")
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    }
}

STATIC_URL = "static/"
STATIC_ROOT = Path(env.str("STATIC_DIR", str(DATA_DIR / "static")))
STATICFILES_DIRS = [BASE_DIR / "static"]
# Without a collected copy (a trial, a test) files are served from where they are.
WHITENOISE_USE_FINDERS = True

# --- API ----------------------------------------------------------------------------------------
MAX_BODY_BYTES = env.int("MAX_BODY_BYTES", 5 * 1024 * 1024)
DATA_UPLOAD_MAX_MEMORY_SIZE = MAX_BODY_BYTES
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "common.identity.tokens.ServiceTokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["common.api.access.NamedAccess"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": [],  # an Endpoint names the strict one
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "common.api.problems.problem_response",
    "DATETIME_FORMAT": "%Y-%m-%dT%H:%M:%S.%fZ",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
KNOX_TOKEN_MODEL = "common.ServiceToken"  # noqa: S105  a model, not a token
REST_KNOX = {
    "AUTH_HEADER_PREFIX": "Bearer",
    "TOKEN_MODEL": "common.ServiceToken",
    "TOKEN_LIMIT_PER_USER": None,
    "AUTO_REFRESH": False,
}
# The first number changes with what breaks clients, the second with what is added.
API_VERSION = "1.0"
SPECTACULAR_SETTINGS = {
    "TITLE": "Training data compliance portal",
    "DESCRIPTION": (
        "Whose data may be used for training, and proof of it. A service token (`Authorization: Bearer …`) does what its"
        " scopes name; `GET /api/v1/me` says which they are, and `Token-Expires` in every answer when it ends. Errors are"
        " problems (RFC 9457): program by `code`, the words may change. Ask again after `Retry-After` seconds; send a known"
        " `ETag` as `If-None-Match`. docs/reference/api.md tells the rules that all calls share."
    ),
    "SERVERS": [{"url": "/", "description": "This portal"}],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "common.api.schema.with_headers",
    ],
    "VERSION": API_VERSION,
    "OAS_VERSION": "3.1.1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "ENUM_NAME_OVERRIDES": {
        "Purpose": "consent.choices.Purpose",
        "Choice": "consent.choices.Choice",
        "Channel": "consent.choices.Channel",
        "NoticeChannel": "consent.choices.NoticeChannel",
        "Rule": "consent.choices.RuleKind",
        "DataCategory": "consent.choices.DataCategory",
        "RunState": "training_runs.choices.RunState",
        "ObjectionKind": "objections.choices.Kind",
        "ObjectionState": "objections.choices.TicketState",
        "Effect": "objections.choices.Effect",
    },
}

# --- History belongs to the ledger --------------------------------------------------------------
SIMPLE_HISTORY_REVERT_DISABLED = True
# History is read by row or by entry; an index over its dates would only slow imports.
SIMPLE_HISTORY_DATE_INDEX = False
