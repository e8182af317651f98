"""The whole portal as one command: broker, workers and web server start together and end together.

`serve` is for trials and demonstrations. Production runs the workers and the web server under a service manager.
"""

import contextlib
import fcntl
import http.client
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from common.processes import children, embedded
from ledger.errors import Refusal

READY_SECONDS = 60
LEFTOVER_SECONDS = 25
"""How long what an interrupted start left behind may take to end, before it is killed: longer than a worker is given."""
STOP_SECONDS = 20

WORKERS: dict[str, tuple[tuple[str, ...], int]] = {
    "freezes": (("freezes",), 1),
    # One may wait for the mail server and one make a long file: the third verifies.
    "others": (("verifications", "letters", "files", "housekeeping"), 3),
}
"""The workers by name: the queues (settings.CELERY_TASK_QUEUES) each takes from, and how many processes it has."""
CLOCK = "freezes"
"""The worker with the clock (`--beat`): exactly one has it."""


class NotStarted(Refusal):
    """The portal cannot be served like this; nothing has been started."""

    code = "not_started"


@dataclass(frozen=True)
class Address:
    host: str
    port: int

    @classmethod
    def parse(cls, bind: str) -> "Address":
        """`127.0.0.1:8000`. Raises NotStarted."""
        host, _, port = bind.rpartition(":")
        if not host or not port.isdecimal() or int(port) > 65_535:
            raise NotStarted(f"{bind} is not an address: write it like 127.0.0.1:8000.")
        return cls(host, int(port))

    @property
    def here(self) -> str:
        """The host name that works on this machine."""
        return "127.0.0.1" if self.host in ("0.0.0.0", "") else self.host  # noqa: S104  compared, not bound

    @property
    def url(self) -> str:
        return f"http://{self.here}:{self.port}/"


def serve(bind: str, *, worker: bool, say: Callable[[str], object]) -> int:
    """Serve until a signal comes (returns 0) or a part of it dies (returns 1).

    Raises NotStarted, before anything has been started, when the port is taken, the data directory is in use or
    the database is not migrated.
    """
    address = Address.parse(bind)
    _refuse_unmigrated()
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(_listening(address))
        lock = stack.enter_context(data_directory_lock(settings.DATA_DIR, say=say))
        signalled = stack.enter_context(_stop_signals())
        # The web server warns of a directory that is not there; in a trial nothing is collected into it.
        settings.STATIC_ROOT.mkdir(parents=True, exist_ok=True)
        env = {}
        if not settings.REDIS_URL:
            env["REDIS_URL"] = stack.enter_context(embedded.broker(settings.BROKER_SOCKET))
        parts: dict[str, children.Child] = {}
        stack.callback(_stop_all, parts)
        stack.callback(lock.retire)
        # Every part holds the lock, so that the next start can wait for the last of them.
        for name in WORKERS if worker else ():
            parts[f"worker for {name}"] = children.start(
                _worker_command(name), env=env, pass_fds=[lock.parts]
            )
        parts["web server"] = children.start(
            _web_command(listener), env=env, pass_fds=[lock.parts, listener.fileno()]
        )
        # The web server listens; while we end, no task should wait in our copy of the queue.
        listener.close()
        return _watch(parts, address, signalled, say)


def _worker_command(name: str) -> list[str | Path]:
    queues, processes = WORKERS[name]
    command: list[str | Path] = [
        sys.executable, "-m", "celery", "--app", "portal", "--quiet", "worker",
        "--hostname", f"{name}@%h", "--queues", ",".join(queues), "--concurrency", str(processes),
        "--pool", "prefork", "--without-gossip", "--without-mingle", "--loglevel", "INFO",
    ]  # fmt: skip
    if name == CLOCK:
        command += ["--beat", "--schedule", settings.CELERY_BEAT_SCHEDULE_FILENAME]
    return command


def _web_command(listener: socket.socket) -> list[str | Path]:
    return [
        sys.executable, "-m", "gunicorn", "portal.wsgi:application", "--bind", f"fd://{listener.fileno()}",
        "--workers", "2", "--worker-class", "gthread", "--threads", "8", "--timeout", "60",
        "--graceful-timeout", "10",
        "--no-control-socket", "--log-level", "warning",
    ]  # fmt: skip


