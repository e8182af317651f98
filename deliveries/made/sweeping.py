"""Sweeping deliveries: what no message announced, leases that ran out, files that no delivery knows and unfinished ones."""

import math

import structlog
from django.db.models import F

from common.processes import leases
from deliveries.made import account_map, stores
from deliveries.made.ending import expire_due
from deliveries.made.making import make
from deliveries.models import Delivery
from training_runs.manifests import archives
from training_runs.runs.sweeping import within

logger = structlog.get_logger(__name__)

MAX_SWEPT = 200


def sweep(*, seconds: float = math.inf) -> dict[str, int]:
    """End leases, make what waits, delete strays. One process at a time sweeps; one failure keeps no other waiting."""
    done = {"made": 0, "expired": 0, "failed": 0}
    with leases.held("sweep deliveries") as is_ours:
        if not is_ours:
            return done
        done["expired"] = expire_due()
        for delivery_id in within(seconds, _waiting()):
            try:
                done["made"] += make(delivery_id) is not None
            except Exception as error:  # whatever it is, the other deliveries must not wait for it
                logger.error("delivery failed in a sweep", error=type(error).__name__)
                done["failed"] += 1
        alive = Delivery.objects.alive().values_list("reference", flat=True)
        stores.remove_strays({*alive, account_map.HOME})
        archives.remove_parts()
    return done


def _waiting() -> list[int]:
    waiting = Delivery.objects.requested().order_by(
        F("attempt__last_at").asc(nulls_first=True), "pk"
    )
    return list(waiting.values_list("pk", flat=True)[:MAX_SWEPT])
