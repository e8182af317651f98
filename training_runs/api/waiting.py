"""Waiting for a run to change, without holding the database: a request looks again each second."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from time import monotonic, sleep
from typing import Any

from django.conf import settings
from django.db import connections
from rest_framework.renderers import JSONRenderer

MAX_SECONDS = 60
"""Longest wait of one request; a proxy in front has to be more patient (`deploy/nginx.conf`: 75 seconds)."""
RETRY_AFTER = 2
"""Seconds after which it is worth asking again."""
_places = threading.BoundedSemaphore(settings.MAX_WAITING_REQUESTS)
"""Requests of this process that wait. The others are answered at once: a few pipelines must not take every thread."""


@dataclass(frozen=True)
class Found:
    """A run as an answer shows it, after the wait."""

    answer: Any
    etag: str
    is_crowded: bool
    """Whether the caller wanted to wait and found no place."""

    @property
    def headers(self) -> dict[str, str]:
        """`ETag`, and `Retry-After` in seconds where asking again at once would only cost."""
        is_early = self.is_crowded or is_waiting(self.answer)
        retry = {"Retry-After": str(RETRY_AFTER)} if is_early else {}
        return {"ETag": f'"{self.etag}"', **retry}


def for_news(look: Callable[[], Any], is_news: Callable[[Any, str], bool], wait: int) -> Found:
    """The answer that `look` gives as soon as it is news, or after `wait` seconds; at once where too many wait already.

    `is_news` is asked about an answer and its ETag.
    """
    answer = look()
    etag = etag_of(answer)
    if wait <= 0 or is_news(answer, etag):
        return Found(answer, etag, is_crowded=False)
    with place() as is_free:
        until = monotonic() + wait
        while is_free and (left := until - monotonic()) > 0:
            _let_go_of_the_database()
            sleep(min(1.0, left))
            answer = look()
            etag = etag_of(answer)
            if is_news(answer, etag):
                break
    return Found(answer, etag, is_crowded=not is_free)


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


def is_waiting(answer: Any) -> bool:
    """Whether the run waits for its manifest, or the manifest for its verification."""
    manifest = answer["manifest"]
    return answer["state"] == "requested" or (
        manifest is not None and manifest["verification"] == "pending"
    )
