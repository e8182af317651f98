"""The Merkle tree of RFC 6962 (RFC 9162, section 2.1), and the frontier that grows it a leaf at a time.

Hashes are 32 bytes. leaf = SHA-256(0x00 ‖ entry), node = SHA-256(0x01 ‖ left ‖ right), empty = SHA-256("").
"""

from collections.abc import Iterable
from hashlib import sha256

EMPTY_ROOT = sha256(b"").digest()


def leaf_hash(entry: bytes) -> bytes:
    """The hash of a leaf: of an entry's canonical bytes behind a zero byte.

    >>> leaf_hash(b"").hex()[:16]
    '6e340b9cffb37a98'
    """
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


class Frontier:
    """The roots of the full subtrees of a tree, largest first: all that is needed to append.

    `size` is the number of leaves; there is one hash for each bit set in it.
    """

    def __init__(self, size: int = 0, hashes: Iterable[bytes] = ()) -> None:
        self.size = size
        self.hashes = list(hashes)
        if len(self.hashes) != size.bit_count():
            raise ValueError(f"A tree of {size} leaves has {size.bit_count()} full subtrees.")

    def append(self, leaf: bytes) -> None:
        """Add a leaf hash: as many subtrees merge as `size` has trailing ones."""
        merged, rest = leaf, self.size
        while rest & 1:
            merged = node_hash(self.hashes.pop(), merged)
            rest >>= 1
        self.hashes.append(merged)
        self.size += 1

    def root(self) -> bytes:
        if not self.hashes:
            return EMPTY_ROOT
        root = self.hashes[-1]
        for left in reversed(self.hashes[:-1]):
            root = node_hash(left, root)
        return root

    def to_text(self) -> str:
        return " ".join(item.hex() for item in self.hashes)

    @classmethod
    def from_text(cls, size: int, text: str) -> "Frontier":
        return cls(size, (bytes.fromhex(item) for item in text.split()))


def root_of(leaves: Iterable[bytes]) -> bytes:
    """The root over leaf hashes."""
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(leaf)
    return frontier.root()
