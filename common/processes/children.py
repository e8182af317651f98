"""Child processes that never outlive their parent, not even after `kill -9`."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

_PR_SET_PDEATHSIG = 1
# Looked up before any fork: a child between fork and exec should do as little as possible.
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

Child = subprocess.Popen[bytes]


def start(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    output: IO[bytes] | None = None,
    pass_fds: Sequence[int] = (),
) -> Child:
    """Start a command in a process group of its own that gets SIGTERM when this process dies.

    `env` is added to ours. Call it from the main thread: Linux watches the thread that forked.
    """
    parent = os.getpid()

    def die_with_parent() -> None:
        if _LIBC is not None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
            if os.getppid() != parent:
                # It died before the kernel was told to watch it.
                os._exit(1)

    return subprocess.Popen(
        [str(part) for part in command],
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        # Ctrl-C in a terminal then reaches the parent only, which stops its children in order.
        process_group=0,
        preexec_fn=die_with_parent,  # noqa: PLW1509  no threads here yet, see above
        pass_fds=pass_fds,
    )


def stop(child: Child, *, patience: float = 20) -> int:
    """Ask a child to end, insist after `patience` seconds, leave nothing of its group. Returns its exit code."""
    if child.poll() is None:
        child.send_signal(signal.SIGTERM)
    code = ended(child, patience)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    return child.wait() if code is None else code


def ended(child: Child, seconds: float) -> int | None:
    """The exit code once the child has ended, None when it has not within `seconds`."""
    until = time.monotonic() + seconds
    # Popen.wait(timeout) cannot be interrupted by a signal handler's flag in between either; this is as good.
    while (code := child.poll()) is None and time.monotonic() < until:
        time.sleep(0.05)
    return code
