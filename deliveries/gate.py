"""The gate: may this run be trained on now? Answered from rows, without computing anything."""

from dataclasses import dataclass
from hashlib import sha256

from deliveries.choices import DeliveryState
from deliveries.models import Delivery
from ledger import clock
from ledger.errors import NotFound
from training_runs.choices import RunState
from training_runs.models import Manifest, Run

_STATES = {
    RunState.REGISTERED: ("manifest_not_ready", "is registered and not started"),
    RunState.REQUESTED: ("manifest_not_ready", "waits for its manifest"),
    RunState.COMPLETED: (
        "run_completed",
        "is completed: what uses its data again is a run of its own",
    ),
    RunState.CANCELLED: ("run_cancelled", "is cancelled"),
}


@dataclass(frozen=True)
class Answer:
    """May the run be trained on now, and if not why. `code` is empty where it may."""

    run: Run
    delivery: Delivery | None
    code: str = ""
    detail: str = ""

    @property
    def is_open(self) -> bool:
        return not self.code

    @property
    def etag(self) -> str:
        """Changes with everything the answer says."""
        said = f"{self.code} {self.detail} {self.run.state} {self.delivery and self.delivery.reference}"
        return sha256(said.encode()).hexdigest()


def ask(reference: str, *, delivery: str = "", manifest: str = "") -> Answer:
    """The answer for a run; with `delivery` or `manifest` only for that one (a reference, a digest). Raises NotFound."""
    found = Manifest.objects.with_agreement().select_related("run").defer("header")
    frozen = found.filter(run__reference=reference).first()
    run = frozen.run if frozen else Run.objects.filter(reference=reference).first()
    if run is None:
        raise NotFound("There is no such run.")
    if run.state in _STATES:
        code, words = _STATES[RunState(run.state)]
        return Answer(run, None, code, f"{reference} {words}.")
    assert frozen is not None
    if frozen.differs:
        return Answer(
            run, None, "manifest_blocked", f"The manifest of {reference} does not verify."
        )
    if not frozen.agrees:
        return Answer(
            run, None, "manifest_not_ready", f"The manifest of {reference} is being verified."
        )
    if manifest and manifest != frozen.digest:
        return Answer(
            run, None, "digest_mismatch", f"{reference} has another manifest than that digest's."
        )
    return _by_delivery(run, delivery)


def _by_delivery(run: Run, reference: str) -> Answer:
    found = Delivery.objects.filter(run=run).defer("files").order_by("-pk")
    found = found.filter(reference=reference) if reference else found.own()
    valid = found.valid_at(clock.now()).first()
    if valid is not None:
        return Answer(run, valid)
    row = found.first()
    if row is None:
        what = reference or "delivery"
        return Answer(run, None, "no_valid_delivery", f"{run.reference} has no {what} yet.")
    if row.state == DeliveryState.REQUESTED:
        return Answer(run, row, "delivery_not_ready", f"{row.reference} is being made.")
    said = DeliveryState.EXPIRED.label if row.leased_until else row.get_state_display()
    if row.state in (DeliveryState.CANCELLED, DeliveryState.REPLACED, DeliveryState.REFUSED):
        said = row.get_state_display()
    return Answer(
        run, row, "lease_over", f"{row.reference} may not be used any more: {said}. Renew it."
    )
