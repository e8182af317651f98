"""Proofs about the Merkle tree of RFC 6962, section 2.1, and their texts (docs/reference/proof-format.md).

The functions ask for the hash over the leaves `lo` to `hi` (exclusive), so that a caller who keeps hashes of whole
stretches can answer fast. Each proof is checked here before it is given out, by the other algorithm (RFC 9162).
"""

import base64
from collections.abc import Callable, Sequence

from ledger.errors import ProofNotPossible
from ledger.merkle.tree import EMPTY_ROOT, node_hash

Hash = Callable[[int, int], bytes]
"""The root over the leaves from `lo` to `hi` (exclusive)."""

INCLUSION = "c2sp.org/tlog-proof@v1"
CONSISTENCY = "training-portal/consistency@v1"


def subtree(leaves: Sequence[bytes]) -> Hash:
    """`Hash` over leaf hashes that are all at hand."""

    def hash_over(lo: int, hi: int) -> bytes:
        if hi - lo == 0:
            return EMPTY_ROOT
        level = list(leaves[lo:hi])
        # A lone last node moves up as it is: the same as splitting at the largest power of two.
        while len(level) > 1:
            paired = map(node_hash, level[::2], level[1::2])
            level = [*paired, *level[len(level) & ~1 :]]
        return level[0]

    return hash_over


def split(size: int) -> int:
    """The largest power of two below `size`, which is at least 2."""
    return 1 << ((size - 1).bit_length() - 1)


def inclusion(index: int, size: int, hash_over: Hash) -> list[bytes]:
    """The path of leaf `index` in the tree of the first `size` leaves (RFC 6962, 2.1.1)."""
    if not 0 <= index < size:
        raise ProofNotPossible(f"There is no leaf {index} among {size}.")
    path, lo, hi = [], 0, size
    while hi - lo > 1:
        middle = lo + split(hi - lo)
        if index < middle:
            path.append(hash_over(middle, hi))
            hi = middle
        else:
            path.append(hash_over(lo, middle))
            lo = middle
    return path[::-1]


def consistency(old: int, new: int, hash_over: Hash) -> list[bytes]:
    """That the tree of `new` leaves begins with the tree of `old` (RFC 6962, 2.1.2)."""
    if not 0 <= old <= new:
        raise ProofNotPossible(f"A tree of {new} leaves does not continue one of {old}.")
    if old in (0, new):
        return []
    path, lo, hi, is_known = [], 0, new, True
    while old != hi:
        middle = lo + split(hi - lo)
        if old <= middle:
            path.append(hash_over(middle, hi))
            hi = middle
        else:
            path.append(hash_over(lo, middle))
            lo, is_known = middle, False
    if not is_known:
        path.append(hash_over(lo, hi))
    return path[::-1]


def root_of_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """The root that the path leads to; None when it is no path for this place (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return None
    place, last, found = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return None
        if place & 1 or place == last:
            found = node_hash(sibling, found)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        place, last = place >> 1, last >> 1
    return found if last == 0 else None


def is_consistent(
    old: int, old_root: bytes, new: int, new_root: bytes, path: Sequence[bytes]
) -> bool:
    """Whether the path shows that the new tree begins with the old one (RFC 9162, 2.1.4.2)."""
    if old == new:
        return not path and old_root == new_root
    if old == 0:
        return not path and old_root == EMPTY_ROOT
    if not path or not 0 < old < new:
        return False
    hashes = list(path)
    if old & (old - 1) == 0:
        hashes.insert(0, old_root)
    place, last = old - 1, new - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    first = second = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            first, second = node_hash(sibling, first), node_hash(sibling, second)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            second = node_hash(second, sibling)
        place, last = place >> 1, last >> 1
    return last == 0 and first == old_root and second == new_root


# --- As text ------------------------------------------------------------------------------------


def inclusion_text(index: int, path: Sequence[bytes], note: str, extra: bytes | None) -> str:
    """A C2SP tlog-proof."""
    lines = [INCLUSION]
    if extra is not None:
        lines.append(f"extra {_base64(extra)}")
    lines.append(f"index {index}")
    return "\n".join([*lines, *map(_base64, path), "", note])


def consistency_text(old: int, path: Sequence[bytes], note: str) -> str:
    return "\n".join([CONSISTENCY, f"old {old}", *map(_base64, path), "", note])


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
