"""Room on the disks that archives, files and checkpoints are written to."""

import os
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

MIN_FREE_INODES = 1_000
"""Files that a file system can still make; fewer are too few."""


@dataclass(frozen=True)
class Room:
    """The free space of a file system for this process."""

    size: int
    """Bytes in all."""
    free: int
    """Bytes this process may still write."""
    inodes: int | None
    """Files it may still make; None where the file system does not count them."""

    def is_short(self, wanted: int = 0) -> bool:
        """Whether less than the floor would be left after so many bytes: the greater of MIN_FREE_BYTES and the share."""
        floor = max(settings.MIN_FREE_BYTES, self.size * settings.MIN_FREE_PERCENT // 100)
        has_few_inodes = self.inodes is not None and self.inodes < MIN_FREE_INODES
        return self.free - wanted < floor or has_few_inodes


def room(path: Path | str) -> Room:
    """The free space at the path, which need not exist yet. Raises OSError."""
    place = Path(path)
    while not place.exists() and place != place.parent:
        place = place.parent
    found = os.statvfs(place)
    return Room(
        size=found.f_blocks * found.f_frsize,
        free=found.f_bavail * found.f_frsize,
        inodes=found.f_favail if found.f_files else None,
    )


def least() -> Room:
    """The disk of the portal's data that is nearest to its end. Raises OSError."""
    places = {settings.DATA_DIR, settings.MANIFEST_DIR, settings.ATTACHMENT_DIR}
    others = (settings.QUARANTINE_DIR, settings.MADE_FILE_DIR)
    rooms = [room(place) for place in (*places, *others)]
    return min(rooms, key=lambda one: (not one.is_short(), one.free))
