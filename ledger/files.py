"""Files that are there as a whole or not at all, files that are what their digest says, and a lock that is one."""

import fcntl
import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path


def write_whole(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Write a file so that a crash leaves the old one or the new one. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """One process (or thread) at a time is inside the block; the others wait. The lock ends with its process."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


# --- Files named by their SHA-256 ---------------------------------------------------------------

_SETTLED = 2 * 10**9
"""Nanoseconds after which a file's time of change tells a later change from this one, on any file system."""
_MAX_KNOWN = 10_000
_intact: dict[tuple[int, int, int, int, int], str] = {}
"""Files that were read as a whole, by device, inode, size and times, and the digest they had."""


def digest_of(file: BufferedReader) -> str:
    """SHA-256 of an open file, in hexadecimal. Read once while the file stays as it is.

    A write changes the file's time of change, which no program can set back. What changes a disk's bits under the file
    system shows after the next start of the process; files that decide are verified again at night.
    """
    found = os.fstat(file.fileno())
    key = found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
    if key in _intact:
        return _intact[key]
    file.seek(0)
    digest = hashlib.file_digest(file, "sha256").hexdigest()
    file.seek(0)
    if time.time_ns() - found.st_ctime_ns > _SETTLED:
        if len(_intact) >= _MAX_KNOWN:
            _intact.clear()
        _intact[key] = digest
    return digest
