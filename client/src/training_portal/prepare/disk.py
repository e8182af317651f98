"""Files that are whole or not there: written aside, synced, renamed, and the directory synced after it."""

import contextlib
import errno
import io
import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from training_portal.errors import Misuse

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextlib.contextmanager
def refusals(where: Path) -> Iterator[None]:
    """Errors of a disk as Misuse: it is full, or not ours to write."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise Misuse(
                f"There is no room left for {where.name}.",
                "Make room and run the same command again: it goes on where it stopped.",
                code="disk",
            ) from None
        raise Misuse(
            f"{where.name} cannot be written: {error.strerror or type(error).__name__}.",
            "Name a directory of your own.",
            code="disk",
        ) from None


class Hashing(io.RawIOBase):
    """A file that is written from its beginning to its end, with the digest of what was written."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._file = path.open("wb")
        self._digest = sha256()
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._file.write(data)
        self._digest.update(data)
        self.size += len(data)
        return len(data)

    def tell(self) -> int:
        return self.size

    def flush(self) -> None:
        if not self._file.closed:
            self._file.flush()

    def sync(self) -> str:
        """Bring what was written to the disk; its SHA-256."""
        self._file.flush()
        os.fsync(self._file.fileno())
        return self._digest.hexdigest()

    def close(self) -> None:
        if not self.closed:
            # What is left in the buffer of a full disk has nowhere to go, and the file is thrown away.
            with contextlib.suppress(OSError):
                self._file.close()
        super().close()


def place(partial: Path, final: Path) -> None:
    """Give a synced file its name, for good."""
    final.parent.mkdir(parents=True, exist_ok=True)
    partial.replace(final)
    sync_directory(final.parent)


def write(final: Path, data: bytes, aside: Path) -> None:
    """A small file, whole or not there, written in the directory `aside` first."""
    partial = aside / f"{final.name}.partial"
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    place(partial, final)


def sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
