"""The archive of a delivery: the numbers of the delivered and of the subtracted members (docs/reference/delivery-format.md).

It says that a member is subtracted and not why: the team knows accounts by number, and the reasons are the members' own.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Any

from pyroaring import BitMap

from deliveries.models import Delivery
from training_runs.errors import ManifestDamaged
from training_runs.manifests import archives, container
from training_runs.manifests.manifest_file import COHORT, cohorts_in

MAGIC = b"training-delivery/1\n"
DELIVERED, SUBTRACTED = "delivered", "subtracted"


@dataclass(frozen=True)
class Archive:
    """A parsed archive of a delivery; every part was checked against its digest."""

    header: dict[str, Any]
    delivered: BitMap
    subtracted: BitMap
    cohorts: dict[dt.date, BitMap]
    """The delivered members whose content may be used from a day on only, by that day."""


def build(
    facts: Mapping[str, Any],
    delivered: BitMap,
    subtracted: BitMap,
    cohorts: Mapping[dt.date, BitMap],
) -> bytes:
    """The archive's bytes. `facts` are the header's fields other than parts."""
    by_day = {f"{COHORT}{day}": cohorts[day] for day in sorted(cohorts)}
    sets = {DELIVERED: delivered, SUBTRACTED: subtracted, **by_day}
    _, data = container.pack(MAGIC, facts, sets)
    return data


def parse(data: bytes) -> Archive:
    """Raises ManifestDamaged for anything but an undamaged archive."""
    header, sets = container.unpack(MAGIC, data)
    if list(sets)[:2] != [DELIVERED, SUBTRACTED]:
        raise ManifestDamaged("The archive is damaged: its parts are others.")
    if not sets[DELIVERED].isdisjoint(sets[SUBTRACTED]):
        raise ManifestDamaged("The archive is damaged: a member is delivered and subtracted.")
    delivered, subtracted = sets.pop(DELIVERED), sets.pop(SUBTRACTED)
    return Archive(header, delivered, subtracted, cohorts_in(sets, delivered))


def digest_of(members: BitMap) -> str:
    """SHA-256 of a set as Roaring: the same for equal sets."""
    return sha256(container.portable(members)).hexdigest()


def load(delivery: Delivery) -> Archive:
    """The archive of a made delivery, checked. Raises ManifestDamaged, OSError."""
    return _load(delivery.digest)


@lru_cache(maxsize=4)
def _load(digest: str) -> Archive:
    return parse(archives.load(digest))


def includes(delivery: Delivery, number: int) -> bool:
    """Whether a member was delivered. Raises ManifestDamaged, OSError."""
    return number in load(delivery).delivered
