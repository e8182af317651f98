"""An incident's archive: its members by the reason that was not known (docs/reference/incidents.md)."""

from collections.abc import Mapping
from typing import Any

from pyroaring import BitMap

from training_runs.manifests import archives, container
from training_runs.models import Incident

MAGIC = b"training-incident/1\n"


def build(facts: Mapping[str, Any], by_reason: Mapping[str, BitMap]) -> bytes:
    """The archive's bytes; `facts` are the header's fields other than parts."""
    return container.pack(MAGIC, facts, by_reason)[1]


def load(incident: Incident) -> dict[str, BitMap]:
    """The members by reason. Raises ManifestDamaged, OSError."""
    return container.unpack(MAGIC, archives.load(incident.digest))[1]


def members_of(incident: Incident) -> BitMap:
    """All members of an incident. Raises ManifestDamaged, OSError."""
    return BitMap.union(BitMap(), *load(incident).values())
