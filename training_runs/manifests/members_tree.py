"""A Merkle tree over everybody in a manifest, so that one answer can be proved without the list.

Half a byte a member says in, or the first reason to be out; a leaf has 128 members, and every leaf is there
(docs/reference/proof-format.md). A proof of "is" and of "is not" is the same thing: the leaf and its path.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ledger.merkle.proofs import inclusion, subtree
from ledger.merkle.tree import leaf_hash
from training_runs.manifests.manifest_file import Archive

MEMBERS_A_LEAF = 128
FORMAT = "training-manifest-members/1"
IN, ABSENT = 0, 15
# A value never changes its meaning; a new reason takes the next one.
VALUES = {
    "erased": 1,
    "closed": 2,
    "country_unknown": 3,
    "minor": 4,
    "region": 5,
    "no_notice": 6,
    "not_opted_in": 7,
    "opted_out": 8,
    "objection_open": 9,
    "objection_upheld": 10,
    "not_in_parent": 11,
}


def leaf_data(archive: Archive, digest: str) -> list[bytes]:
    """The data of every leaf of the archive's tree; `digest` is the archive's SHA-256."""
    population = archive.header["population"]
    about = f"{FORMAT}\n{archive.header['run']}\n{digest}\n{population}\n".encode()
    values = _values(archive, population)
    size = MEMBERS_A_LEAF // 2
    return [about, *(values[at : at + size] for at in range(0, len(values), size))]


def _values(archive: Archive, population: int) -> bytes:
    """Half a byte for each member from 1 on, filled up to a whole leaf."""
    whole = -(-population // MEMBERS_A_LEAF) * MEMBERS_A_LEAF
    each = bytearray(population) + bytearray([ABSENT]) * (whole - population)
    # The last reasons first: of several, the first one of the table is what stays.
    for code in sorted(archive.excluded, key=VALUES.__getitem__, reverse=True):
        value = VALUES[code]
        for number in archive.excluded[code]:
            each[number - 1] = value
    low, high = int.from_bytes(each[::2], "little"), int.from_bytes(each[1::2], "little")
    return (low | high << 4).to_bytes(whole // 2, "little")


@dataclass(frozen=True)
class MembersTree:
    """The tree of a manifest: the data of its leaves and their hashes."""

    data: Sequence[bytes]
    hashes: Sequence[bytes]

    @classmethod
    def of(cls, archive: Archive, digest: str) -> "MembersTree":
        data = leaf_data(archive, digest)
        return cls(data, [leaf_hash(leaf) for leaf in data])

    @property
    def size(self) -> int:
        return len(self.hashes)

    def root(self) -> bytes:
        return subtree(self.hashes)(0, self.size)

    def path(self, index: int) -> list[bytes]:
        return inclusion(index, self.size, subtree(self.hashes))


def leaf_of(number: int) -> int:
    """The leaf that a member is in."""
    return (number - 1) // MEMBERS_A_LEAF + 1


def value_in(leaf: bytes, number: int) -> int:
    """The value for the member in the member's leaf."""
    place = (number - 1) % MEMBERS_A_LEAF
    return leaf[place // 2] >> 4 * (place % 2) & 15
