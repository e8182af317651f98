"""The store of archives: files named by their SHA-256, written whole or not at all."""

import time
from contextlib import suppress
from hashlib import sha256
from io import BufferedReader
from pathlib import Path

from django.conf import settings

from ledger.files import digest_of, write_whole
from training_runs.errors import ManifestDamaged

_PART_SECONDS = 3600
"""No archive takes so long to write."""


def path_of(digest: str) -> Path:
    return Path(settings.MANIFEST_DIR) / digest[:2] / f"{digest}.manifest"


def store(data: bytes) -> str:
    """Write an archive durably; returns its SHA-256. Raises OSError when it cannot (a full disk)."""
    digest = sha256(data).hexdigest()
    write_whole(path_of(digest), data)
    return digest


def remove_parts() -> int:
    """Delete what a process that was killed began to write more than an hour ago; returns how many. Raises OSError."""
    limit = time.time() - _PART_SECONDS
    count = 0
    for path in Path(settings.MANIFEST_DIR).rglob("*.part"):
        with suppress(FileNotFoundError):  # it was finished a moment ago
            if path.stat().st_mtime < limit:
                path.unlink()
                count += 1
    return count


def load(digest: str) -> bytes:
    """The archive's bytes, checked. Raises ManifestDamaged when they are missing or others.

    A store that cannot be read just now is an OSError: it says nothing of the archive.
    """
    try:
        data = path_of(digest).read_bytes()
    except FileNotFoundError as error:
        raise ManifestDamaged("The archive is not in the store.") from error
    if sha256(data).hexdigest() != digest:
        raise ManifestDamaged("The archive does not have the digest it was frozen with.")
    return data


def opened(digest: str) -> BufferedReader:
    """The archive as an open file, checked completely before its first byte is sent. Raises ManifestDamaged, OSError."""
    try:
        file = path_of(digest).open("rb")
    except FileNotFoundError as error:
        raise ManifestDamaged("The archive is not in the store.") from error
    if digest_of(file) != digest:
        file.close()
        raise ManifestDamaged("The archive does not have the digest it was frozen with.")
    return file
