"""Downloads by their digest, private, and gone with the lease they belong to.

    <cache>/DL-2026-000004/lease                 the end of the lease
    <cache>/DL-2026-000004/<sha256>              a whole file, checked
    <cache>/DL-2026-000004/<sha256>.partial      one that is being brought; the next try goes on

Lists hold accounts of members, so no directory outlives its lease: each use of the cache, for whatever delivery, first
deletes those whose time is over, and those that do not say when it is.
"""

import datetime as dt
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from training_portal import locks
from training_portal.errors import Misuse
from training_portal.trust.memory import write_private

_REFERENCE = re.compile(r"[A-Z]{2}-[0-9]{4}-[0-9]{6,}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_LEASE = "lease"


class Cache:
    """A directory of one's own. `now` says the time (aware)."""

    def __init__(self, directory: Path, now: Callable[[], dt.datetime]) -> None:
        self.directory = directory
        self._now = now

    def file(
        self,
        delivery: str,
        leased_until: dt.datetime,
        digest: str,
        bring: Callable[[Path], None],
    ) -> Path:
        """The file with that SHA-256, brought by `bring(partial)` where it is not here yet.

        `bring` fills the path it is given, goes on with what is in it, and checks the digest. One process at a time
        brings a file, the others wait for it.
        """
        if not _REFERENCE.fullmatch(delivery) or not _DIGEST.fullmatch(digest):
            raise ValueError("a delivery or a digest is none")
        self.sweep()
        home = self._home(delivery, leased_until)
        path = home / digest
        with locks.held(home / f"{digest}.lock"):
            if not path.exists():
                partial = home / f"{digest}.partial"
                partial.touch(mode=0o600)
                bring(partial)
                partial.replace(path)
        return path

    def sweep(self) -> list[str]:
        """Delete what may not be kept any more; returns the deliveries whose files went."""
        gone = []
        for home in self._homes():
            until = _lease_in(home)
            if until is None or until <= self._now():
                shutil.rmtree(home, ignore_errors=True)
                gone.append(home.name)
        return gone

    def drop(self, delivery: str) -> None:
        """Delete the files of a delivery, whatever its lease says."""
        if not _REFERENCE.fullmatch(delivery):
            raise ValueError("a delivery is none")
        shutil.rmtree(self.directory / delivery, ignore_errors=True)

    def _homes(self) -> list[Path]:
        if not self.directory.is_dir():
            return []
        return [one for one in self.directory.iterdir() if _REFERENCE.fullmatch(one.name)]

    def _home(self, delivery: str, leased_until: dt.datetime) -> Path:
        home = self.directory / delivery
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            _check_own(self.directory)
            if _lease_in(home) != leased_until:
                # Made aside, so that no directory is seen without its lease.
                aside = self.directory / f".{delivery}.new"
                shutil.rmtree(aside, ignore_errors=True)
                aside.mkdir(mode=0o700)
                write_private(aside / _LEASE, leased_until.isoformat().encode())
                shutil.rmtree(home, ignore_errors=True)
                aside.replace(home)
        except OSError as error:
            raise Misuse(
                f"The cache {self.directory} cannot be used: {error.strerror}.",
                "Set PORTAL_CACHE to a directory of your own with room in it.",
                code="disk",
            ) from None
        return home


def _lease_in(home: Path) -> dt.datetime | None:
    try:
        until = dt.datetime.fromisoformat((home / _LEASE).read_text())
    except (OSError, ValueError):
        return None
    return until if until.tzinfo is not None else None


def _check_own(directory: Path) -> None:
    if directory.stat().st_mode & 0o077:
        raise Misuse(
            f"The cache {directory} can be read by others, and lists of accounts come into it.",
            f"chmod 700 {directory}",
            code="not_private",
        )
