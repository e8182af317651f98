"""Merkle trees as RFC 6962 defines them: proofs are checked by the recursion that made them."""

from collections.abc import Iterable, Sequence
from hashlib import sha256

HASH_BYTES = 32
MAX_PATH = 63
"""Hashes of a path in a tree whose size fits 63 bits."""


class WrongPath(Exception):
    """A path does not fit the tree it is said to be in."""


def leaf_hash(data: bytes) -> bytes:
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def split(size: int) -> int:
    """The leaves of the left subtree: the largest power of two below `size` (2 or more)."""
    return 1 << (size - 1).bit_length() - 1


def root_of_leaf(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """The root that a leaf's hash leads to by its path, the sibling of the leaf first (RFC 6962, 2.1.1).

    Raises WrongPath where the path is none of a leaf `index` in a tree of `size` leaves.
    """
    if not 0 <= index < size or len(path) > MAX_PATH:
        raise WrongPath("there is no such leaf")
    if size == 1:
        if path:
            raise WrongPath("the path is too long")
        return leaf
    if not path:
        raise WrongPath("the path is too short")
    left, sibling, rest = split(size), path[-1], path[:-1]
    if index < left:
        return node_hash(root_of_leaf(leaf, index, left, rest), sibling)
    return node_hash(sibling, root_of_leaf(leaf, index - left, size - left, rest))


def roots_of_growth(
    old_root: bytes, old: int, new: int, path: Sequence[bytes]
) -> tuple[bytes, bytes]:
    """The roots over the first `old` and over all `new` leaves that a consistency path leads to (RFC 6962, 2.1.2).

    0 < old <= new. The path proves that the new tree continues the old one if these are the roots of both. Raises
    WrongPath where it is none between these sizes.
    """
    if not 0 < old <= new or len(path) > MAX_PATH + 1:
        raise WrongPath("there is no such growth")
    return _roots(old_root, old, new, path)


def _roots(known: bytes | None, old: int, new: int, path: Sequence[bytes]) -> tuple[bytes, bytes]:
    """`known` is the old root as long as the subtree at hand is the whole old tree, whose hash no path repeats."""
    if old == new:
        if known is None:
            if len(path) != 1:
                raise WrongPath("the path does not end with the old tree's last subtree")
            return path[0], path[0]
        if path:
            raise WrongPath("the path is too long")
        return known, known
    if not path:
        raise WrongPath("the path is too short")
    left, sibling, rest = split(new), path[-1], path[:-1]
    if old <= left:
        old_root, new_root = _roots(known, old, left, rest)
        return old_root, node_hash(new_root, sibling)
    old_root, new_root = _roots(None, old - left, new - left, rest)
    return node_hash(sibling, old_root), node_hash(sibling, new_root)


def root_over(leaves: Iterable[bytes]) -> tuple[bytes, int]:
    """The root over leaf hashes, and how many there were; keeps one hash a level."""
    full: list[bytes | None] = []
    size = 0
    for leaf in leaves:
        size += 1
        node, level = leaf, 0
        while level < len(full) and (left := full[level]) is not None:
            node, full[level] = node_hash(left, node), None
            level += 1
        if level == len(full):
            full.append(node)
        else:
            full[level] = node
    root: bytes | None = None
    for part in full:
        if part is not None:
            root = part if root is None else node_hash(part, root)
    return root if root is not None else sha256(b"").digest(), size
