"""Waiting for a run or a delivery to change, without holding the database: a request looks again each second."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from time import monotonic, sleep
from typing import Any

from django.conf import settings
from django.db import connections
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response

from common.files import serving

MAX_SECONDS = 60
"""Longest wait of one request; a proxy in front has to be more patient (`deploy/nginx.conf`: 75 seconds)."""
RETRY_AFTER = 2
"""Seconds after which it is worth asking again."""
_places = threading.BoundedSemaphore(settings.MAX_WAITING_REQUESTS)
"""Requests of this process that wait. The others are answered at once: a few pipelines must not take every thread."""


@dataclass(frozen=True)
class Found:
    """A run or a delivery as an answer shows it, after the wait."""

    answer: Any
    etag: str
    is_early: bool
    """Whether it is being made, or the caller wanted to wait and found no place."""

    @property
    def headers(self) -> dict[str, str]:
        """`ETag`, and `Retry-After` in seconds where asking again at once would only cost."""
        retry = {"Retry-After": str(RETRY_AFTER)} if self.is_early else {}
        return {"ETag": f'"{self.etag}"', **retry}


def for_news(
    look: Callable[[], Any], request: HttpRequest, wait: int, is_waiting: Callable[[Any], bool]
) -> Found:
    """The answer that `look` gives as soon as it is news, or after `wait` seconds; at once where too many wait already.

    News is an answer that the caller does not know (If-None-Match). To a caller who names none it is one of a thing that
    is not being made any more, which `is_waiting` says.
    """
    names_one = "If-None-Match" in request.headers

    def found() -> tuple[Found, bool]:
        answer = look()
        etag, waits = etag_of(answer), is_waiting(answer)
        is_news = not serving.is_known(request, etag) if names_one else not waits
        return Found(answer, etag, waits), is_news

    now, is_news = found()
    if wait <= 0 or is_news:
        return now
    with place() as is_free:
        if not is_free:
            return Found(now.answer, now.etag, is_early=True)
        until = monotonic() + wait
        while not is_news and (left := until - monotonic()) > 0:
            _let_go_of_the_database()
            sleep(min(1.0, left))
            now, is_news = found()
    return now


def response(request: HttpRequest, found: Found) -> HttpResponseBase:
    """The answer, or 304 where the caller has it."""
    if serving.is_known(request, found.etag):
        return serving.not_modified(found.etag, found.headers)
    return Response(found.answer, headers=found.headers)


@contextmanager
def place() -> Iterator[bool]:
    """One of the process's places for requests that wait; whether one was free."""
    is_free = _places.acquire(blocking=False)
    try:
        yield is_free
    finally:
        if is_free:
            _places.release()


def _let_go_of_the_database() -> None:
    """Close this thread's connections: kept ones (`DATABASE_CONN_MAX_AGE`) would be held through the whole wait."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close()


def etag_of(answer: Any) -> str:
    """Changes with anything that the answer says, and with nothing else."""
    return sha256(JSONRenderer().render(answer)).hexdigest()
