"""Named sets of member numbers in one file: a line naming the format, a canonical header, then the sets.

Same content, same bytes. Everything needed to read and check it travels inside.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from pyroaring import BitMap

from common.text import strict_json
from ledger import canonical
from training_runs.errors import ManifestDamaged


def pack(
    magic: bytes, facts: Mapping[str, Any], sets: Mapping[str, BitMap]
) -> tuple[dict[str, Any], bytes]:
    """The header and the file's bytes. `facts` are the header's fields other than `parts`."""
    blobs = []
    parts = []
    for name, members in sets.items():
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
    header = canonical.plain({**facts, "parts": parts})
    return header, b"".join([magic, canonical.dumps(header), b"\n", *blobs])


def differences(magic: bytes, one: bytes, other: bytes) -> dict[str, Any]:
    """The differences between two files: header fields by name, sets by how many members. Raises ManifestDamaged."""
    (mine, my_sets), (theirs, their_sets) = unpack(magic, one), unpack(magic, other)
    found: dict[str, Any] = {
        "header": sorted(
            name for name in mine.keys() | theirs.keys() if mine.get(name) != theirs.get(name)
        )
    }
    for name in sorted(my_sets.keys() | their_sets.keys()):
        if differing := len(my_sets.get(name, BitMap()) ^ their_sets.get(name, BitMap())):
            found[name] = differing
    return found


def portable(members: BitMap) -> bytes:
    """The set in Roaring's published portable format; equal sets give equal bytes."""
    # Built anew: where runs and an array take equally many bytes, `run_optimize` keeps what was there.
    members = BitMap(members.to_array())
    members.run_optimize()
    return members.serialize()


def unpack(magic: bytes, data: bytes) -> tuple[dict[str, Any], dict[str, BitMap]]:
    """The header and the sets, in their order; every part was checked. Raises ManifestDamaged."""
    try:
        if not data.startswith(magic):
            raise ValueError(f"the first line is not {magic.decode().strip()}")
        end = data.index(b"\n", len(magic))
        header = strict_json.read(data[len(magic) : end])
        if canonical.dumps(header) != data[len(magic) : end]:
            raise ValueError("the header is not canonical")
        sets: dict[str, BitMap] = {}
        offset = end + 1
        for part in header["parts"]:
            blob = data[offset : offset + part["bytes"]]
            if sha256(blob).hexdigest() != part["sha256"]:
                raise ValueError(f"the part {part['name']} does not have its digest")
            if part["name"] in sets:
                raise ValueError(f"the part {part['name']} is there twice")
            sets[part["name"]] = BitMap.deserialize(blob)
            if len(sets[part["name"]]) != part["members"]:
                raise ValueError(f"the part {part['name']} does not have its count")
            offset += part["bytes"]
        if offset != len(data):
            raise ValueError("there are bytes after the last part")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ManifestDamaged(f"The archive is damaged: {error}.") from error
    return header, sets
