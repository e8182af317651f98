"""What can be done to runs and manifests. Admin, API, commands and tasks are doors to these functions."""

import datetime as dt
import math
import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, TypeVar

import structlog
from django.conf import settings
from django.contrib.auth.models import User
from django.db import DatabaseError, transaction
from django.db.models import F, Max, Q, QuerySet
from django.utils import timezone
from pyroaring import BitMap

from consent.choices import CONSENT_BASIS, PURPOSES, Choice, DataCategory, Purpose, Rule
from consent.models import Member
from objections.exposure import Use
from portal import clock, leases, ledger
from portal.errors import InvalidInput, PortalError, StaleEdit
from portal.models import Entry
from portal.references import next_reference
from training_runs import archives, canaries, country_sets, folding, manifest_file, roaring_lookup
from training_runs.choices import NEXT_STATES, Agreement, FindingKind, RunState
from training_runs.eligibility import (
    BY_CODE,
    REGION,
    UNKNOWN_AT_CUT,
    Answer,
    ask,
    decide,
    reasons_now,
)
from training_runs.errors import (
    DigestMismatch,
    ForbiddenMove,
    FreezeRefused,
    ManifestBlocked,
    ManifestDamaged,
    ManifestNotReady,
    ParentNotUsable,
    RunCancelled,
    StartRefused,
    TooManyWaiting,
    TrackerIdReused,
)
from training_runs.members_tree import MembersTree
from training_runs.models import Finding, FreezeAttempt, Manifest, Run, Verification

logger = structlog.get_logger(__name__)

FREEZER = "system:freezer"
VERIFIER = "system:verifier"
VERIFICATION_REQUESTED = "verification.requested"

Work = TypeVar("Work")


# --- Registering and starting -------------------------------------------------------------------


def register(
    *,
    tracker_run_id: str,
    purpose: str,
    data_categories: Collection[str],
    owner: User,
    title: str = "",
    parent: Run | None = None,
) -> tuple[Run, bool]:
    """Register a run; the same tracker id again gives the same run and False.

    Raises TrackerIdReused when it comes with other facts or from somebody else.
    """
    if purpose not in Purpose.values:
        raise InvalidInput(f"One of {', '.join(Purpose.values)}.", field="purpose")
    unknown = sorted(set(data_categories) - set(DataCategory.values))
    if unknown:
        raise InvalidInput(
            f"Not a data category: {', '.join(unknown)}. Known are {', '.join(DataCategory.values)}.",
            field="data_categories",
        )
    facts = {
        "purpose": purpose,
        "data_categories": sorted(set(data_categories)),
        "title": title,
        "parent_id": parent.pk if parent else None,
        "owner_id": owner.pk,
    }
    canaries.plant()
    with ledger.entry("run.registered", actor=owner) as opened:
        known = Run.objects.filter(tracker_run_id=tracker_run_id).first()
        if known is not None:
            opened.abandon()
        else:
            run = Run(
                reference=next_reference("TR", opened.recorded_at.year, Run),
                tracker_run_id=tracker_run_id,
                registered_at=opened.recorded_at,
                **facts,
            )
            run.save()
            opened.subject = run.reference
            return run, True
    # The title may have been edited since.
    if any(getattr(known, name) != value for name, value in facts.items() if name != "title"):
        raise TrackerIdReused(
            f"The tracker's run id is registered as {known.reference} with other facts."
        )
    return known, False


def rename(*, run: Run, title: str, version: int, actor: User) -> Run:
    """Change a run's title. Raises StaleEdit when the run is not at `version` any more."""
    with ledger.entry("run.renamed", actor=actor, subject=run.reference):
        run = Run.objects.select_for_update().get(pk=run.pk)
        check_version(run, version)
        run.title = title
        run.save()
    return run


def preview(run: Run) -> Answer:
    """How many would be in and out if the run were frozen now; nothing is written."""
    with ledger.snapshot():
        question = ask(run.purpose, clock.today(), run.data_categories)
        return decide(question, _parent_included(run))


