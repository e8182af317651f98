"""The archive of a delivery: the numbers of the delivered and of the subtracted members (docs/reference/delivery-format.md).

It says that a member is subtracted and not why: the team knows accounts by number, and the reasons are the members' own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Any

from pyroaring import BitMap

from deliveries.models import Delivery
from training_runs.errors import ManifestDamaged
from training_runs.manifests import archives, container

MAGIC = b"training-delivery/1\n"
DELIVERED, SUBTRACTED = "delivered", "subtracted"


@dataclass(frozen=True)
class Archive:
    """A parsed archive of a delivery; every part was checked against its digest."""

    header: dict[str, Any]
    delivered: BitMap
    subtracted: BitMap


def build(facts: Mapping[str, Any], delivered: BitMap, subtracted: BitMap) -> bytes:
    """The archive's bytes. `facts` are the header's fields other than parts."""
    _, data = container.pack(MAGIC, facts, {DELIVERED: delivered, SUBTRACTED: subtracted})
    return data


def parse(data: bytes) -> Archive:
    """Raises ManifestDamaged for anything but an undamaged archive."""
    header, sets = container.unpack(MAGIC, data)
    if sets.keys() != {DELIVERED, SUBTRACTED}:
        raise ManifestDamaged("The archive is damaged: its parts are others.")
    if not sets[DELIVERED].isdisjoint(sets[SUBTRACTED]):
        raise ManifestDamaged("The archive is damaged: a member is delivered and subtracted.")
    return Archive(header, sets[DELIVERED], sets[SUBTRACTED])


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
