"""Is the process alive (`/healthz`), and can it do its work (`/readyz`)? Codes only, and in production for who is
signed in or has a token with the scope `health:read`: others learn only whether it is ready.

`unavailable` (503) when the database or its guards are not in order: nothing may be decided then.
`degraded` (200) when the broker is away, the clocks disagree, a disk is nearly full, or work waits too long: opt-outs
are recorded all the same, and the sweeper freezes without a broker, so taking the portal out of service would make it worse.
"""

import datetime as dt

import structlog
from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe
from kombu.exceptions import OperationalError
from rest_framework import exceptions
from rest_framework.request import Request

from common import registry
from common.files import space
from common.identity.tokens import ServiceTokenAuthentication
from ledger import clock, entries
from ledger.append_only import missing_guards
from portal.celery import app

logger = structlog.get_logger(__name__)

BROKER_SECONDS = 0.5
"""How long the broker may take to answer: who asks for `/readyz` does not wait for one that says nothing."""
_BROKER_PATIENCE = {"socket_timeout": BROKER_SECONDS, "socket_connect_timeout": BROKER_SECONDS}

OK, FAILING, TOO_OLD, TOO_LITTLE, UNKNOWN = "ok", "failing", "too_old", "too_little", "unknown"


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """The process answers."""
    return JsonResponse({"status": OK})


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """503 when nothing may be decided now. Strangers learn no more than that; they ask neither broker nor ages."""
    checks = {"database": _database(), "guards": _guards()}
    ready = set(checks.values()) == {OK}
    if not _may_see_details(request):
        return JsonResponse(
            {"status": OK if ready else "unavailable"}, status=200 if ready else 503
        )
    checks["broker"] = _broker()
    checks["free_space"], free = _space()
    checks["clocks"] = _clocks() if ready else UNKNOWN
    waiting: dict[str, int | None] = {}
    for name, age, limit in registry.waiting:
        checks[name], waiting[name] = _age(age, limit) if ready else (UNKNOWN, None)
    status = "unavailable" if not ready else OK if set(checks.values()) == {OK} else "degraded"
    return JsonResponse(
        {
            "status": status,
            "version": settings.VERSION,
            "checks": checks,
            "age_seconds": waiting,
            "free": free,
        },
        status=200 if ready else 503,
        headers={"Cache-Control": "no-store"},
    )


def _may_see_details(request: HttpRequest) -> bool:
    """People who are signed in, a token with the scope `health:read`, and in development all callers."""
    if settings.DEVELOPMENT:
        return True
    try:
        if request.user.is_authenticated:
            return True
        found = ServiceTokenAuthentication().authenticate(Request(request))
    except (DatabaseError, exceptions.APIException):
        return False
    return found is not None and "health:read" in found[1].scopes


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        logger.error("database unavailable", error=type(error).__name__)
        return FAILING
    return OK


def _guards() -> str:
    try:
        missing = missing_guards()
    except DatabaseError:
        return UNKNOWN
    if missing:
        logger.error("guards missing", guards=missing)
    return FAILING if missing else OK


def _clocks() -> str:
    """Failing while the database's clock and this process's disagree, or a step of one is not settled yet."""
    try:
        agree = entries.clocks_agree()
    except DatabaseError:
        return UNKNOWN
    if not agree:
        logger.error("clocks disagree")
    return OK if agree else FAILING


def _broker() -> str:
    try:
        with app.connection_for_write(transport_options=_BROKER_PATIENCE) as broker:
            broker.ensure_connection(max_retries=1, interval_start=0, timeout=BROKER_SECONDS)
    except (OperationalError, OSError) as error:
        logger.warning("broker unreachable", error=type(error).__name__)
        return FAILING
    return OK


def _space() -> tuple[str, dict[str, int | None]]:
    """Whether the data's disks have room: on a full one freezes and signatures fail, and wait until it has."""
    try:
        least = space.least()
    except OSError as error:
        logger.error("free space unknown", error=type(error).__name__)
        return UNKNOWN, {"bytes": None, "inodes": None}
    if least.is_short():
        logger.error("too little space", free_bytes=least.free, free_inodes=least.inodes)
    found = {"bytes": least.free, "inodes": least.inodes}
    return (TOO_LITTLE if least.is_short() else OK), found


def _age(age: registry.Age, limit: dt.timedelta) -> tuple[str, int | None]:
    try:
        found = age(clock.now())
    except DatabaseError:
        return UNKNOWN, None
    if found is None:
        return OK, None
    return (TOO_OLD if found > limit else OK), int(found.total_seconds())
