"""The manifest's archive: a line naming the format, a canonical header, then the sets (docs/reference/manifest-format.md).

Same content, same bytes. Everything needed to read and check it travels inside.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pyroaring import BitMap

from training_runs.errors import ManifestDamaged
from training_runs.manifests import container

MAGIC = b"training-manifest/1\n"
INCLUDED = "included"


def build(
    facts: Mapping[str, Any], population: int, included: BitMap, excluded: Mapping[str, BitMap]
) -> tuple[dict[str, Any], bytes]:
    """The header and the archive's bytes. `facts` are the header's fields other than counts and parts."""
    return container.pack(
        MAGIC, {**facts, "population": population}, {INCLUDED: included, **excluded}
    )


@dataclass(frozen=True)
class Archive:
    """A parsed archive; every part was checked against its digest."""

    header: dict[str, Any]
    included: BitMap
    excluded: dict[str, BitMap]

    def reasons(self, number: int) -> list[str]:
        """The codes that leave a member out; empty when the member is in."""
        return [code for code, members in self.excluded.items() if number in members]


def parse(data: bytes) -> Archive:
    """Raises ManifestDamaged for anything but an undamaged archive."""
    header, sets = container.unpack(MAGIC, data)
    if INCLUDED not in sets:
        raise ManifestDamaged("The archive is damaged: it has no part of the included.")
    return Archive(header, sets.pop(INCLUDED), sets)
