from django.db import models


class RunState(models.TextChoices):
    REGISTERED = "registered", "registered"
    REQUESTED = "requested", "waiting for its manifest"
    FROZEN = "frozen", "frozen"
    TRAINING = "training", "in training"
    COMPLETED = "completed", "completed"
    FAILED = "failed", "failed"
    CANCELLED = "cancelled", "cancelled"


# The one map of moves; a move that is not in it is refused.
NEXT_STATES: dict[str, frozenset[str]] = {
    RunState.REGISTERED: frozenset({RunState.REQUESTED, RunState.CANCELLED}),
    RunState.REQUESTED: frozenset({RunState.FROZEN, RunState.CANCELLED}),
    RunState.FROZEN: frozenset({RunState.TRAINING, RunState.CANCELLED}),
    RunState.TRAINING: frozenset({RunState.COMPLETED, RunState.FAILED}),
    RunState.COMPLETED: frozenset(),
    # It keeps its manifest: a retry begins again from nothing, on a valid delivery.
    RunState.FAILED: frozenset({RunState.TRAINING, RunState.CANCELLED}),
    RunState.CANCELLED: frozenset(),
}


BEFORE_THE_FREEZE = (RunState.REGISTERED, RunState.REQUESTED)
"""States in which no manifest is frozen, and none was given up."""


class TeamKind(models.TextChoices):
    TEAM = "team", "team"
    SERVICE = "service", "service"


class Measure(models.TextChoices):
    """A step that was taken about an incident."""

    SUBTRACTED = "subtracted", "the members are subtracted at the next delivery"
    STOPPED = "stopped", "the training was stopped"
    RETRAINED = "retrained", "the model was trained anew without the members"
    DELETED = "deleted", "the model was deleted"
    NOTHING = "nothing", "nothing was needed: no data was used"


class IncidentState(models.TextChoices):
    """The state of an incident, from finding to closing."""

    FOUND = "found", "found"
    ACKNOWLEDGED = "acknowledged", "acknowledged by the run's team"
    ASSESSED = "assessed", "assessed"
    CLOSED = "closed", "closed"


class Agreement(models.TextChoices):
    """The result of deriving a manifest a second time."""

    AGREES = "agrees", "verified"
    DIFFERS = "differs", "does not verify"


class FindingKind(models.TextChoices):
    MANIFEST_DIFFERS = "manifest_differs", "the manifest does not verify"
    DIGEST_MISMATCH = "digest_mismatch", "a receipt names another digest"
    DELIVERY_DIFFERS = "delivery_differs", "a delivery would not be what was frozen"
    LEASE_OVER = "lease_over", "used after its lease"
    NOT_ACKNOWLEDGED = "not_acknowledged", "completed without the withdrawals"
    NO_RUN = "no_run", "raw data read without a run"
