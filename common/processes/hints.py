"""Hints: messages that have a worker look at once at what a row of the database asks for.

A hint is published by a thread of its own, so that a broker which is away, full or silent never keeps a request
waiting. A hint that cannot be published is dropped: the row is the queue, and the sweeps find it.
"""

import atexit
import os
import queue
import threading
from dataclasses import dataclass
from typing import Any

import structlog
from celery import Task
from django.db import transaction
from kombu.exceptions import OperationalError

logger = structlog.get_logger(__name__)

MAX_WAITING = 1_000
"""Hints that wait for the broker in one process; more are dropped."""
EXIT_SECONDS = 1.0
"""How long a process that ends waits for its last hints."""


@dataclass(frozen=True)
class _Hint:
    task: Task
    args: tuple[Any, ...]
    options: dict[str, Any]


class _Publisher:
    """Hints in the order in which they came, and the thread that publishes them, begun with the first one."""

    def __init__(self) -> None:
        self.waiting: queue.Queue[_Hint] = queue.Queue(MAX_WAITING)
        self.thread: threading.Thread | None = None
        self.lock = threading.Lock()

    def add(self, hint: _Hint) -> None:
        try:
            self.waiting.put_nowait(hint)
        except queue.Full:
            logger.warning("hint dropped", task=hint.task.name, error="too many wait")
            return
        with self.lock:
            if self.thread is None:
                self.thread = threading.Thread(target=self._publish, name="hints", daemon=True)
                self.thread.start()

    def _publish(self) -> None:
        while True:
            hint = self.waiting.get()
            try:
                hint.task.apply_async(hint.args, **hint.options)
            except (OperationalError, OSError) as error:
                # Each of the others would wait as long for the same broker.
                dropped = 1 + self._drop()
                logger.error("hints dropped", count=dropped, error=type(error).__name__)
            except Exception as error:  # whatever it is, the thread must publish the next one
                logger.error("hint failed", task=hint.task.name, error=type(error).__name__)
            finally:
                self.waiting.task_done()

    def _drop(self) -> int:
        count = 0
        while True:
            try:
                self.waiting.get_nowait()
            except queue.Empty:
                return count
            self.waiting.task_done()
            count += 1

    def flush(self, seconds: float) -> bool:
        with self.waiting.all_tasks_done:
            return self.waiting.all_tasks_done.wait_for(
                lambda: not self.waiting.unfinished_tasks, seconds
            )


_publisher = _Publisher()


def after_commit(task: Task, *args: Any, expires: float | None = None, **kwargs: Any) -> None:
    """Have a worker do the task once what is being written is committed. Never waits, never fails."""
    options: dict[str, Any] = {"kwargs": kwargs}
    if expires is not None:
        options["expires"] = expires
    transaction.on_commit(lambda: _publisher.add(_Hint(task, args, options)), robust=True)


def flush(seconds: float = EXIT_SECONDS) -> bool:
    """Wait until no hint waits; False when some still do after so many seconds."""
    return _publisher.flush(seconds)


def _begin_again() -> None:
    """A forked process has none of its parent's threads, and its hints are the parent's to publish."""
    global _publisher  # noqa: PLW0603  one publisher for each process
    _publisher = _Publisher()


os.register_at_fork(after_in_child=_begin_again)
atexit.register(flush)
