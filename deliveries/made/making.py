"""Making a delivery: the manifest without the members who are out by now, as files that are checked while they are written."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import structlog
from django.db import DatabaseError, transaction
from django.utils import timezone
from pyroaring import BitMap

from common.processes import leases
from consent.choices import PolicyKind
from consent.models import Suppression
from consent.rulebook import days, policies
from deliveries.choices import DeliveryForm, DeliveryState
from deliveries.errors import AccountErased, DeliveryDiffers, NothingLeft, RunNotInUse
from deliveries.made import archives, lists, stores
from deliveries.made.ending import end, files_gone
from deliveries.made.requesting import IN_USE
from deliveries.models import Delivery, DeliveryAttempt
from ledger import clock, entries
from ledger.errors import Refusal, RuleViolation
from training_runs.choices import FindingKind
from training_runs.eligibility import canaries, cohorts
from training_runs.eligibility.exclusions import ask, decide
from training_runs.incidents import finding
from training_runs.manifests import archives as manifest_archives
from training_runs.manifests import country_sets
from training_runs.models import Finding
from training_runs.runs import freezing
from training_runs.runs.verifying import usable_manifest

logger = structlog.get_logger(__name__)

DELIVERER = "system:deliverer"
MAKING = "make delivery "
MAX_TRIES = 3
"""How often a list is begun again because an account in it was erased meanwhile."""


@dataclass(frozen=True)
class Subtraction:
    """The members of a manifest, split at a cut: delivered, and out by now."""

    cut: entries.Head
    as_of: dt.datetime
    delivered: BitMap
    subtracted: BitMap
    cohorts: dict[dt.date, BitMap]
    policies: dict[str, int]
    consents: dict[str, list[list[Any]]]


def make(delivery_id: int) -> Delivery | None:
    """Make a requested delivery, once, however often and from wherever it is called.

    Returns None when another process has it or it does not wait. A list that would not be what was frozen ends the
    delivery; what may pass (a full disk, a database that is away) is noted beside it and raised.
    """
    with leases.held(f"{MAKING}{delivery_id}") as is_ours:
        waiting = Delivery.objects.requested().select_related("run", "manifest__run")
        delivery = waiting.filter(pk=delivery_id).first() if is_ours else None
        if delivery is None:
            return None
        try:
            return _make(delivery)
        except (DeliveryDiffers, RuleViolation) as refusal:
            _refuse(delivery, refusal)
            return None
        except (Refusal, OSError, DatabaseError) as error:
            _note_failure(delivery, error)
            raise


def subtract(delivery: Delivery) -> Subtraction:
    """Apply the run's whole table of exclusions to its manifest, as of today. Members only leave.

    Raises FreezeRefused, ManifestDamaged.
    """
    run = delivery.run
    with entries.snapshot() as cut:
        # The clock may have stepped back by a little since the last entry, which took the time of the one before.
        as_of = max(clock.now(), entries.last_recorded_at())
        question = ask(run.purpose, days.at(as_of), run.data_categories)
        now = decide(question, kept=country_sets.load(question.excluded))
        canaries.check(now)
        applied = cohorts.policies_for(question)
        by_day = cohorts.cohorts(now, applied)
        # Who was out at the freeze, as we know by now, stays out: also where it would be in again.
        incidents = finding.out_by_incidents(run.pk, cut=cut.size)
    frozen = freezing.load(delivery.manifest)
    delivered = (frozen.included & now.included) - incidents
    # What was not usable at the freeze does not become usable since: of two days the later one holds.
    later = cohorts.latest(
        [
            {day: members & delivered for day, members in found.items()}
            for found in (frozen.cohorts, by_day)
        ]
    )
    return Subtraction(
        cut,
        as_of,
        delivered,
        frozen.included - delivered,
        later,
        applied,
        question.ruling.plain_consents(),
    )


def _make(delivery: Delivery) -> Delivery:
    usable_manifest(delivery.run)
    finding.look_at(delivery.manifest)
    tries = 0
    while True:
        tries += 1
        split = subtract(delivery)
        if not split.delivered:
            raise NothingLeft(f"Each member of {delivery.run.reference} is out by now.")
        try:
            data = archives.build(
                _facts(delivery, split), split.delivered, split.subtracted, split.cohorts
            )
            digest = manifest_archives.store(data)
            files = _write(delivery, split) if delivery.form == DeliveryForm.LIST else []
            return _record(delivery, split, (digest, len(data)), files)
        except AccountErased:
            if tries == MAX_TRIES:
                raise


def _facts(delivery: Delivery, split: Subtraction) -> dict[str, Any]:
    return {
        "delivery": delivery.reference,
        "run": delivery.run.reference,
        "purpose": delivery.run.purpose,
        "manifest": delivery.manifest.digest,
        "form": delivery.form,
        "as_of": split.as_of,
        "days": days.at(split.as_of).plain(),
        "consents": split.consents,
        "cut": split.cut.size,
        "ledger_root": split.cut.root,
        "policies": split.policies,
    }


def _write(delivery: Delivery, split: Subtraction) -> list[dict[str, Any]]:
    """Write the files of accounts; each is in its place when this returns. Raises DeliveryDiffers, AccountErased, OSError."""
    stores.begin(delivery.reference)
    left = stores.room(delivery)
    files: list[dict[str, Any]] = []
    try:
        for name, members in lists.parts(split.delivered):
            check = lists.Check(members)
            with stores.Writing(delivery.reference, name, left) as to:
                lists.write(check.passing(lists.account_refs(members)), to, split.cohorts)
                lists.check_missing(check.missing())
                digest = to.settle()
            left -= to.size
            files.append(
                {
                    "name": name,
                    "sha256": digest,
                    "bytes": to.size,
                    "rows": check.rows,
                    "first": members.min(),
                    "last": members.max(),
                }
            )
        stores.settle_directory(delivery.reference)
    except BaseException:
        stores.remove(delivery.reference)
        raise
    if sum(file["rows"] for file in files) != len(split.delivered):
        raise DeliveryDiffers(
            "The files together do not have the members that were to be delivered."
        )
    return files


def _record(
    delivery: Delivery, split: Subtraction, stored: tuple[str, int], files: list[dict[str, Any]]
) -> Delivery:
    with entries.entry("delivery.made", actor=DELIVERER, subject=delivery.run.reference) as opened:
        delivery = (
            Delivery.objects.select_for_update()
            .select_related("run", "manifest__run")
            .get(pk=delivery.pk)
        )
        if delivery.state != DeliveryState.REQUESTED:
            # It was cancelled meanwhile.
            opened.abandon()
            files_gone([delivery])
            return delivery
        if delivery.run.state not in IN_USE:
            raise RunNotInUse(f"{delivery.run.reference} is {delivery.run.get_state_display()}.")
        # Asked under the lock: a verification may have differed, an account may have been erased a moment ago.
        usable_manifest(delivery.run)
        erased = Suppression.objects.filter(entry_id__gt=split.cut.size)
        # A set has numbers and no accounts: those erased since are among the withdrawn, as after any delivery.
        if files and not split.delivered.isdisjoint(
            BitMap(erased.values_list("member_id", flat=True))
        ):
            raise AccountErased("Accounts were erased while the list was written.")
        # Those of before the cut are subtracted already: under the ledger's lock only what is new is read.
        since = finding.out_since(delivery.run_id, cut=split.cut.size)
        if not split.delivered.isdisjoint(since):
            raise AccountErased("An incident was found while the delivery was made.")
        delivery.cut, delivery.ledger_root = split.cut.size, split.cut.root
        delivery.as_of = split.as_of
        delivery.digest, delivery.size = stored
        delivery.rows, delivery.subtracted = len(split.delivered), len(split.subtracted)
        delivery.subtraction_digest = archives.digest_of(split.subtracted)
        delivery.files = files
        delivery.delivered_at = opened.recorded_at
        delivery.leased_until = opened.recorded_at + dt.timedelta(days=_lease_days(delivery))
        delivery.state = DeliveryState.DELIVERED
        delivery.save()
        opened.reason = (
            f"{delivery.reference}: {delivery.rows} delivered, {delivery.subtracted} subtracted"
        )
        DeliveryAttempt.objects.filter(delivery=delivery).delete()
        end(_replaced_by(delivery), DeliveryState.REPLACED, f"Replaced by {delivery.reference}.")
    logger.info("delivery made", delivery=delivery.reference, rows=delivery.rows)
    return delivery


def _lease_days(delivery: Delivery) -> int:
    """By the policy of the purpose, as of the delivery's day."""
    assert delivery.as_of is not None
    when = days.at(delivery.as_of)
    return policies.in_force_at(PolicyKind.LEASE_DAYS, delivery.run.purpose, when)