def start(*, run: Run, actor: User) -> Run:
    """Request the freeze; starting a run that is started changes nothing.

    Raises StartRefused with every gap, ForbiddenMove from a final state, ParentNotUsable, TooManyWaiting.
    """
    if run.state == RunState.REGISTERED:
        _refuse_gaps(run)
    with ledger.entry("run.requested", actor=actor, subject=run.reference) as opened:
        run = Run.objects.select_for_update().get(pk=run.pk)
        if run.state in (RunState.REQUESTED, RunState.FROZEN):
            opened.abandon()
            return run
        # Counted under the ledger's lock: of two starts the second one sees the first.
        if Run.objects.requested().owned_by(run.owner).count() >= settings.MAX_WAITING_RUNS:
            raise TooManyWaiting(
                f"{settings.MAX_WAITING_RUNS} runs of {run.owner} wait for their manifests already:"
                " start this one when one of them is frozen."
            )
        run.requested_at = opened.recorded_at
        run.as_of = opened.recorded_at.astimezone(dt.UTC).date()
        _move(run, RunState.REQUESTED)
    return run


def _refuse_gaps(run: Run) -> None:
    """What stands in the way of a start, all of it at once."""
    answer = preview(run)
    ruling = answer.question.ruling
    said, reasons = "", list[dict[str, object]]()
    if not run.data_categories:
        said = "The run declares no data categories."
        reasons.append({"code": "no_data_categories"})
    if not ruling.allowed & ruling.covered:
        said = said or f"No notice in force lets {run.purpose} use this data in any country."
        if not ruling.allowed:
            reasons.append({"code": "no_country_allowed", "purpose": run.purpose})
        if not ruling.notice_versions:
            reasons.append({"code": "no_notice_in_force", "purpose": run.purpose})
        reasons += [
            {"code": "no_notice", "country": country, "data_categories": gap}
            for country, gap in sorted(ruling.gaps.items())
        ]
    elif not answer.included:
        said = said or "Nobody is eligible."
        reasons.append({"code": "nobody_eligible", **answer.counts()})
    if reasons:
        raise StartRefused(said, reasons=reasons)


def cancel(*, run: Run, actor: User, reason: str) -> Run:
    """End a run that will not be trained. Cannot be undone."""
    if not reason.strip():
        raise InvalidInput("Say why.", field="reason")
    with ledger.entry("run.cancelled", actor=actor, subject=run.reference, reason=reason) as opened:
        run = Run.objects.select_for_update().get(pk=run.pk)
        if run.state == RunState.CANCELLED:
            opened.abandon()
            return run
        _move(run, RunState.CANCELLED)
    return run


def complete(*, run: Run, trained_digest: str, actor: User) -> Run:
    """Record that the run was trained on its manifest. Cannot be undone.

    Another digest than the manifest's opens a finding, which stays, and the run stays as it is. Raises DigestMismatch,
    ManifestNotReady, ManifestBlocked, RunCancelled, ForbiddenMove, InvalidInput.
    """
    if len(trained_digest) != 64 or set(trained_digest) - set("0123456789abcdef"):
        raise InvalidInput("A SHA-256 in 64 lower-case hexadecimal digits.", field="trained_digest")
    with ledger.entry("run.completed", actor=actor, subject=run.reference) as opened:
        run = Run.objects.select_for_update().get(pk=run.pk)
        if run.state == RunState.COMPLETED and run.trained_digest == trained_digest:
            opened.abandon()
            return run
        _check_move(run, RunState.COMPLETED)
        # Asked under the lock: a verification may have differed a moment ago.
        manifest = usable_manifest(run)
        is_right = manifest.digest == trained_digest
        if is_right:
            run.trained_digest = trained_digest
            _move(run, RunState.COMPLETED)
        else:
            opened.kind = "run.completion_refused"
            _find_mismatch(opened, manifest, trained_digest)
    if not is_right:
        raise DigestMismatch(
            f"This is not the digest of the manifest of {run.reference}. The run stays"
            f" {run.get_state_display()}, and a finding says what was sent."
        )
    return run


def _find_mismatch(opened: ledger.OpenEntry, manifest: Manifest, trained_digest: str) -> None:
    """Open a finding, once for each wrong digest."""
    detail = {"frozen": manifest.digest, "trained": trained_digest}
    if Finding.objects.filter(run=manifest.run, kind=FindingKind.DIGEST_MISMATCH, detail=detail):
        opened.abandon()
        return
    Finding(
        run=manifest.run,
        kind=FindingKind.DIGEST_MISMATCH,
        detail=detail,
        found_at=opened.recorded_at,
    ).save()


