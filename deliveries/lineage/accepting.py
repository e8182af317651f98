"""Keeping OpenLineage events as evidence. An event moves no run: emitters send late, twice, and in any order."""

import datetime as dt
import hashlib
import json
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User

from deliveries.choices import DeliveryState
from deliveries.lineage.events import DataSetName, Event, storable
from deliveries.models import DataSet, Delivery, LineageBody, LineageEvent
from deliveries.names import is_any_an_account
from ledger import clock, entries, open_entry
from training_runs import teams
from training_runs.choices import FindingKind
from training_runs.models import Finding, Run


def keep(event: Event, *, actor: User) -> LineageEvent:
    """Keep an event, and open a finding where it shows a use that was not allowed; the same event again changes nothing."""
    digest = hashlib.sha256(
        json.dumps(event.body, sort_keys=True, separators=(",", ":")).encode()
    ).hexdigest()
    known = LineageEvent.objects.filter(digest=digest).first()
    if known is not None:
        return known
    run = _run_of(event)
    with entries.entry(
        "lineage.received", actor=actor, subject=run.reference if run else "lineage"
    ) as opened:
        known = LineageEvent.objects.filter(digest=digest).first()
        if known is not None:
            opened.abandon()
            return known
        row = LineageEvent(
            digest=digest,
            run=run,
            lineage_run_id=event.run_id,
            event_type=event.kind,
            event_time=event.time,
            received_at=opened.recorded_at,
        )
        row.save()
        _find(event, run if run and teams.has(run, actor) else None, opened)
        # With the event or not at all: the same event again is known, and would never bring its body.
        LineageBody.objects.create(
            event=row, body=_storable(event.body), received_at=row.received_at
        )
    return row


def _run_of(event: Event) -> Run | None:
    """The run an event belongs to: by our facet, by its parents, by its own id in the tracker."""
    if event.reference:
        return Run.objects.filter(reference=event.reference).first()
    for tracker_id in (*event.parents, event.run_id):
        if tracker_id and (run := Run.objects.filter(tracker_run_id=tracker_id).first()):
            return run
    # Emitters may say the run in their first event only: the job's other events are of the same run.
    known = LineageEvent.objects.filter(lineage_run_id=event.run_id, run__isnull=False)
    sibling = known.select_related("run").first() if event.run_id else None
    return sibling.run if sibling else None


def _storable(value: Any) -> Any:
    """A JSON value whose texts and names PostgreSQL takes."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, list):
        return [_storable(one) for one in value]
    if isinstance(value, dict):
        return {_storable(name): _storable(one) for name, one in value.items()}
    return value


def _find(event: Event, run: Run | None, opened: open_entry.OpenEntry) -> None:
    detail: dict[str, object]
    for name in sorted({one.full for one in event.inputs if is_raw(one)}) if run is None else []:
        # The job's name is of the platform; a query's text or a path of a person is not in it.
        detail = {"job": _short(event.job), "data": _short(name)}
        _open(None, FindingKind.NO_RUN, detail, opened)
    # An event of the future would be late for every lease.
    for data_set in _used_late(event.inputs, min(event.time, opened.recorded_at)):
        detail = {
            "data_set": data_set.sha256,
            "delivery": data_set.receipt.delivery.reference,
            "how": "lineage",
        }
        _open(data_set.receipt.run, FindingKind.LEASE_OVER, detail, opened)


def _short(text: str) -> str:
    """A name as a finding keeps it: the digest of one that could name a person, since findings stay for good."""
    if "@" in text or len(text) > 200 or is_any_an_account([text]):
        return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    return text


def is_raw(one: DataSetName) -> bool:
    """Whether a data set is raw data of members, by the prefixes of RAW_DATA_PREFIXES."""
    return any(one.full.startswith(prefix) for prefix in settings.RAW_DATA_PREFIXES)


def _used_late(inputs: Iterable[DataSetName], moment: dt.datetime) -> list[DataSet]:
    """The data sets of receipts that were read after the lease of their delivery, by digest or by name.

    A name is of the newest receipt that claims it: runs write to the same names again and again.
    """
    inputs = list(inputs)
    digests = [one.sha256 for one in inputs if one.sha256]
    names = [one.name for one in inputs if one.name and not one.sha256]
    found = DataSet.objects.newest().select_related("receipt__run", "receipt__delivery")
    newest = {row.name: row for row in found.filter(name__in=names).order_by("pk")}
    rows = [*found.filter(sha256__in=digests), *newest.values()]
    return [
        row
        for row in {row.pk: row for row in rows}.values()
        if (until := _usable_until(row.receipt.delivery)) is not None and moment > until
    ]


def _usable_until(delivery: Delivery) -> dt.datetime | None:
    """The end of the lease, or of a delivery that was cancelled before."""
    if delivery.state == DeliveryState.CANCELLED and delivery.ended_at and delivery.leased_until:
        return min(delivery.ended_at, delivery.leased_until)
    return delivery.leased_until


def _open(
    run: Run | None, kind: FindingKind, detail: dict[str, object], opened: open_entry.OpenEntry
) -> None:
    """One finding for the same use, however many events tell of it."""
    if not Finding.objects.filter(run=run, kind=kind, detail=detail).exists():
        Finding(run=run, kind=kind, detail=detail, found_at=opened.recorded_at).save()


def delete_old_bodies() -> int:
    """Delete the bodies of events after LINEAGE_DAYS; what joins them to runs stays. Returns how many."""
    limit = clock.now() - dt.timedelta(days=settings.LINEAGE_DAYS)
    count, _ = LineageBody.objects.filter(received_at__lt=limit).delete()
    return count
