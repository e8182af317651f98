"""Celery workers as processes of their own, for tests: on the test's database, with the test's broker."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import kombu.pools
from django.conf import settings
from django.db import connection

from common.processes import hints
from portal.celery import app

NOWHERE = "redis+socket:///nowhere/valkey.sock"
CLAIM_SECONDS = 2
"""The time after which the work of a killed worker is free again."""

Process = subprocess.Popen[bytes]


@contextmanager
def messages_go_to(url: str) -> Iterator[None]:
    """Inside the block this process publishes to that broker."""
    before = app.conf.broker_url
    _publish_to(url)
    try:
        yield
    finally:
        _publish_to(before)


def _publish_to(url: str) -> None:
    hints.flush(10)
    app.conf.broker_url = url
    kombu.pools.reset()
    app._pool = app.amqp._producer_pool = None


def database_url() -> str:
    """The test's database, as another process names it."""
    name = str(connection.settings_dict["NAME"])
    if connection.vendor == "sqlite":
        return f"sqlite:///{name}"
    return urlunsplit(urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}"))


@contextmanager
def worker(
    url: str,
    *,
    name: str = "all",
    queues: str = "",
    processes: int = 1,
    env: Mapping[str, str] | None = None,
) -> Iterator[Process]:
    """A worker without the clock, ready for work; killed at the end, children too. `queues` are all by default."""
    home = Path(settings.MANIFEST_DIR).parent
    environment = {
        **os.environ,
        "DATABASE_URL": database_url(),
        "PORTAL_DATA_DIR": str(home),
        "REDIS_URL": url,
        "CLAIM_SECONDS": str(CLAIM_SECONDS),
        **(env or {}),
    }
    log = home / f"{name}.log"
    command = [
        sys.executable, "-m", "celery", "-A", "portal", "worker", "--hostname", f"{name}@test",
        "--concurrency", str(processes), "--without-gossip", "--without-mingle",
        "--without-heartbeat", "--loglevel", "INFO",
    ]  # fmt: skip
    if queues:
        command += ["--queues", queues]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=environment, cwd=settings.BASE_DIR, stdout=output, stderr=output,
            start_new_session=True,
        )  # fmt: skip
    try:
        # Its log says so: a worker answers no questions through the broker.
        until(lambda: process.poll() is not None or f"{name}@test ready" in log.read_text(), 60)
        assert process.poll() is None, log.read_text()[-2000:]
        yield process
    finally:
        kill(process)


def kill(process: Process) -> None:
    """kill -9 of the worker and its children, all at once."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def until(is_so: Callable[[], bool], seconds: float) -> None:
    """Wait until it is so, looking again and again. Raises AssertionError when it is not in time."""
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)
