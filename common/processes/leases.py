"""Leases: work that one process at a time does, however many were told to do it.

A lease is a row of the database and ends by itself: the work of a process that was killed is free again
CLAIM_SECONDS later. A process at work renews its lease, so that slow work keeps it. The times are the database's,
so that clocks which disagree make no difference. A lease spares work that would be done twice; what must never
happen twice is kept by the ledger's lock and by the state of the row itself.
"""

import datetime as dt
import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from django.conf import settings
from django.db import DatabaseError, close_old_connections, connection
from django.db.models.functions import Now

from common.models import Lease

logger = structlog.get_logger(__name__)

_LONG_AGO = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@contextmanager
def held(name: str) -> Iterator[bool]:
    """Whether this process has the named work for itself while the block runs; False when another one has it.

    Never waits for the other one. Work that ends with an error is free again when the lease runs out, not before:
    what fails at once is not tried without a pause. Raises DatabaseError when the database cannot say.
    """
    token = secrets.token_hex(16)
    if not _take(name, token):
        yield False
        return
    ended = threading.Event()
    keeper = threading.Thread(target=_keep, args=(name, token, ended, os.getpid()), daemon=True)
    keeper.start()
    try:
        yield True
    finally:
        ended.set()
        keeper.join()
    _give_back(name, token)


def are_held(prefix: str) -> list[str]:
    """Names with this beginning that a process has now, without the beginning."""
    names = Lease.objects.filter(name__startswith=prefix, expires_at__gt=Now())
    return [name.removeprefix(prefix) for name in names.values_list("name", flat=True)]


def _take(name: str, token: str) -> bool:
    """One statement decides, on both databases: of two UPDATEs the second finds the first one's time."""
    Lease.objects.bulk_create([Lease(name=name, expires_at=_LONG_AGO)], ignore_conflicts=True)
    free = Lease.objects.filter(name=name, expires_at__lte=Now())
    return free.update(token=token, expires_at=Now() + _duration()) == 1


def _keep(name: str, token: str, ended: threading.Event, process: int) -> None:
    try:
        while not ended.wait(settings.CLAIM_SECONDS / 3) and os.getpid() == process:
            try:
                Lease.objects.filter(name=name, token=token).update(expires_at=Now() + _duration())
            except DatabaseError as error:
                logger.warning("lease not renewed", lease=name, error=type(error).__name__)
                close_old_connections()
    finally:
        connection.close()


def _give_back(name: str, token: str) -> None:
    try:
        Lease.objects.filter(name=name, token=token).delete()
    except DatabaseError as error:
        # It ends by itself.
        logger.warning("lease not given back", lease=name, error=type(error).__name__)


def _duration() -> dt.timedelta:
    return dt.timedelta(seconds=settings.CLAIM_SECONDS)
