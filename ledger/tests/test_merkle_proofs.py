"""Proofs of the tree, held against a tree that is built as RFC 6962 defines it, in three lines."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import ProofNotPossible
from ledger.merkle.proofs import consistency, inclusion, is_consistent, root_of_inclusion, subtree
from ledger.merkle.tree import leaf_hash, root_of

DATA = [
    bytes.fromhex(text)
    for text in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
LEAVES = [leaf_hash(data) for data in DATA]


def defined(leaves):
    """MTH of RFC 6962, section 2.1, by its definition."""
    if len(leaves) == 1:
        return leaves[0]
    k = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\x01" + defined(leaves[:k]) + defined(leaves[k:])).digest()


def leaves_of(count):
    return [leaf_hash(str(number).encode()) for number in range(count)]


def test_the_published_roots():
    assert subtree(LEAVES)(0, 3).hex() == (
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"
    )
    assert subtree(LEAVES)(0, 8).hex() == (
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
    )
    assert subtree(LEAVES)(0, 0) == sha256(b"").digest()


@given(st.integers(1, 300), st.data())
def test_a_path_leads_from_its_leaf_to_the_root_and_from_no_other(size, data):
    index = data.draw(st.integers(0, size - 1))
    leaves = leaves_of(size)

    path = inclusion(index, size, subtree(leaves))

    root = defined(leaves)
    assert root == root_of(leaves) == subtree(leaves)(0, size)
    assert root_of_inclusion(leaves[index], index, size, path) == root
    other = data.draw(st.integers(0, size + 2))
    if other != index:
        assert root_of_inclusion(leaves[index], other, size, path) != root
    assert root_of_inclusion(leaf_hash(b"another"), index, size, path) != root
    assert root_of_inclusion(leaves[index], index, size, [*path, root]) != root
    # A path of another length is no path: what it leads to is no root of a tree of this size.
    for length in range(len(path)):
        assert root_of_inclusion(leaves[index], index, size, path[:length]) is None
    assert root_of_inclusion(leaves[index], index, size, [*path, leaves[0]]) is None


@given(st.integers(0, 200), st.integers(0, 200), st.data())
def test_a_later_tree_is_shown_to_continue_an_earlier_one_and_no_other(one, other, data):
    old, new = sorted([one, other])
    leaves = leaves_of(new)
    hash_over = subtree(leaves)
    old_root, new_root = hash_over(0, old), hash_over(0, new)

    path = consistency(old, new, hash_over)

    assert is_consistent(old, old_root, new, new_root, path)
    assert not is_consistent(old, old_root, new, new_root, [*path, new_root])
    for length in range(len(path)):
        assert not is_consistent(old, old_root, new, new_root, path[:length])
    if old:
        assert not is_consistent(old, leaf_hash(b"x"), new, new_root, path)
        changed = list(leaves)
        changed[data.draw(st.integers(0, old - 1))] = leaf_hash(b"rewritten")
        rewritten = subtree(changed)
        assert not is_consistent(
            old, old_root, new, rewritten(0, new), consistency(old, new, rewritten)
        )


@pytest.mark.parametrize(("index", "size"), [(0, 0), (-1, 3), (3, 3)])
def test_there_is_no_path_for_what_is_not_there(index, size):
    with pytest.raises(ProofNotPossible):
        inclusion(index, size, subtree(leaves_of(size)))


def test_a_smaller_tree_continues_no_larger_one():
    with pytest.raises(ProofNotPossible):
        consistency(4, 3, subtree(leaves_of(4)))
    assert not is_consistent(4, b"", 3, b"", [])
