"""Signs of life of a training, from a thread of its own, and whether it has to stop."""

import threading
from typing import TYPE_CHECKING

from training_portal.errors import LeaseOver, PortalError, Refused, TryAgain, Withdrawn

if TYPE_CHECKING:
    from training_portal.runs import TrainingRun

SECONDS = 60.0
LOOKS_EACH = 5
"""Signs of life between two looks at who has withdrawn."""


class Heart:
    """Beats while a training lives. `stopped_by` is the reason for which it should stop, None while there is none."""

    def __init__(
        self, run: "TrainingRun", *, is_reading: bool = False, seconds: float = SECONDS
    ) -> None:
        self.is_reading = is_reading
        self.stopped_by: PortalError | None = None
        self._run = run
        self._seconds = seconds
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._live, name="training-portal", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread; waits for a beat that is under way."""
        self._ends.set()
        if self._thread is not threading.current_thread():
            self._thread.join(timeout=self._seconds)

    def _live(self) -> None:
        beats = 0
        while True:
            self._beat(look=beats % LOOKS_EACH == 0)
            beats += 1
            if self._ends.wait(self._seconds):
                return

    def _beat(self, *, look: bool) -> None:
        run = self._run
        try:
            path = f"{run.path}/heartbeat"
            run.portal.session.post(path, {"is_reading": self.is_reading})
            if look and self.stopped_by is None:
                members, _ = run.withdrawn()
                if members:
                    self.stopped_by = withdrawn(run.reference, len(members))
        except TryAgain:
            # The next beat comes; the lease ends by the clock all the same.
            return
        except (LeaseOver, Refused) as error:
            self.stopped_by = error


def withdrawn(run: str, count: int) -> Withdrawn:
    return Withdrawn(
        f"{count} members of {run} have withdrawn since its data was prepared.",
        "Take them out (training-portal subtract DIR), or acknowledge them where training goes on.",
    )