def check_version(run: Run, version: int) -> None:
    if run.version != version:
        raise StaleEdit("Somebody changed the run in the meantime: look at it again.")


def _check_move(run: Run, state: RunState) -> None:
    if state not in NEXT_STATES[run.state]:
        raise ForbiddenMove(
            f"{run.reference} is {run.get_state_display()}: it cannot become {state}."
        )


def _move(run: Run, state: RunState) -> None:
    """The one place where a run changes state. The row must be locked."""
    _check_move(run, state)
    run.state = state
    run.save()


# --- Freezing -----------------------------------------------------------------------------------


def freeze(run_id: int) -> Manifest | None:
    """Freeze a requested run's manifest, once, however often and from wherever it is called.

    The snapshot is read in one transaction and the result recorded in a second one. Returns None when
    somebody else has the run. What goes wrong is noted beside the run, which stays requested, and raised.
    """
    started = time.perf_counter()
    try:
        _move_day(run_id)
        with ledger.snapshot() as cut:
            run = (
                Run.objects.requested()
                .select_for_update(skip_locked=True)
                .filter(pk=run_id)
                .first()
            )
            if run is None:
                return Manifest.objects.filter(run_id=run_id).first()
            _check_day(run, clock.today())
            question = ask(run.purpose, run.as_of, run.data_categories)
            kept = country_sets.load(question.excluded)
            answer = decide(question, _parent_included(run), kept)
            canaries.check(answer)
            facts = header_facts(run, answer, cut)
        header, data = manifest_file.build(
            facts, answer.population, answer.included, answer.excluded
        )
        archives.store(data)
        if kept is None or kept.members != answer.excluded[REGION]:
            _keep_countries(answer, cut)
        return _record_manifest(run_id, header, data, time.perf_counter() - started)
    except (PortalError, OSError, DatabaseError) as error:
        if not _is_waiting(run_id):
            # It was frozen or cancelled in the meantime: PostgreSQL locks no row that left the snapshot behind.
            return Manifest.objects.filter(run_id=run_id).first()
        _note_failure(run_id, error)
        raise


def _move_day(run_id: int) -> None:
    """A run that waited past midnight is frozen under the rules of the day it is frozen on."""
    today = clock.today()
    late = Run.objects.requested().filter(pk=run_id, as_of__lt=today)
    if not late.exists():
        return
    with ledger.entry("run.day_moved", actor=FREEZER, reason="waited past midnight") as opened:
        run = late.select_for_update().first()
        if run is None:
            opened.abandon()
            return
        run.as_of = today
        run.save()
        opened.subject = run.reference


def _check_day(run: Run, today: dt.date) -> None:
    """Raises FreezeRefused for a day that has not come: who is 17 today would be in, and rules that do not hold yet."""
    if run.as_of is None or run.as_of > today:
        raise FreezeRefused(
            f"{run.reference} is as of {run.as_of}, and by the database's clock it is {today}: it waits for that day,"
            " or is cancelled."
        )


def _is_waiting(run_id: int) -> bool:
    """Whether the run still waits for its manifest; True when the database cannot say."""
    try:
        return Run.objects.requested().filter(pk=run_id).exists()
    except DatabaseError:
        return True


def _keep_countries(answer: Answer, cut: ledger.Head) -> None:
    try:
        country_sets.keep(answer.question.excluded, cut.size, answer.excluded[REGION])
    except OSError as error:
        # The next freeze reads the table instead.
        logger.warning("country set not kept", error=type(error).__name__)


def header_facts(run: Run, answer: Answer, cut: ledger.Head) -> dict[str, Any]:
    """What the header says beside counts and parts."""
    return {
        "run": run.reference,
        "purpose": run.purpose,
        "data_categories": run.data_categories,
        "parent": parent_facts(run.parent),
        "as_of": run.as_of,
        "cut": cut.size,
        "ledger_root": cut.root,
        "notices": list(answer.question.ruling.notice_versions),
        "region_rules": list(answer.question.ruling.rule_ids),
        "reasons": exclusion_texts(answer.excluded),
    }


def parent_facts(parent: Run | None) -> dict[str, str] | None:
    return {"run": parent.reference, "manifest": parent.manifest.digest} if parent else None


