"""The manifest's archive: a line naming the format, a canonical header, then the sets (docs/reference/manifest-format.md).

Same content, same bytes. Everything needed to read and check it travels inside.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from pyroaring import BitMap

from common.text import strict_json
from ledger import canonical
from training_runs.errors import ManifestDamaged

MAGIC = b"training-manifest/1\n"
INCLUDED = "included"


def build(
    facts: Mapping[str, Any], population: int, included: BitMap, excluded: Mapping[str, BitMap]
) -> tuple[dict[str, Any], bytes]:
    """The header and the archive's bytes. `facts` are the header's fields other than counts and parts."""
    blobs = []
    parts = []
    for name, members in {INCLUDED: included, **excluded}.items():
        blob = portable(members)
        blobs.append(blob)
        parts.append(
            {
                "name": name,
                "members": len(members),
                "bytes": len(blob),
                "sha256": sha256(blob).hexdigest(),
            }
        )
    header = canonical.plain({**facts, "population": population, "parts": parts})
    return header, b"".join([MAGIC, canonical.dumps(header), b"\n", *blobs])


def portable(members: BitMap) -> bytes:
    """The set in Roaring's published portable format; equal sets give equal bytes."""
    # Built anew: where runs and an array take equally many bytes, `run_optimize` keeps what was there.
    members = BitMap(members.to_array())
    members.run_optimize()
    return members.serialize()


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
    try:
        if not data.startswith(MAGIC):
            raise ValueError("the first line is not training-manifest/1")
        end = data.index(b"\n", len(MAGIC))
        header = strict_json.read(data[len(MAGIC) : end])
        if canonical.dumps(header) != data[len(MAGIC) : end]:
            raise ValueError("the header is not canonical")
        sets, offset = {}, end + 1
        for part in header["parts"]:
            blob = data[offset : offset + part["bytes"]]
            if sha256(blob).hexdigest() != part["sha256"]:
                raise ValueError(f"the part {part['name']} does not have its digest")
            sets[part["name"]] = BitMap.deserialize(blob)
            if len(sets[part["name"]]) != part["members"]:
                raise ValueError(f"the part {part['name']} does not have its count")
            offset += part["bytes"]
        if offset != len(data):
            raise ValueError("there are bytes after the last part")
        included = sets.pop(INCLUDED)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ManifestDamaged(f"The archive is damaged: {error}.") from error
    return Archive(header, included, sets)
