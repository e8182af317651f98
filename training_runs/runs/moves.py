"""The moves between the states of a run."""

from common.errors import StaleEdit
from training_runs.choices import NEXT_STATES, RunState
from training_runs.errors import (
    ForbiddenMove,
)
from training_runs.models import Run


def check_version(run: Run, version: int) -> None:
    if run.version != version:
        raise StaleEdit("Another person changed the run in the meantime. Check it again.")


def check_move(run: Run, state: RunState) -> None:
    if state not in NEXT_STATES[run.state]:
        raise ForbiddenMove(
            f"{run.reference} is {run.get_state_display()}: it cannot become {state}."
        )


def move(run: Run, state: RunState) -> None:
    """The one place where a run changes state. The row must be locked."""
    check_move(run, state)
    run.state = state
    run.save()