def _watch(
    parts: dict[str, children.Child],
    address: Address,
    signalled: list[int],
    say: Callable[[str], object],
) -> int:
    until = time.monotonic() + READY_SECONDS
    ready = False
    while not signalled:
        for name, part in parts.items():
            if part.poll() is not None:
                say(f"The {name} ended by itself (exit code {part.returncode}): stopping the rest.")
                return 1
        if not ready and (ready := is_ready(address)):
            say(f"The portal answers at {address.url} (Ctrl-C stops it).")
        if not ready and time.monotonic() > until:
            say(f"The portal was not ready within {READY_SECONDS} seconds: stopping.")
            return 1
        time.sleep(0.1)
    say("Stopping.")
    return 0


def _stop_all(parts: dict[str, children.Child]) -> None:
    """All are asked at once, then each is waited for."""
    for part in parts.values():
        if part.poll() is None:
            part.send_signal(signal.SIGTERM)
    for part in parts.values():
        children.stop(part, patience=STOP_SECONDS)


def is_ready(address: Address) -> bool:
    """Whether `/readyz` answers 200."""
    # In production the web server answers to its own names only.
    names = [name.lstrip(".") for name in settings.ALLOWED_HOSTS if name.strip(".*")]
    client = http.client.HTTPConnection(address.here, address.port, timeout=5)
    try:
        client.request("GET", "/readyz", headers={"Host": names[0] if names else address.here})
        return client.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        client.close()


# --- What must be true before anything starts ---------------------------------------------------


def _refuse_unmigrated() -> None:
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise NotStarted("The database is not up to date: run `manage.py migrate` first.")
    connection.close()


@contextlib.contextmanager
def _listening(address: Address) -> Iterator[socket.socket]:
    """The port is taken here and handed to the web server: no other process can take it in between."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((address.host.strip("[]"), address.port))
            listener.listen(512)
        except OSError as error:
            raise NotStarted(
                f"Port {address.port} on {address.host} cannot be used ({error.strerror}):"
                f" stop what uses it, or choose another port."
            ) from error
        yield listener


@dataclass(frozen=True)
class DataDirectoryLock:
    own: int
    """Descriptor of the launcher's lock; it ends with the launcher, however it ends."""
    parts: int
    """Descriptor for the children to inherit; the lock is free when the last of them is gone."""

    def retire(self) -> None:
        """From here on a new start need not be refused: it waits for the parts to end."""
        fcntl.flock(self.own, fcntl.LOCK_UN)


@contextlib.contextmanager
def data_directory_lock(
    data_dir: Path, *, say: Callable[[str], object]
) -> Iterator[DataDirectoryLock]:
    """Only one portal works on a data directory: refuses while one runs, waits while one ends.

    Raises NotStarted.
    """
    home = data_dir / "run"
    home.mkdir(parents=True, exist_ok=True)
    home.chmod(0o700)
    with (home / "launcher.lock").open("a+") as own, (home / "parts.lock").open("w") as parts:
        # A launcher that is told to end, or whose parent was killed, takes a moment to notice.
        if not _lock(own.fileno(), seconds=1):
            own.seek(0)
            raise NotStarted(
                f"The portal is running on {data_dir} already (process {own.read()}):"
                " stop it first, or choose another PORTAL_DATA_DIR."
            )
        own.truncate(0)
        own.write(str(os.getpid()))
        own.flush()
        if not _lock(parts.fileno(), seconds=0):
            say("An earlier start is still ending; waiting for the last of it.")
            if not _lock(parts.fileno(), seconds=LEFTOVER_SECONDS):
                # A worker that was asked to end while its broker went away can wait for it for ever, and the
                # launcher, which would have insisted, was killed. A freeze that is cut off is taken up again.
                _kill_holders(home / "parts.lock")
            if not _lock(parts.fileno(), seconds=5):
                raise NotStarted(
                    f"What an earlier start left on {data_dir} does not end:"
                    " look for its worker and web server, and stop them."
                )
        yield DataDirectoryLock(own.fileno(), parts.fileno())


def _kill_holders(lock: Path) -> None:
    """End the processes, but this one, that have the lock's file open. Where there is no /proc, none is found."""
    path = str(lock.resolve())
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        process = int(descriptor.parts[2])
        # Other processes end, or belong to another user, while we look.
        with contextlib.suppress(OSError):
            if process != os.getpid() and str(descriptor.readlink()) == path:
                os.kill(process, signal.SIGKILL)


def _lock(descriptor: int, *, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while not (got := _locked(descriptor)) and time.monotonic() < until:
        time.sleep(0.1)
    return got


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def _stop_signals() -> Iterator[list[int]]:
    """A list that SIGINT, SIGTERM or SIGHUP puts itself into."""
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        received.append(number)

    before = {
        number: signal.signal(number, note)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield received
    finally:
        for number, action in before.items():
            signal.signal(number, action)
