"""Verifying a delivery: the subtraction is derived once more from history, and must come out the same.

As for a manifest (`training_runs.runs.verifying`). A list may be used before this is done: its manifest verified, and
members only leave it. One that differs ends at once.
"""

import datetime as dt
import math
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import structlog
from django.db.models import QuerySet
from pyroaring import BitMap

from common.processes import leases
from deliveries.choices import DeliveryState
from deliveries.made import archives
from deliveries.made.ending import end
from deliveries.models import Delivery, DeliveryVerification
from ledger import entries
from training_runs.choices import Agreement, FindingKind
from training_runs.eligibility import deriving
from training_runs.errors import ManifestDamaged
from training_runs.incidents import archive
from training_runs.manifests import archives as store
from training_runs.manifests import container
from training_runs.manifests.container import differences
from training_runs.models import Finding, Incident
from training_runs.runs import freezing
from training_runs.runs.sweeping import within

logger = structlog.get_logger(__name__)

VERIFIER = "system:verifier"
MAX_SWEPT = 200


def derive(delivery: Delivery) -> bytes:
    """The archive's bytes according to its manifest and to history up to its cut. Raises ManifestDamaged, OSError."""
    assert delivery.cut is not None and delivery.as_of is not None
    frozen = freezing.load(delivery.manifest)
    found = deriving.derive_members(
        delivery.run_id,
        deriving.CODES,
        cut=delivery.cut,
        as_of=delivery.as_of,
        allowed=frozen.included - _out_by_incidents(delivery),
        sealed=_header(delivery),
    )
    return archives.build(
        {
            "delivery": delivery.reference,
            "run": found.run.reference,
            "purpose": found.run.purpose,
            "manifest": delivery.manifest.digest,
            "form": delivery.form,
            "as_of": delivery.as_of,
            "days": found.days,
            "consents": found.consents,
            "cut": delivery.cut,
            "ledger_root": found.ledger_root,
            "policies": found.policies,
        },
        found.included,
        frozen.included - found.included,
        _later_of(frozen.cohorts, found.cohorts, found.included),
    )


def _out_by_incidents(delivery: Delivery) -> BitMap:
    """The members of the run's incidents, as history has these by the delivery's cut."""
    rows = Incident.history.filter(
        run_id=delivery.run_id, history_type="+", entry_id__lte=delivery.cut
    )
    return BitMap.union(
        BitMap(),
        *(
            members
            for digest in rows.values_list("digest", flat=True)
            for members in container.unpack(archive.MAGIC, store.load(digest))[1].values()
        ),
    )


def _header(delivery: Delivery) -> Mapping[str, Any] | None:
    """The header of the delivery's archive; None for a damaged one, which will differ."""
    try:
        return archives.load(delivery).header
    except (ManifestDamaged, OSError):
        return None


def _later_of(
    first: Mapping[dt.date, BitMap], second: Mapping[dt.date, BitMap], delivered: BitMap
) -> dict[dt.date, BitMap]:
    """Each delivered member at the later of their two days."""
    placed: dict[dt.date, BitMap] = {}
    for day in sorted({*first, *second}):
        members = (first.get(day, BitMap()) | second.get(day, BitMap())) & delivered
        placed = {earlier: found - members for earlier, found in placed.items()} | {day: members}
    return {day: members for day, members in placed.items() if members}


def verify(delivery: Delivery) -> DeliveryVerification:
    """Derive a made delivery a second way and record the outcome; one that differs ends, with a finding.

    Raises ManifestDamaged for a damaged manifest, which its own verification reports, and OSError.
    """
    derived = derive(delivery)
    digest = sha256(derived).hexdigest()
    detail = {} if digest == delivery.digest else _differences(delivery, derived)
    agrees = digest == delivery.digest
    kind = "delivery.verified" if agrees else "delivery.verification_failed"
    with entries.entry(kind, actor=VERIFIER, subject=delivery.run.reference) as opened:
        opened.reason = delivery.reference
        delivery = Delivery.objects.select_for_update().select_related("run").get(pk=delivery.pk)
        verification = DeliveryVerification(
            delivery=delivery,
            agreement=Agreement.AGREES if agrees else Agreement.DIFFERS,
            derived_digest=digest,
            detail=detail,
            verified_at=opened.recorded_at,
        )
        verification.save()
        if not agrees:
            Finding(
                run=delivery.run,
                kind=FindingKind.DELIVERY_DIFFERS,
                detail={"delivery": delivery.reference, **detail},
                found_at=opened.recorded_at,
            ).save()
            if delivery.state == DeliveryState.DELIVERED:
                end([delivery], DeliveryState.REFUSED, "It does not verify: history gives another.")
    if not agrees:
        logger.error("delivery differs", delivery=delivery.reference)
    return verification


def _differences(delivery: Delivery, derived: bytes) -> dict[str, object]:
    try:
        return differences(archives.MAGIC, store.load(delivery.digest), derived)
    except ManifestDamaged as error:
        return {"archive": str(error)}


def to_be_verified() -> QuerySet[Delivery]:
    """Deliveries that were made, whether or not they have ended since, oldest first."""
    made = Delivery.objects.filter(cut__isnull=False, verification__isnull=True)
    return made.select_related("run", "manifest__run").order_by("pk")


def verify_due(*, seconds: float = math.inf) -> dict[str, int]:
    """Verify what waits for it, beginning no other after so many seconds. One process at a time."""
    done = {"verified": 0, "differs": 0, "failed": 0}
    with leases.held("verify deliveries") as is_ours:
        for delivery in within(seconds, list(to_be_verified()[:MAX_SWEPT]) if is_ours else []):
            try:
                agrees = verify(delivery).agreement == Agreement.AGREES
                done["verified" if agrees else "differs"] += 1
            except Exception as error:  # whatever it is, the other deliveries must not wait for it
                logger.error(
                    "delivery not verified",
                    delivery=delivery.reference,
                    error=type(error).__name__,
                )
                done["failed"] += 1
    return done


def oldest_unverified(now: dt.datetime) -> dt.timedelta | None:
    """How long ago the oldest delivery without a verification was made; None when each has one."""
    made_at = to_be_verified().values_list("delivered_at", flat=True).first()
    return now - made_at if made_at else None
