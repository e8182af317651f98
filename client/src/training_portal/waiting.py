"""Waiting for a worker of the portal, without asking more often than it wants."""

import time
from collections.abc import Callable
from typing import Any

from training_portal.errors import TryAgain
from training_portal.http import Session
from training_portal.progress import Progress

_WAIT = 30
"""Seconds for which one request lets the portal wait for news."""


def until(
    is_ready: Callable[[Any], bool],
    *,
    session: Session,
    path: str,
    progress: Progress,
    what: str,
    patience: float,
) -> Any:
    """The answer at `path` once `is_ready` says so of it; `is_ready` may raise.

    `what` is a sentence without its end, such as "The manifest is being frozen". Raises TryAgain after `patience` seconds.
    """
    end = time.monotonic() + patience
    etag, told = "", ""
    facts: Any = None
    while True:
        began = time.monotonic()
        # The first look is at once, so that something is said before the wait.
        wait = int(min(_WAIT, max(end - began, 0))) if told else 0
        answer = session.get(path, etag=etag, wait=wait)
        if answer.status != 304:
            facts, etag = answer.json, answer.headers.get("ETag", "")
        if is_ready(facts):
            return facts
        trouble = (facts.get("waiting") or {}).get("error_code", "")
        sentence = f"{what}; it waits ({trouble})" if trouble else what
        if sentence != told:
            progress.step(sentence)
            told = sentence
        if time.monotonic() >= end:
            why = f" ({trouble})" if trouble else ""
            raise TryAgain(
                f"{what}, for {round(patience)} seconds now{why}.",
                "A worker of the portal may be missing: tell the operator, and run this again; it goes on where it was.",
                code=trouble or "no_worker",
            )
        if wait and time.monotonic() - began < 1:
            # It was answered at once: there was no place to wait in.
            time.sleep(_pause(answer.headers.get("Retry-After", "")))


def _pause(said: str) -> float:
    return min(float(said), 30) if said.isascii() and said.isdecimal() else 1.0
