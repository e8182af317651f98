"""The files of accounts of deliveries: in a directory of each delivery, named by their SHA-256, until the lease ends.

They hold accounts: mode 0600, outside back-ups, against a quota by run and the floor of free space.
"""

import errno
import hashlib
import io
import os
import shutil
from collections.abc import Collection
from io import BufferedReader
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db.models import Q

from common.files import space
from deliveries.errors import DeliveryQuota
from deliveries.models import Delivery
from ledger.files import digest_of
from training_runs.errors import ManifestDamaged

_BUFFER = 2**20
_CHECKED = 64 * 2**20
"""Bytes after which the disk is looked at again."""


def home(reference: str) -> Path:
    return Path(settings.DELIVERY_DIR) / reference


def path_of(reference: str, digest: str) -> Path:
    return home(reference) / f"{digest}.parquet"


def begin(reference: str) -> None:
    """An empty directory for a delivery's files: what an attempt left behind goes. Raises OSError."""
    remove(reference)
    home(reference).mkdir(mode=0o700, parents=True)


def remove(reference: str) -> None:
    """Delete the files of a delivery. Raises OSError."""
    if home(reference).exists():
        shutil.rmtree(home(reference))


def remove_strays(alive: Collection[str]) -> int:
    """Delete the files of every delivery that is not among the living; returns of how many."""
    root = Path(settings.DELIVERY_DIR)
    strays = [path.name for path in root.glob("*") if path.name not in alive]
    for reference in strays:
        remove(reference)
    return len(strays)


def opened(reference: str, digest: str) -> BufferedReader:
    """A file, checked completely before its first byte is sent. Raises ManifestDamaged, OSError."""
    try:
        file = path_of(reference, digest).open("rb")
    except FileNotFoundError as error:
        raise ManifestDamaged("The file is not in the store: request another delivery.") from error
    if digest_of(file) != digest:
        file.close()
        raise ManifestDamaged("The file does not have its digest: request another delivery.")
    return file


class _WhileItLasts(BufferedReader):
    def read(self, size: int | None = -1, /) -> bytes:
        if not os.fstat(self.fileno()).st_nlink:
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        return super().read(size)


def while_it_lasts(file: BufferedReader) -> BufferedReader:
    """The open file, read only until it is deleted: a delivery that ends while it is sent is not sent to its end.

    The receiver sees that the transfer was cut. Reading raises OSError then.
    """
    return _WhileItLasts(file.detach())


def room(delivery: Delivery) -> int:
    """Bytes that a delivery may have. Raises DeliveryQuota when there are none.

    What it takes the place of goes, and does not count: a list of more than half the room can be renewed.
    """
    run = delivery.run
    replaced = Q(form=delivery.form, recipient=delivery.recipient_id)
    alive = Delivery.objects.alive().filter(run=run).exclude(replaced)
    taken = sum(file["bytes"] for files in alive.values_list("files", flat=True) for file in files)
    left = settings.DELIVERY_BYTES_PER_RUN - taken
    if left <= 0:
        raise DeliveryQuota(
            f"The deliveries of {run.reference} take all the room a run has: cancel one, or wait until a lease ends."
        )
    return left


class Writing(io.RawIOBase):
    """A file of a delivery being written: counts, hashes, keeps the quota and the floor of free space."""

    def __init__(self, reference: str, name: str, room_left: int) -> None:
        super().__init__()
        self._reference = reference
        self._part = home(reference) / f"{name}.part"
        self._room = room_left
        self._hash = hashlib.sha256()
        self._check_disk()
        descriptor = os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._file = os.fdopen(descriptor, "wb", buffering=_BUFFER)
        self._until_check = _CHECKED
        self.size = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.size

    def write(self, data: Any) -> int:
        """Raises DeliveryQuota, OSError."""
        size = memoryview(data).nbytes
        if self.size + size > self._room:
            raise DeliveryQuota("The list would be larger than the room that is left for the run.")
        self._until_check -= size
        if self._until_check < 0:
            self._check_disk()
            self._until_check = _CHECKED
        self._file.write(data)
        self._hash.update(data)
        self.size += size
        return size

    def _check_disk(self) -> None:
        """Archives come first: a list that can be made again leaves them their room. Raises OSError."""
        if space.room(self._part).is_short():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def settle(self) -> str:
        """Put everything on the disk under the name of its SHA-256, which is returned. Raises OSError."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        digest = self._hash.hexdigest()
        self._part.replace(path_of(self._reference, digest))
        return digest

    def close(self) -> None:
        self._file.close()
        super().close()


def settle_directory(reference: str) -> None:
    """Names that were given stay after a crash. Raises OSError."""
    descriptor = os.open(home(reference), os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
