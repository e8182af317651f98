"""Times of several actions, taken in turn so that a slow moment of the machine hits all of them."""

import statistics
import time
from collections.abc import Callable


def medians(rounds: int, actions: dict[str, Callable[[], object]]) -> dict[str, float]:
    """The median seconds of each action over `rounds`, after one round that is not counted."""
    times: dict[str, list[float]] = {name: [] for name in actions}
    for number in range(rounds + 1):
        for name, action in actions.items():
            started = time.perf_counter()
            action()
            if number:
                times[name].append(time.perf_counter() - started)
    return {name: statistics.median(found) for name, found in times.items()}