def exclusion_texts(codes: Collection[str]) -> dict[str, dict[str, str]]:
    return {
        code: {"sentence": BY_CODE[code].sentence, "ground": BY_CODE[code].ground} for code in codes
    }


def _record_manifest(
    run_id: int, header: dict[str, Any], data: bytes, seconds: float
) -> Manifest | None:
    with ledger.entry("run.frozen", actor=FREEZER, subject=header["run"]) as opened:
        run = Run.objects.select_for_update().get(pk=run_id)
        if run.state != RunState.REQUESTED:
            # Somebody was faster, or it was cancelled.
            opened.abandon()
            return Manifest.objects.filter(run_id=run_id).first()
        _check_day(run, opened.recorded_at.astimezone(dt.UTC).date())
        manifest = Manifest(
            run=run,
            cut=header["cut"],
            ledger_root=header["ledger_root"],
            digest=sha256(data).hexdigest(),
            size=len(data),
            included=header["parts"][0]["members"],
            population=header["population"],
            header=header,
            frozen_at=opened.recorded_at,
            seconds=f"{seconds:.3f}",
        )
        manifest.save()
        _move(run, RunState.FROZEN)
        FreezeAttempt.objects.filter(run=run).delete()
    logger.info("run frozen", run=run.reference, cut=manifest.cut, seconds=manifest.seconds)
    return manifest


def _note_failure(run_id: int, error: Exception) -> None:
    """Leave word why the run is still waiting; failing to do so must not hide the failure itself."""
    code = getattr(error, "code", None)
    code = code if isinstance(code, str) else type(error).__name__
    text = str(error) if isinstance(error, PortalError | OSError) else "The database refused."
    logger.error("freeze failed", run_id=run_id, error_code=code)
    try:
        with transaction.atomic():
            attempt = FreezeAttempt.objects.filter(run_id=run_id).first() or FreezeAttempt(
                run_id=run_id
            )
            attempt.count += 1
            attempt.error_code, attempt.error = code[:40], text[:500]
            attempt.last_at = timezone.now()
            attempt.save()
    except DatabaseError:
        logger.error("freeze failure could not be noted", run_id=run_id)


def _parent_included(run: Run) -> BitMap | None:
    """The parent's frozen included set; usable only when it verified."""
    manifest = _parent_manifest(run)
    return None if manifest is None else load(manifest).included


def _parent_manifest(run: Run) -> Manifest | None:
    """The parent's manifest, None without a parent. Raises ParentNotUsable."""
    if run.parent is None:
        return None
    manifest = Manifest.objects.with_agreement().filter(run=run.parent).first()
    if run.parent.state == RunState.CANCELLED:
        raise ParentNotUsable(f"{run.parent.reference} is cancelled.")
    if manifest is None:
        raise ParentNotUsable(f"{run.parent.reference} has no manifest yet.")
    if manifest.differs or not manifest.agrees:
        raise ParentNotUsable(f"The manifest of {run.parent.reference} is not verified.")
    return manifest


def load(manifest: Manifest) -> manifest_file.Archive:
    """The manifest's archive, parsed and checked."""
    return manifest_file.parse(archives.load(manifest.digest))


# --- Verifying ----------------------------------------------------------------------------------


def verify(manifest: Manifest, *, actor: ledger.Actor = VERIFIER) -> Verification:
    """Derive the manifest a second way, by folding history up to its cut, and stamp it with the outcome."""
    detail: dict[str, Any] = {}
    members_root = None
    derived = folding.derive(manifest)
    digest = sha256(derived).hexdigest()
    try:
        stored = manifest_file.parse(archives.load(manifest.digest))
    except ManifestDamaged as error:
        detail["archive"] = str(error)
    else:
        if digest != manifest.digest:
            detail |= _differences(stored, manifest_file.parse(derived))
        else:
            members_root = MembersTree.of(stored, digest).root().hex()
    agrees = digest == manifest.digest and not detail
    kind = "manifest.verified" if agrees else "manifest.differs"
    with ledger.entry(kind, actor=actor, subject=manifest.run.reference) as opened:
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


