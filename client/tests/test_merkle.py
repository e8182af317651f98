"""Proofs against trees that are computed by the definition of RFC 6962, for every size up to one with all shapes."""

from hashlib import sha256

import pytest
from lying_portal import node, root_and_path

from training_portal.trust.merkle import (
    WrongPath,
    leaf_hash,
    root_of_leaf,
    root_over,
    roots_of_growth,
)

LEAVES = [leaf_hash(str(number).encode()) for number in range(33)]
SIZES = range(1, len(LEAVES) + 1)


def root(size: int) -> bytes:
    return root_and_path(LEAVES[:size], 0)[0]


def growth(old: int, leaves: list[bytes], is_whole: bool = True) -> list[bytes]:
    """SUBPROOF of RFC 6962, 2.1.2."""
    if old == len(leaves):
        return [] if is_whole else [root_and_path(leaves, 0)[0]]
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    left, right = leaves[:half], leaves[half:]
    if old <= half:
        return [*growth(old, left, is_whole), root_and_path(right, 0)[0]]
    return [*growth(old - half, right, False), root_and_path(left, 0)[0]]


@pytest.mark.parametrize("size", SIZES)
def test_each_leaf_leads_to_the_root(size):
    for index in range(size):
        _, path = root_and_path(LEAVES[:size], index)

        assert root_of_leaf(LEAVES[index], index, size, path) == root(size)
        if size > 1:
            assert root_of_leaf(LEAVES[-1], index, size, path) != root(size) or index == 32


@pytest.mark.parametrize("size", SIZES)
def test_a_path_of_another_length_fits_no_leaf(size):
    _, path = root_and_path(LEAVES[:size], 0)

    with pytest.raises(WrongPath):
        root_of_leaf(LEAVES[0], 0, size, [*path, LEAVES[0]])
    if path:
        with pytest.raises(WrongPath):
            root_of_leaf(LEAVES[0], 0, size, path[:-1])


@pytest.mark.parametrize(("index", "size"), [(-1, 4), (4, 4), (0, 0)])
def test_a_leaf_that_is_not_there_has_no_root(index, size):
    with pytest.raises(WrongPath):
        root_of_leaf(LEAVES[0], index, size, [])


@pytest.mark.parametrize("new", SIZES)
def test_a_tree_that_grew_proves_the_old_one(new):
    for old in range(1, new + 1):
        path = growth(old, LEAVES[:new])

        assert roots_of_growth(root(old), old, new, path) == (root(old), root(new))


@pytest.mark.parametrize("new", SIZES)
def test_another_old_root_or_path_does_not_lead_to_both(new):
    for old in range(1, new):
        path = growth(old, LEAVES[:new])

        assert roots_of_growth(LEAVES[7], old, new, path) != (LEAVES[7], root(new))
        with pytest.raises(WrongPath):
            roots_of_growth(root(old), old, new, [*path, LEAVES[0]])
        with pytest.raises(WrongPath):
            roots_of_growth(root(old), old, new, path[:-1])


@pytest.mark.parametrize(("old", "new"), [(0, 3), (4, 3), (-1, 3)])
def test_sizes_that_did_not_grow_prove_nothing(old, new):
    with pytest.raises(WrongPath):
        roots_of_growth(LEAVES[0], old, new, [])


@pytest.mark.parametrize("size", [0, *SIZES])
def test_the_root_is_the_same_when_leaves_come_one_by_one(size):
    expected = root(size) if size else sha256(b"").digest()

    assert root_over(iter(LEAVES[:size])) == (expected, size)


def test_a_node_is_no_leaf():
    assert leaf_hash(LEAVES[0] + LEAVES[1]) != node(LEAVES[0], LEAVES[1])
