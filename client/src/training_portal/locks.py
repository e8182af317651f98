"""Locks between processes. A lock ends with its process, however that ends."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from training_portal.errors import Misuse


@contextlib.contextmanager
def held(path: Path, busy: Misuse | None = None) -> Iterator[None]:
    """Have a directory, or a file that is made where there is none, for this process alone while the block runs.

    Waits for another process that has it, or raises `busy`. Raises OSError.
    """
    flags = os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT
    descriptor = os.open(path, flags, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (fcntl.LOCK_NB if busy else 0))
    except BlockingIOError:
        os.close(descriptor)
        assert busy is not None
        raise busy from None
    try:
        yield
    finally:
        os.close(descriptor)