def _differences(stored: manifest_file.Archive, derived: manifest_file.Archive) -> dict[str, Any]:
    """What two archives disagree on: header fields by name, sets by how many members."""
    found: dict[str, Any] = {
        "header": sorted(
            name
            for name in stored.header.keys() | derived.header.keys()
            if stored.header.get(name) != derived.header.get(name)
        )
    }
    mine = {manifest_file.INCLUDED: stored.included, **stored.excluded}
    other = {manifest_file.INCLUDED: derived.included, **derived.excluded}
    for name in sorted(mine.keys() | other.keys()):
        differing = len(mine.get(name, BitMap()) ^ other.get(name, BitMap()))
        if differing:
            found[name] = differing
    return found


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
        raise RunCancelled(f"{run.reference} is cancelled: its manifest is not used any more.")
    if manifest.differs:
        raise ManifestBlocked(
            f"The manifest of {run.reference} does not verify; nobody may use it until this is explained."
        )
    if not manifest.agrees:
        raise ManifestNotReady(
            f"The manifest of {run.reference} is being verified; try again soon."
        )
    return manifest


def request_verification(manifest: Manifest, *, actor: User) -> None:
    """Ask for another verification. The entry is the request: the sweeper finds it if a message is lost."""
    with ledger.entry(VERIFICATION_REQUESTED, actor=actor, subject=manifest.run.reference):
        pass


def verify_due(manifest_id: int) -> Verification | None:
    """Verify a manifest that waits for it; None when it does not (any more), or another worker is at it."""
    with leases.held(f"{_VERIFYING}{manifest_id}") as is_ours:
        # Asked again once it is ours: the one who had it may have ended in between.
        manifest = _to_be_verified().filter(pk=manifest_id).first() if is_ours else None
        return verify(manifest) if manifest is not None else None


_VERIFYING = "verify manifest "


def _to_be_verified() -> QuerySet[Manifest]:
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


# --- Sweeping -----------------------------------------------------------------------------------

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
        for run_id in _within(seconds, _to_be_frozen() if is_ours else []):
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
        waiting = _to_be_verified().exclude(pk__in=leases.are_held(_VERIFYING))
        found = waiting.values_list("pk", "run__reference")[:MAX_SWEPT] if is_ours else []
        for manifest_id, reference in _within(seconds, list(found)):
            try:
                verification = verify_due(manifest_id)
                if verification is not None:
                    done["verified"] += verification.agreement == Agreement.AGREES
            except Exception as error:  # likewise
                logger.error("verification failed", run=reference, error=type(error).__name__)
                done["failed"] += 1
    return done


def _within(seconds: float, work: Iterable[Work]) -> Iterator[Work]:
    """The work until the time is up, but always the first of it."""
    until = time.monotonic() + seconds
    for item in work:
        yield item
        if time.monotonic() >= until:
            return


# --- Explaining ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Explanation:
    """Why a member is in or out of a run: as frozen, and as it would be now."""

    run: Run
    member: Member
    frozen: list[str] | None
    """Codes that keep the member out in the manifest, empty when in; None without a manifest."""
    now: list[str]

    @property
    def sentences(self) -> list[str]:
        said = []
        if self.frozen is not None:
            said.append(
                _sentence(
                    self.frozen, f"was in {self.run.reference}", f"was out of {self.run.reference}"
                )
            )
        said.append(
            _sentence(
                self.now, "would be in a run started now", "would be out of a run started now"
            )
        )
        return said


def _sentence(codes: list[str], included: str, excluded: str) -> str:
    if not codes:
        return f"The member {included}."
    return f"The member {excluded} because {'; and because '.join(BY_CODE[code].sentence for code in codes)}."


def explain(run: Run, member: Member) -> Explanation:
    """Why the member is in or out. A member who joined after the cut is out of the manifest.

    Raises ManifestDamaged, ParentNotUsable.
    """
    manifest = Manifest.objects.filter(run=run).first()
    frozen = None if manifest is None else reasons_in(manifest, member.pk)
    now = reasons_now(ask(run.purpose, clock.today(), run.data_categories), member.pk)
    parent = _parent_manifest(run)
    if parent is not None and not _includes(parent, member.pk):
        now.append("not_in_parent")
    return Explanation(run, member, frozen, now)


def reasons_in(manifest: Manifest, number: int) -> list[str]:
    """The codes that keep a member out of a manifest, empty when in. Raises ManifestDamaged, OSError."""
    with roaring_lookup.opened(manifest.digest) as archive:
        if number > manifest.population:
            return [UNKNOWN_AT_CUT.code]
        return archive.reasons(number)


