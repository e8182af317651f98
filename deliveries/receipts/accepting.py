"""Accepting a receipt: its signature, its digests, its lease and its sums are checked; then it is kept and sealed."""

import datetime as dt
import hashlib
import json
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.db.models import Q
from rest_framework.serializers import ValidationError

from deliveries.errors import DigestMismatch
from deliveries.models import DataSet, Delivery, Receipt, RunnerKey
from deliveries.names import is_any_an_account
from deliveries.receipts import envelopes, statements
from deliveries.use import starting
from ledger import clock, entries
from ledger.errors import InvalidInput, RuleViolation
from ledger.references import next_reference
from objections.models import RedactionLoan
from objections.redaction import lending
from training_runs import teams
from training_runs.choices import FindingKind, RunState
from training_runs.errors import ForbiddenMove
from training_runs.models import Finding, Run


class OutputClaimed(RuleViolation):
    """Another receipt has claimed the same file, of another run or of the same delivery."""

    code = "output_claimed"


class KeyNotValid(RuleViolation):
    """The key has ended, is not known, or is of an account that may not sign for the run."""

    code = "key_not_valid"


@dataclass(frozen=True)
class _Checked:
    delivery: Delivery
    key: RunnerKey
    facts: dict[str, Any]
    digest: str
    """SHA-256 of the statement's bytes."""
    loan: RedactionLoan | None
    """Of the redaction list, for this delivery. None where the receipt names no version of the list."""


def accept(*, run: Run, sent: Any, actor: User) -> tuple[Receipt, bool]:
    """Keep a receipt of a run; the same statement again gives the same one and False.

    `sent` is a DSSE envelope as parsed JSON. A digest that is not the delivered one opens a finding, which stays, and
    the run stays as it is. Raises DigestMismatch, KeyNotValid, OutputClaimed, ForbiddenMove, InvalidInput,
    ValidationError.
    """
    envelope = envelopes.read(sent)
    digest = hashlib.sha256(envelope.payload).hexdigest()
    known = Receipt.objects.filter(run=run, digest=digest).first()
    if known is not None:
        envelopes.check_signature(envelope, known.key.public_key)
        return known, False
    key = _key(envelope, run)
    envelopes.check_signature(envelope, key.public_key)
    facts = statements.read(envelopes.statement_in(envelope))
    _check_names(facts)
    delivery = _delivery(run, facts)
    checked = _Checked(delivery, key, facts, digest, _loan(delivery, facts))
    _check_state(run)
    if wrong := _wrong_digests(run, checked):
        _find_mismatch(run, actor, wrong)
        raise DigestMismatch(
            f"The receipt names digests that are not those of {checked.delivery.reference}:"
            f" {', '.join(sorted(wrong))}. {run.reference} stays {run.get_state_display()}, and a finding says what"
            " was sent."
        )
    receipt, is_new = _record(run, checked, sent, actor)
    if is_new and facts["ended_at"] > checked.delivery.leased_until:
        starting.find_late_use(run, checked.delivery, actor, "receipt")
    return receipt, is_new


def _check_names(facts: dict[str, Any]) -> None:
    """A file, folder or column named after an account would tell for good whose data it has. Raises InvalidInput."""
    files = (*facts["inputs"], *facts["outputs"])
    for what, field, names in (
        ("A file or a folder", "outputs", [one["name"] for one in files]),
        ("A column", "inputs", [name for one in files for name in one.get("schema", ())]),
        ("The column of members", "member_column", [facts["member_column"]["name"]]),
    ):
        if is_any_an_account(names):
            raise InvalidInput(
                f"{what} has the name of an account. Name it by what it holds or by a number.",
                field=field,
                code="names_an_account",
            )


def _check_state(run: Run) -> None:
    """Data is prepared before training begins, or again between two tries. Raises ForbiddenMove once the run is over."""
    if run.state not in (RunState.FROZEN, RunState.TRAINING, RunState.FAILED):
        raise ForbiddenMove(
            f"{run.reference} is {run.get_state_display()}: it takes a receipt from its first delivery until its end."
        )


