"""The story of a run as its page tells it: what is in, subtracted, kept and redacted, from registration to completion."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from deliveries.choices import DeliveryState, WaiverState
from deliveries.models import Acknowledgement, Completion, Delivery, Receipt, TrainingStart, Waiver
from deliveries.receipts.statements import predicate_of
from training_runs import teams
from training_runs.choices import RunState
from training_runs.models import Manifest, Run

TONES = {
    DeliveryState.DELIVERED: "good",
    DeliveryState.REQUESTED: "warning",
    DeliveryState.REFUSED: "danger",
}


@dataclass(frozen=True)
class Bar:
    """A stage of the data: a count, and its width against the largest count of its kind."""

    label: str
    count: int
    of: int
    unit: str
    tone: str = "in"

    @property
    def shown(self) -> str:
        return f"{self.count:,} {self.unit}"

    @property
    def width(self) -> str:
        return f"{100 * self.count / self.of if self.of else 0:.3f}%"


@dataclass(frozen=True)
class Step:
    """Something that happened to the run, and when."""

    at: dt.datetime
    words: str
    tone: str = ""


def bars(manifest: Manifest, delivery: Delivery | None, receipt: Receipt | None) -> list[Bar]:
    """In, subtracted, delivered, as members; in, kept, redacted, as rows of the newest receipt."""
    found = [Bar("known to the portal", manifest.population, manifest.population, "members")]
    found.append(Bar("in the manifest", manifest.included, manifest.population, "members"))
    if delivery is not None and delivery.cut is not None:
        found += [
            Bar("subtracted since", delivery.subtracted, manifest.population, "members", "out"),
            Bar("delivered", delivery.rows, manifest.population, "members"),
        ]
    if receipt is not None:
        rows = receipt.rows_in
        redaction = predicate_of(receipt).get("redaction") or {}
        found += [
            Bar("read in preparation", rows, rows, "rows"),
            Bar("kept", receipt.rows_kept, rows, "rows"),
        ]
        hits = sum((redaction.get("hits_by_kind") or {}).values())
        found.append(Bar("redacted", hits, max(rows, hits), "hits", "out"))
    return found


def steps(run: Run) -> list[Step]:
    """The events of the run, the first first."""
    found = [Step(run.registered_at, f"registered by the team {run.team}")]
    if run.requested_at:
        found.append(Step(run.requested_at, "started: the manifest was requested"))
    manifest = Manifest.objects.filter(run=run).first()
    if manifest:
        found.append(Step(manifest.frozen_at, f"frozen with {manifest.included:,} members"))
    for one in Delivery.objects.filter(run=run).order_by("pk"):
        found += _of_delivery(one)
    for start in TrainingStart.objects.filter(run=run).select_related("delivery"):
        found.append(Step(start.began_at, f"training began on {start.delivery.reference}"))
    for known in Acknowledgement.objects.filter(run=run):
        said = f"{known.withdrawn:,} withdrawals acknowledged"
        found.append(Step(known.acknowledged_at, said))
    for receipt in Receipt.objects.filter(run=run):
        said = (
            f"receipt {receipt.reference}: {receipt.rows_kept:,} of {receipt.rows_in:,} rows kept"
        )
        found.append(Step(receipt.received_at, said))
    for waiver in Waiver.objects.filter(run=run):
        found.append(Step(waiver.asked_at, "completion without a receipt asked for", "warning"))
        if waiver.decided_at:
            found.append(Step(waiver.decided_at, f"waiver {waiver.get_state_display()}"))
    for finding in run.findings.all():
        found.append(Step(finding.found_at, f"finding: {finding.get_kind_display()}", "danger"))
    done = Completion.objects.select_related("entry", "receipt").filter(run=run).first()
    if done:
        ground = done.receipt.reference if done.receipt else "a waiver"
        found.append(Step(done.entry.recorded_at, f"completed on {ground}", "good"))
    return sorted(found, key=lambda step: step.at)


def _of_delivery(delivery: Delivery) -> list[Step]:
    found = [Step(delivery.requested_at, f"{delivery.reference} requested")]
    if delivery.delivered_at:
        said = f"{delivery.reference} delivered: {delivery.rows:,} members, {delivery.subtracted:,} subtracted"
        found.append(Step(delivery.delivered_at, said))
    if delivery.ended_at:
        said = f"{delivery.reference} {delivery.get_state_display()}. {delivery.end_reason}"
        found.append(Step(delivery.ended_at, said))
    return found


def context(run: Run, user: Any) -> dict[str, Any]:
    """Everything the run's page shows of the use of its data."""
    deliveries = list(Delivery.objects.filter(run=run).select_related("attempt", "recipient"))
    manifest = Manifest.objects.filter(run=run).first()
    newest = next((one for one in deliveries if one.cut is not None), None)
    receipts = list(Receipt.objects.filter(run=run).select_related("delivery"))
    is_own = teams.has(run, user)
    in_use = run.state in (RunState.FROZEN, RunState.TRAINING, RunState.FAILED)
    waiver = Waiver.objects.filter(run=run).first()
    return {
        "run": run,
        "deliveries": deliveries,
        "receipts": receipts,
        "bars": bars(manifest, newest, receipts[0] if receipts else None) if manifest else [],
        "steps": steps(run),
        "pulse": getattr(run, "pulse", None),
        "waiver": waiver,
        "waiver_waits": waiver is not None and waiver.state == WaiverState.ASKED,
        "may_deliver": is_own and in_use and user.has_perm("deliveries.add_delivery"),
        "may_ask_waiver": is_own
        and run.state == RunState.TRAINING
        and user.has_perm("deliveries.add_waiver")
        and (waiver is None or waiver.state == WaiverState.REFUSED),
    }