def _includes(manifest: Manifest, number: int) -> bool:
    with roaring_lookup.opened(manifest.digest) as archive:
        return archive.includes(number)


def runs_including(
    number: int, purposes: Collection[str], since: dt.datetime | None = None
) -> list[Manifest]:
    """The manifests for these purposes, frozen after `since`, that a member is in: the newest first, with their runs.

    Without those of cancelled runs, which trained nothing. Raises ManifestDamaged or OSError when one
    cannot be read: then nobody can say.
    """
    manifests = (
        Manifest.objects.filter(run__purpose__in=list(purposes), population__gte=number)
        .exclude(run__state=RunState.CANCELLED)
        .select_related("run")
        .defer("header")
    )
    if since is not None:
        manifests = manifests.filter(frozen_at__gt=since)
    return [manifest for manifest in manifests if _includes(manifest, number)]


def uses_of(number: int, purposes: Collection[str], since: dt.datetime | None) -> list[Use]:
    """The same as the objection desk asks it."""
    return [
        Use(manifest.run.reference, manifest.run.purpose, manifest.frozen_at, manifest.cut)
        for manifest in runs_including(number, purposes, since)
    ]


NO_RULE = "none"


@dataclass(frozen=True)
class Standing:
    """Where a member stands for one purpose right now."""

    purpose: str
    choice: str
    """`allow`, `deny`, or `default` when the member never chose."""
    rule: str
    """The rule in the member's country, or NO_RULE."""
    reasons: list[str]

    @property
    def legal_basis(self) -> str | None:
        """What the use rests on; None when the member is out."""
        if self.reasons:
            return None
        return CONSENT_BASIS if self.rule == Rule.OPT_IN else PURPOSES[self.purpose].legal_basis

    @property
    def sentence(self) -> str:
        """A member on the default is in without having consented: the sentence says so."""
        if self.reasons:
            return _sentence(self.reasons, "", "is out")
        if self.rule == Rule.OPT_IN:
            how = "the member has given consent"
        elif self.choice == Choice.ALLOW:
            how = "on by default, and left on by the member, who has not objected"
        else:
            how = "on by default; the member has not consented, and has not objected"
        return f"The member is in: {how} ({self.legal_basis})."


def standing(member: Member) -> list[Standing]:
    """For every purpose: the choice, the rule in the member's country, in or out and why."""
    today = clock.today()
    chosen = {row.purpose: row.choice for row in member.consents.all()}
    answers = []
    for purpose in Purpose.values:
        question = ask(purpose, today, [])
        answers.append(
            Standing(
                purpose=purpose,
                choice=chosen.get(purpose, "default"),
                rule=question.ruling.rule_of.get(member.country, NO_RULE),
                reasons=reasons_now(question, member.pk),
            )
        )
    return answers


# --- Using a manifest ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Withdrawn(Answer):
    """The members of a manifest, split by a freeze that would be made at `cut`. `included` are those still eligible."""

    cut: int
    """The ledger size that was read."""

    @property
    def withdrawn(self) -> BitMap:
        """Everybody whom the manifest includes and who would be out."""
        return BitMap.union(BitMap(), *self.excluded.values())


def withdrawn_since(manifest: Manifest) -> Withdrawn:
    """Those of the included who would be out now, by reason."""
    run = manifest.run
    with ledger.snapshot() as head:
        now = decide(ask(run.purpose, clock.today(), run.data_categories))
    included = load(manifest).included
    return Withdrawn(
        now.question,
        len(included),
        included & now.included,
        {code: members & included for code, members in now.excluded.items()},
        head.size,
    )


def oldest_unverified(now: dt.datetime) -> dt.timedelta | None:
    """How long ago the oldest manifest without any verification was frozen; None when each has one."""
    unverified = Manifest.objects.filter(verifications__isnull=True).order_by("pk")
    frozen_at = unverified.values_list("frozen_at", flat=True).first()
    return now - frozen_at if frozen_at else None


def oldest_requested(now: dt.datetime) -> dt.timedelta | None:
    """How long the oldest requested run has waited; None when none waits."""
    requested_at = Run.objects.requested().values_list("requested_at", flat=True).first()
    return now - requested_at if requested_at else None
