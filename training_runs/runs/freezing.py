"""Freezing: from the members who are eligible at the cut to the manifest's archive."""

import datetime as dt
import time
from collections.abc import Collection
from hashlib import sha256
from typing import Any

import structlog
from django.db import DatabaseError, transaction
from django.utils import timezone
from pyroaring import BitMap

from consent.rulebook import days
from ledger import clock, entries
from ledger.errors import Refusal
from training_runs.choices import RunState
from training_runs.eligibility import canaries, cohorts
from training_runs.eligibility.exclusions import BY_CODE, REGION, Eligibility, ask, decide
from training_runs.errors import (
    FreezeRefused,
    ParentNotUsable,
)
from training_runs.manifests import archives, country_sets, manifest_file
from training_runs.models import FreezeAttempt, Manifest, Run
from training_runs.runs.moves import move

logger = structlog.get_logger(__name__)


FREEZER = "system:freezer"


def freeze(run_id: int) -> Manifest | None:
    """Freeze a requested run's manifest, once, however often and from wherever it is called.

    The snapshot is read in one transaction and the result recorded in a second one. Returns None when
    another process has the run. What goes wrong is noted beside the run, which stays requested, and raised.
    """
    started = time.perf_counter()
    try:
        _move_as_of(run_id)
        with entries.snapshot() as cut:
            run = (
                Run.objects.requested()
                .select_for_update(skip_locked=True)
                .filter(pk=run_id)
                .first()
            )
            if run is None:
                return Manifest.objects.filter(run_id=run_id).first()
            as_of = _check_as_of(run, clock.now() + clock.MAX_BACK)
            question = ask(run.purpose, days.at(as_of), run.data_categories)
            kept = country_sets.load(question.excluded)
            answer = decide(question, parent_included(run), kept)
            canaries.check(answer)
            applied = cohorts.policies_for(question)
            by_day = cohorts.cohorts(answer, applied)
            facts = header_facts(run, answer, cut, applied)
        header, data = manifest_file.build(
            facts, answer.population, answer.included, answer.excluded, by_day
        )
        archives.store(data)
        if kept is None or kept.members != answer.excluded[REGION]:
            _keep_countries(answer, cut)
        return _record_manifest(run_id, header, data, time.perf_counter() - started)
    except (Refusal, OSError, DatabaseError) as error:
        if not _is_waiting(run_id):
            # It was frozen or cancelled in the meantime: PostgreSQL does not lock a row that changed after the snapshot.
            return Manifest.objects.filter(run_id=run_id).first()
        _note_failure(run_id, error)
        raise


def _move_as_of(run_id: int) -> None:
    """A run that waited past a midnight, wherever that was, is frozen under the rules of the days it is frozen on."""
    now = clock.now()
    waiting = Run.objects.requested().filter(pk=run_id, as_of__lt=now)
    run = waiting.first()
    if run is None or run.as_of is None or days.same_days(run.as_of, now):
        return
    with entries.entry("run.as_of_changed", actor=FREEZER, reason="waited past midnight") as opened:
        run = waiting.select_for_update().first()
        if run is None:
            opened.abandon()
            return
        run.as_of = opened.recorded_at
        run.save()
        opened.subject = run.reference


def _check_as_of(run: Run, now: dt.datetime) -> dt.datetime:
    """The instant whose rules apply.

    Raises FreezeRefused for one that has not come: who is 17 now would be in, and rules that do not hold yet.
    """
    if run.as_of is None or run.as_of > now:
        raise FreezeRefused(
            f"{run.reference} is as of {run.as_of}, and by the database's clock it is {now}: it waits for that moment,"
            " or is cancelled."
        )
    return run.as_of


def _is_waiting(run_id: int) -> bool:
    """Whether the run still waits for its manifest; True when the database cannot say."""
    try:
        return Run.objects.requested().filter(pk=run_id).exists()
    except DatabaseError:
        return True


def _keep_countries(answer: Eligibility, cut: entries.Head) -> None:
    try:
        country_sets.keep(answer.question.excluded, cut.size, answer.excluded[REGION])
    except OSError as error:
        # The next freeze reads the table instead.
        logger.warning("country set not kept", error=type(error).__name__)


def header_facts(
    run: Run, answer: Eligibility, cut: entries.Head, applied: dict[str, int]
) -> dict[str, Any]:
    """The facts of the header beside counts and parts."""
    return {
        "run": run.reference,
        "purpose": run.purpose,
        "data_categories": run.data_categories,
        "parent": parent_facts(run.parent),
        "as_of": run.as_of,
        "days": answer.question.days.plain(),
        "consents": answer.question.ruling.plain_consents(),
        "cut": cut.size,
        "ledger_root": cut.root,
        "notices": list(answer.question.ruling.notice_versions),
        "region_rules": list(answer.question.ruling.rule_ids),
        "policies": applied,
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
    with entries.entry("run.frozen", actor=FREEZER, subject=header["run"]) as opened:
        run = Run.objects.select_for_update().get(pk=run_id)
        if run.state != RunState.REQUESTED:
            # Another worker was faster, or the run was cancelled.
            opened.abandon()
            return Manifest.objects.filter(run_id=run_id).first()
        _check_as_of(run, opened.recorded_at)
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
        move(run, RunState.FROZEN)
        FreezeAttempt.objects.filter(run=run).delete()
    logger.info("run frozen", run=run.reference, cut=manifest.cut, seconds=manifest.seconds)
    return manifest


def _note_failure(run_id: int, error: Exception) -> None:
    """Record why the run is still waiting; failing to do so must not hide the failure itself."""
    code = getattr(error, "code", None)
    code = code if isinstance(code, str) else type(error).__name__
    text = str(error) if isinstance(error, Refusal | OSError) else "The database refused."
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


def parent_included(run: Run) -> BitMap | None:
    """The parent's frozen included set; usable only when it verified."""
    manifest = parent_manifest(run)
    return None if manifest is None else load(manifest).included


def parent_manifest(run: Run) -> Manifest | None:
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


def oldest_requested(now: dt.datetime) -> dt.timedelta | None:
    """How long the oldest requested run has waited; None when none waits."""
    requested_at = Run.objects.requested().values_list("requested_at", flat=True).first()
    return now - requested_at if requested_at else None
