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
        self.stopped_by: PortalError | None = None
        self._is_reading = is_reading
        self._has_told = False
        self._run = run
        self._seconds = seconds
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._live, name="training-portal", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def reads(self) -> None:
        """From now on the beats say that data is read; the first of them at the latest when the training ends."""
        self._is_reading = True

    def stop(self) -> None:
        """End the thread; waits for a beat that is under way."""
        self._ends.set()
        self._thread.join(timeout=self._seconds)
        if self._is_reading and not self._has_told:
            self.beat(look=False)

    def _live(self) -> None:
        beats = 0
        while True:
            self.beat(look=beats % LOOKS_EACH == 0)
            beats += 1
            if self._ends.wait(self._seconds):
                return

    def beat(self, *, look: bool) -> None:
        """Say that the training lives, and with `look` ask who has withdrawn."""
        run, is_reading = self._run, self._is_reading
        try:
            run.portal.session.post(f"{run.path}/heartbeat", {"is_reading": is_reading})
            self._has_told |= is_reading
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
