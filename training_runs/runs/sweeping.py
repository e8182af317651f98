"""Sweeping: work that no message announced, or whose worker was killed."""

import math
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

import structlog
from django.db.models import F

from common.processes import leases
from training_runs.choices import Agreement
from training_runs.models import Run
from training_runs.runs.freezing import freeze
from training_runs.runs.verifying import VERIFYING, to_be_verified, verify_due

logger = structlog.get_logger(__name__)


Work = TypeVar("Work")


MAX_SWEPT = 200
"""Runs or manifests that one sweep takes up; the next sweep goes on."""


def sweep() -> dict[str, int]:
    """Do what a lost message left undone: freeze requested runs, verify unverified manifests.

    One that fails does not keep the others waiting; its failure is noted beside it and logged. While another
    process sweeps, nothing is done.
    """
    frozen, verified = sweep_freezes(), sweep_verifications()
    return {
        "frozen": frozen["frozen"],
        "verified": verified["verified"],
        "failed": frozen["failed"] + verified["failed"],
    }


def sweep_freezes(*, seconds: float = math.inf) -> dict[str, int]:
    """Freeze the requested runs, beginning no other after so many seconds. One process at a time sweeps."""
    done = {"frozen": 0, "failed": 0}
    with leases.held("sweep freezes") as is_ours:
        for run_id in within(seconds, _to_be_frozen() if is_ours else []):
            try:
                done["frozen"] += freeze(run_id) is not None
            except Exception as error:  # whatever it is, the other runs must not wait for it
                logger.error("freeze failed in a sweep", run_id=run_id, error=type(error).__name__)
                done["failed"] += 1
    return done


def _to_be_frozen() -> list[int]:
    """The requested runs: those that have not failed yet, then those whose last failure is the oldest."""
    waiting = Run.objects.requested().order_by(
        F("attempt__last_at").asc(nulls_first=True), "requested_at", "pk"
    )
    return list(waiting.values_list("pk", flat=True)[:MAX_SWEPT])


def sweep_verifications(*, seconds: float = math.inf) -> dict[str, int]:
    """Verify what waits for it, beginning no other after so many seconds. One process at a time sweeps."""
    done = {"verified": 0, "failed": 0}
    with leases.held("sweep verifications") as is_ours:
        waiting = to_be_verified().exclude(pk__in=leases.are_held(VERIFYING))
        found = waiting.values_list("pk", "run__reference")[:MAX_SWEPT] if is_ours else []
        for manifest_id, reference in within(seconds, list(found)):
            try:
                verification = verify_due(manifest_id)
                if verification is not None:
                    done["verified"] += verification.agreement == Agreement.AGREES
            except Exception as error:  # likewise
                logger.error("verification failed", run=reference, error=type(error).__name__)
                done["failed"] += 1
    return done


def within(seconds: float, work: Iterable[Work]) -> Iterator[Work]:
    """The work until the time is up, but always the first of it."""
    until = time.monotonic() + seconds
    for item in work:
        yield item
        if time.monotonic() >= until:
            return