def _key(envelope: envelopes.Envelope, run: Run) -> RunnerKey:
    """The registered key that the envelope names. Raises KeyNotValid."""
    key = RunnerKey.objects.select_related("user").filter(fingerprint=envelope.keyid).first()
    if key is None:
        raise KeyNotValid(
            "No such key is registered: POST /api/v1/me/keys. `keyid` is its SHA-256."
        )
    if key.ended_at is not None or not key.user.is_active:
        raise KeyNotValid("The key has ended: register another one.")
    if not teams.has(run, key.user):
        raise KeyNotValid(f"The key is of an account that is not in the team of {run.reference}.")
    return key


def _delivery(run: Run, facts: dict[str, Any]) -> Delivery:
    """The delivery that the receipt names. Raises InvalidInput, ValidationError."""
    reference = facts["delivery"]["reference"]
    delivery = (
        Delivery.objects.select_related("manifest")
        .filter(run=run, reference=reference, delivered_at__isnull=False)
        .first()
    )
    if delivery is None or facts["run"] != run.reference:
        raise InvalidInput(
            f"A delivery that {run.reference} received, and the run itself.",
            field="delivery.reference",
        )
    if faults := _faults(run, delivery, facts):
        raise ValidationError(faults)
    return delivery


def _faults(run: Run, delivery: Delivery, facts: dict[str, Any]) -> dict[str, list[str]]:
    """All that the receipt says otherwise than the run and the delivery, by field."""
    assert delivery.delivered_at is not None and delivery.leased_until is not None
    found: dict[str, list[str]] = {}
    if facts["purpose"] != run.purpose:
        found["purpose"] = [f"The run's purpose is {run.purpose}."]
    if not set(facts["data_categories"]) <= set(run.data_categories):
        declared = ", ".join(run.data_categories)
        found["data_categories"] = [f"Categories that the run declares: {declared}."]
    if facts["started_at"] < delivery.delivered_at - _CLOCKS_APART:
        found["started_at"] = ["It started before the delivery was made."]
    if facts["started_at"] >= delivery.leased_until:
        found["started_at"] = ["It started after the lease had ended."]
    if facts["ended_at"] > clock.now() + _CLOCKS_APART:
        found["ended_at"] = ["It ends at a time that has not come."]
    if facts["delivery"]["leased_until"] != delivery.leased_until:
        until = f"{delivery.leased_until:%Y-%m-%dT%H:%M:%S.%fZ}"
        found["delivery.leased_until"] = [f"The lease lasts until {until}."]
    return found


def _loan(delivery: Delivery, facts: dict[str, Any]) -> RedactionLoan | None:
    """The loan of the redaction list that the receipt speaks of. Raises InvalidInput."""
    said = facts.get("redaction") or {}
    version, hits = said.get("list_version"), said.get("hits_by_entry")
    if version is None:
        if hits:
            raise InvalidInput(
                "Hits by entry need the version of the list that was lent.",
                field="redaction.list_version",
                code="not_lent",
            )
        return None
    lent = RedactionLoan.objects.filter(delivery=delivery.reference, list_version=version)
    loan = lent.order_by("-pk").first()
    if loan is None:
        raise InvalidInput(
            f"No such version of the redaction list was lent for {delivery.reference}.",
            field="redaction.list_version",
            code="not_lent",
        )
    if unknown := sorted({int(number) for number in hits or {}} - lending.known_numbers(loan)):
        raise InvalidInput(
            f"Not on the list that was lent: {', '.join(map(str, unknown[:10]))}.",
            field="redaction.hits_by_entry",
            code="not_lent",
        )
    return loan


_CLOCKS_APART = dt.timedelta(minutes=2)
"""A runner's clock may be this much behind."""


