"""Verifying a manifest: it is derived once more from history, and must come out the same."""

import datetime as dt
from hashlib import sha256
from typing import Any

import structlog
from django.contrib.auth.models import User
from django.db.models import Max, Q, QuerySet

from common.processes import leases
from ledger import entries, open_entry
from ledger.models import Entry
from training_runs.choices import Agreement, FindingKind, RunState
from training_runs.eligibility import deriving
from training_runs.errors import (
    ManifestBlocked,
    ManifestDamaged,
    ManifestNotReady,
    RunCancelled,
)
from training_runs.manifests import archives, manifest_file
from training_runs.manifests.container import differences
from training_runs.manifests.members_tree import MembersTree
from training_runs.models import Finding, Manifest, Run, Verification

logger = structlog.get_logger(__name__)


VERIFIER = "system:verifier"


VERIFICATION_REQUESTED = "verification.requested"


def verify(manifest: Manifest, *, actor: open_entry.Actor = VERIFIER) -> Verification:
    """Derive the manifest a second way, from history up to its cut, and stamp it with the outcome."""
    detail: dict[str, Any] = {}
    members_root = None
    derived = deriving.derive(manifest)
    digest = sha256(derived).hexdigest()
    try:
        data = archives.load(manifest.digest)
        stored = manifest_file.parse(data)
    except ManifestDamaged as error:
        detail["archive"] = str(error)
    else:
        if digest != manifest.digest:
            detail |= differences(manifest_file.MAGIC, data, derived)
        else:
            members_root = MembersTree.of(stored, digest).root().hex()
    agrees = digest == manifest.digest and not detail
    kind = "manifest.verified" if agrees else "manifest.verification_failed"
    with entries.entry(kind, actor=actor, subject=manifest.run.reference) as opened:
        verification = Verification(
            manifest=manifest,
            agreement=Agreement.AGREES if agrees else Agreement.DIFFERS,
            derived_digest=digest,
            detail=detail,
            verified_at=opened.recorded_at,
            members_root=members_root,
        )
        verification.save()
        if not agrees:
            Finding(
                run=manifest.run,
                kind=FindingKind.MANIFEST_DIFFERS,
                detail=detail,
                found_at=opened.recorded_at,
            ).save()
    if not agrees:
        logger.error("manifest differs", run=manifest.run.reference)
    return verification


def manifest_of(run: Run) -> Manifest:
    """The run's manifest, verified or not. Raises ManifestNotReady."""
    manifest: Manifest | None = getattr(run, "manifest", None)
    if manifest is None:
        raise ManifestNotReady(f"{run.reference} is {run.get_state_display()}: it has no manifest.")
    return manifest


def usable_manifest(run: Run) -> Manifest:
    """The run's manifest, if it verified. Raises ManifestNotReady or ManifestBlocked."""
    manifest = Manifest.objects.with_agreement().select_related("run").filter(run=run).first()
    if manifest is None:
        raise ManifestNotReady(f"{run.reference} is {run.get_state_display()}: it has no manifest.")
    if run.state == RunState.CANCELLED:
        raise RunCancelled(f"{run.reference} is cancelled, so its manifest is no longer used.")
    if manifest.differs:
        raise ManifestBlocked(
            f"The manifest of {run.reference} does not verify. It can never be used: start another run, and report this one."
        )
    if not manifest.agrees:
        raise ManifestNotReady(
            f"The manifest of {run.reference} is being verified; try again soon."
        )
    return manifest


def request_verification(manifest: Manifest, *, actor: User) -> None:
    """Ask for another verification. The entry is the request: the sweeper finds it if a message is lost."""
    with entries.entry(VERIFICATION_REQUESTED, actor=actor, subject=manifest.run.reference):
        pass


def verify_due(manifest_id: int) -> Verification | None:
    """Verify a manifest that waits for it; None when it does not (any more), or another worker is at it."""
    with leases.held(f"{VERIFYING}{manifest_id}") as is_ours:
        # Asked again once it is ours: the one who had it may have ended in between.
        manifest = to_be_verified().filter(pk=manifest_id).first() if is_ours else None
        return verify(manifest) if manifest is not None else None


VERIFYING = "verify manifest "


def to_be_verified() -> QuerySet[Manifest]:
    """Manifests never verified, and those whose verification was asked for since the last one."""
    asked = dict(
        Entry.objects.filter(kind=VERIFICATION_REQUESTED)
        .order_by("subject")
        .values_list("subject")
        .annotate(last=Max("sequence"))
    )
    waiting = Manifest.objects.filter(run__reference__in=asked).annotate(
        verified_at_entry=Max("verifications__entry")
    )
    again = [
        manifest.pk
        for manifest in waiting.select_related("run")
        if (manifest.verified_at_entry or 0) < asked[manifest.run.reference]
    ]
    return (
        Manifest.objects.filter(Q(verifications__isnull=True) | Q(pk__in=again))
        .select_related("run")
        .order_by("pk")
        .distinct()
    )


def oldest_unverified(now: dt.datetime) -> dt.timedelta | None:
    """How long ago the oldest manifest without any verification was frozen; None when each has one."""
    unverified = Manifest.objects.filter(verifications__isnull=True).order_by("pk")
    frozen_at = unverified.values_list("frozen_at", flat=True).first()
    return now - frozen_at if frozen_at else None
