"""Waiting for a run to change, without holding the database: a request looks again each second."""

import threading
import time
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

from django.conf import settings
from django.db import close_old_connections, connection
from rest_framework.renderers import JSONRenderer

RETRY_AFTER = 2
"""Seconds after which it is worth asking for a run that waits again."""
_waiting = threading.BoundedSemaphore(settings.MAX_WAITING_REQUESTS)
"""Requests of this process that wait. The others are answered at once: a few pipelines must not take every thread."""


def seconds(wait: int) -> Iterator[int]:
    """A moment each second until the time is up; none when too many requests wait already."""
    if wait <= 0 or not _waiting.acquire(blocking=False):
        return
    try:
        until = time.monotonic() + wait
        while (left := until - time.monotonic()) > 0:
            if not connection.in_atomic_block:
                close_old_connections()
            time.sleep(min(1.0, left))
            yield wait
    finally:
        _waiting.release()


def etag_of(answer: Any) -> str:
    """Changes with anything that the answer says, and with nothing else."""
    return sha256(JSONRenderer().render(answer)).hexdigest()


def is_waiting(answer: Any) -> bool:
    """Whether the run waits for its manifest, or the manifest for its verification."""
    manifest = answer["manifest"]
    return answer["state"] == "requested" or (
        manifest is not None and manifest["verification"] == "pending"
    )


def is_news(answer: Any, known: str) -> bool:
    """Whether a caller who knows an ETag, or waits for a manifest, should be told."""
    return f'"{etag_of(answer)}"' not in known if known else not is_waiting(answer)