def _wrong_digests(run: Run, checked: _Checked) -> dict[str, Any]:
    """The digests and counts that are not the delivered ones, by the name of their field."""
    said, delivery = checked.facts["delivery"], checked.delivery
    delivered = {file["sha256"] for file in delivery.files}
    wrong: dict[str, Any] = {}
    if checked.facts["manifest"] != delivery.manifest.digest:
        wrong["manifest"] = checked.facts["manifest"]
    if said["archive"] != delivery.digest:
        wrong["delivery.archive"] = said["archive"]
    if set(said["files"]) != delivered:
        wrong["delivery.files"] = sorted(set(said["files"]) - delivered)[:20]
    subtraction = {
        "count": delivery.subtracted,
        "digest": delivery.subtraction_digest,
        "cut": delivery.cut,
    }
    if dict(said["subtraction"]) != subtraction:
        wrong["delivery.subtraction"] = dict(said["subtraction"])
    return wrong


def _find_mismatch(run: Run, actor: User, wrong: dict[str, Any]) -> None:
    """Open a finding, once for the same digests."""
    with entries.entry("receipt.refused", actor=actor, subject=run.reference) as opened:
        if Finding.objects.filter(run=run, kind=FindingKind.DIGEST_MISMATCH, detail=wrong).exists():
            opened.abandon()
            return
        Finding(
            run=run, kind=FindingKind.DIGEST_MISMATCH, detail=wrong, found_at=opened.recorded_at
        ).save()


def _check_claims(run: Run, delivery: Delivery, outputs: list[dict[str, Any]]) -> None:
    """No file belongs to two runs. Raises OutputClaimed.

    Preparing from a renewed delivery gives the same bytes where none of the authors has left, and a child run uses its
    parent's data again: both claim the file anew. A file without rows holds no data of a member.
    """
    digests = [one["sha256"] for one in outputs if one["rows"]]
    claims = DataSet.objects.filter(sha256__in=digests).exclude(receipt__run__in=_ancestors(run))
    claims = claims.exclude(Q(receipt__run=run) & ~Q(receipt__delivery=delivery))
    if first := claims.select_related("receipt").first():
        raise OutputClaimed(
            f"{first.receipt.reference} has claimed the file {first.sha256} already."
        )


def _ancestors(run: Run) -> list[int]:
    found = []
    while run.parent_id is not None:
        found.append(run.parent_id)
        run = Run.objects.only("parent_id").get(pk=run.parent_id)
    return found


def _record(run: Run, checked: _Checked, sent: Any, actor: User) -> tuple[Receipt, bool]:
    """The kept receipt and True, or the one that another request kept meanwhile and False."""
    outputs = checked.facts["outputs"]
    with entries.entry("receipt.accepted", actor=actor, subject=run.reference) as opened:
        run = Run.objects.select_for_update().get(pk=run.pk)
        known = Receipt.objects.filter(digest=checked.digest).first()
        if known is not None:
            opened.abandon()
            return known, False
        # Asked under the lock: the run may have been completed a moment ago.
        _check_state(run)
        _check_claims(run, checked.delivery, outputs)
        receipt = Receipt(
            reference=next_reference("RC", opened.recorded_at.year),
            run=run,
            delivery=checked.delivery,
            key=checked.key,
            digest=checked.digest,
            envelope=json.dumps(sent, sort_keys=True, separators=(",", ":")),
            rows_in=checked.facts["rows"]["in"],
            rows_kept=checked.facts["rows"]["kept"],
            received_at=opened.recorded_at,
        )
        receipt.save()
        entries.add(
            DataSet(
                receipt=receipt,
                name=one["name"],
                sha256=one["sha256"],
                size=one["bytes"],
                rows=one["rows"],
            )
            for one in outputs
        )
        if checked.loan is not None:
            hits = checked.facts["redaction"].get("hits_by_entry") or {}
            lending.record_hits(
                checked.loan, {int(number): count for number, count in hits.items()}
            )
        opened.reason = f"{receipt.reference} of {checked.delivery.reference}"
    return receipt, True
