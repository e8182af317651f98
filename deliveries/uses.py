"""The use that is made of runs' data, as the runs' own answers show it."""

from collections.abc import Sequence
from typing import Any

from django.db.models import Count

from deliveries.models import Completion, Delivery, Receipt, TrainingPulse


def of_runs(keys: Sequence[int]) -> dict[int, dict[str, Any]]:
    """By the run's key: its newest delivery, the pulse of its training, its receipts, and what it completed on."""
    found: dict[int, dict[str, Any]] = {}
    rows = Delivery.objects.filter(run__in=keys).order_by("pk")
    for run, reference, state, until in rows.values_list(
        "run", "reference", "state", "leased_until"
    ):
        found.setdefault(run, {}).update(
            delivery=reference, delivery_state=state, leased_until=until
        )
    for pulse in TrainingPulse.objects.filter(run__in=keys):
        found.setdefault(pulse.run_id, {}).update(
            heartbeat_at=pulse.heartbeat_at, first_read_at=pulse.first_read_at
        )
    counted = Receipt.objects.filter(run__in=keys).order_by().values_list("run")
    for run, count in counted.annotate(Count("pk")):
        found.setdefault(run, {})["receipts"] = count
    done = Completion.objects.filter(run__in=keys).values_list("run", "receipt__reference")
    for run, receipt in done:
        found.setdefault(run, {})["completed_on"] = receipt or "waiver"
    return found
