from django.db import models


class RunState(models.TextChoices):
    REGISTERED = "registered", "registered"
    REQUESTED = "requested", "waiting for its manifest"
    FROZEN = "frozen", "frozen"
    COMPLETED = "completed", "completed"
    CANCELLED = "cancelled", "cancelled"


# The one map of moves; a move that is not in it is refused.
NEXT_STATES: dict[str, frozenset[str]] = {
    RunState.REGISTERED: frozenset({RunState.REQUESTED, RunState.CANCELLED}),
    RunState.REQUESTED: frozenset({RunState.FROZEN, RunState.CANCELLED}),
    RunState.FROZEN: frozenset({RunState.COMPLETED, RunState.CANCELLED}),
    RunState.COMPLETED: frozenset(),
    RunState.CANCELLED: frozenset(),
}


class Agreement(models.TextChoices):
    """The result of deriving a manifest a second time."""

    AGREES = "agrees", "verified"
    DIFFERS = "differs", "does not verify"


class FindingKind(models.TextChoices):
    MANIFEST_DIFFERS = "manifest_differs", "the manifest does not verify"
    DIGEST_MISMATCH = "digest_mismatch", "completed with another digest than the manifest's"