def _replaced_by(delivery: Delivery) -> Iterable[Delivery]:
    return Delivery.objects.filter(
        run=delivery.run,
        form=delivery.form,
        recipient=delivery.recipient,
        state=DeliveryState.DELIVERED,
    ).exclude(pk=delivery.pk)


def _refuse(delivery: Delivery, refusal: Refusal) -> None:
    """End a delivery that cannot be; a list that differs is a finding."""
    with entries.entry(
        "delivery.refused", actor=DELIVERER, subject=delivery.run.reference
    ) as opened:
        delivery = Delivery.objects.select_for_update().get(pk=delivery.pk)
        if delivery.state != DeliveryState.REQUESTED:
            opened.abandon()
            return
        end([delivery], DeliveryState.REFUSED, f"{refusal.code}: {refusal}")
        opened.reason = f"{delivery.reference}: {refusal.code}"
        DeliveryAttempt.objects.filter(delivery=delivery).delete()
        if isinstance(refusal, DeliveryDiffers):
            Finding(
                run=delivery.run,
                kind=FindingKind.DELIVERY_DIFFERS,
                detail={"delivery": delivery.reference, "code": refusal.code},
                found_at=opened.recorded_at,
            ).save()
    logger.error("delivery refused", delivery=delivery.reference, error_code=refusal.code)


def _note_failure(delivery: Delivery, error: Exception) -> None:
    """Record why the delivery is still waiting; failing to do so must not hide the failure itself."""
    code = getattr(error, "code", None)
    code = code if isinstance(code, str) else type(error).__name__
    text = str(error) if isinstance(error, Refusal) else "The disk or the database refused."
    logger.error("delivery failed", delivery=delivery.reference, error_code=code)
    try:
        with transaction.atomic():
            attempt = DeliveryAttempt.objects.filter(delivery=delivery).first() or DeliveryAttempt(
                delivery=delivery
            )
            attempt.count += 1
            attempt.error_code, attempt.error = code[:40], text[:500]
            attempt.last_at = timezone.now()
            attempt.save()
    except DatabaseError:
        logger.error("delivery failure could not be noted", delivery=delivery.reference)


def oldest_requested(now: dt.datetime) -> dt.timedelta | None:
    """How long the oldest requested delivery has waited; None when none waits."""
    requested_at = Delivery.objects.requested().values_list("requested_at", flat=True).first()
    return now - requested_at if requested_at else None
