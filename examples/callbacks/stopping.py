"""The moment to stop a training: asked by the callbacks beside it, and by any loop of one's own. No trainer is imported."""

from typing import Protocol

from training_portal.errors import PortalError


class Checked(Protocol):
    """A `training_portal.runs.TrainingRun`, as far as a callback needs it."""

    def check(self) -> None: ...


class Stop:
    """Asks the run at each step, and remembers why training had to stop.

    `check` asks no server: a thread of the run keeps asking it, and the end of the lease is known.
    """

    def __init__(self, run: Checked) -> None:
        self.run = run
        self.reason: PortalError | None = None
        """LeaseOver, Withdrawn or Refused, once training had to stop; else None."""

    def is_needed(self) -> bool:
        """Whether training must stop now. Once it must, it stays so."""
        if self.reason is None:
            try:
                self.run.check()
            except PortalError as error:
                self.reason = error
        return self.reason is not None
