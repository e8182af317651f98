"""The bundled broker: Valkey on a unix socket, no port, nothing to install.

It keeps nothing on disk. The run row is the queue, so a message lost with it delays a freeze and no more.
"""

import contextlib
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from common.processes import children
from ledger.errors import Refusal

MAX_SOCKET_PATH = 107
"""Bytes of a unix socket's path: Linux has 108 with the closing NUL."""


_PLAIN = re.compile(r"[\w./+@:,=-]+")
_PROCESS = Path(__file__).with_name("valkey.py")


class BrokerNotStarted(Refusal):
    code = "broker_not_started"


@contextlib.contextmanager
def broker(socket: Path) -> Iterator[str]:
    """A running broker while the block runs; yields its Celery URL.

    One that answers at the socket already is used and left running; the socket of a dead one is removed. Where
    the path is too long for a socket, or has a character that Valkey's configuration would read as another, it goes to a
    private temporary directory: use the URL, not the path.
    """
    with contextlib.ExitStack() as stack:
        if len(bytes(socket)) > MAX_SOCKET_PATH or not _PLAIN.fullmatch(str(socket)):
            home = stack.enter_context(tempfile.TemporaryDirectory(prefix="portal-broker-"))
            socket = Path(home) / "valkey.sock"
        if not answers(socket):
            stack.enter_context(_started(socket))
        yield f"redis+socket://{socket}"


def answers(socket: Path) -> bool:
    """Whether a broker is alive at the socket."""
    if not socket.exists():
        return False
    once = Retry(NoBackoff(), 0)
    with contextlib.closing(
        redis.Redis(
            unix_socket_path=str(socket), socket_timeout=2, socket_connect_timeout=2, retry=once
        )
    ) as client:
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False


@contextlib.contextmanager
def _started(socket: Path) -> Iterator[None]:
    socket.parent.mkdir(parents=True, exist_ok=True)
    socket.unlink(missing_ok=True)
    log_file = socket.parent / "valkey.log"
    log_file.unlink(missing_ok=True)
    # The server appends to the same file.
    with log_file.open("ab") as log:
        server = children.start([sys.executable, "-I", _PROCESS, socket], output=log)
        try:
            _wait(server, socket)
            yield
        finally:
            children.stop(server, patience=5)
            socket.unlink(missing_ok=True)


def _wait(server: children.Child, socket: Path) -> None:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        if server.poll() is not None:
            raise BrokerNotStarted(
                f"The embedded broker ended with {server.returncode}; see {socket.parent / 'valkey.log'}."
            )
        if answers(socket):
            return
        time.sleep(0.02)
    raise BrokerNotStarted("The embedded broker did not answer within ten seconds.")
