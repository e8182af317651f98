"""Roots and paths, held against the definitions of RFC 6962."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outsider import verify
from tools import sample_export

# RFC 6962 has none; these are the well-known ones of its reference implementation.
INPUTS = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657",
          "606162636465666768696a6b6c6d6e6f"]  # fmt: skip
ROOTS = {
    0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}
LEAVES = [verify.leaf_hash(b"%d" % number) for number in range(70)]


@pytest.mark.parametrize(("size", "root"), ROOTS.items())
def test_the_known_roots(size, root):
    leaves = [verify.leaf_hash(bytes.fromhex(data)) for data in INPUTS]

    assert verify.Tree(b"".join(leaves)).root(size).hex() == root


def test_every_size_has_the_root_of_the_definition():
    tree = verify.Tree(b"".join(LEAVES))

    for size in range(len(LEAVES) + 1):
        assert tree.root(size) == sample_export.root_of(LEAVES[:size])


def test_every_path_leads_to_the_root_and_to_no_other_place():
    for size in range(1, 40):
        root = sample_export.root_of(LEAVES[:size])
        for place in range(size):
            path = sample_export.path_of(place, LEAVES[:size])
            assert verify.root_by_path(LEAVES[place], place, size, path) == root
            for other in range(size + 2):
                if other != place:
                    assert verify.root_by_path(LEAVES[place], other, size, path) != root
            assert verify.root_by_path(LEAVES[place], place, size, [*path, root]) is None
            if path:
                assert verify.root_by_path(LEAVES[place], place, size, path[:-1]) is None


def test_every_tree_continues_every_smaller_one():
    for new in range(40):
        leaves = LEAVES[:new]
        for old in range(new + 1):
            roots = sample_export.root_of(leaves[:old]), sample_export.root_of(leaves)
            path = sample_export.consistency_of(old, leaves)
            verify.check_consistency((old, roots[0]), (new, roots[1]), path)


@st.composite
def forged(draw):
    """A consistency proof in which something is not as it was."""
    new = draw(st.integers(2, 70))
    old = draw(st.integers(1, new - 1))
    path = sample_export.consistency_of(old, LEAVES[:new])
    true = ((old, sample_export.root_of(LEAVES[:old])), (new, sample_export.root_of(LEAVES[:new])))
    what = draw(st.sampled_from(["old root", "new root", "longer", "shorter", "hash", "order"]))
    (_, old_root), (_, new_root) = true
    other = draw(st.sampled_from(LEAVES))
    if what == "old root":
        old_root = other
    elif what == "new root":
        new_root = other
    elif what == "longer":
        path = [*path, other]
    elif what == "shorter":
        path = path[:-1]
    elif what == "hash":
        place = draw(st.integers(0, len(path) - 1))
        path = [*path[:place], other, *path[place + 1 :]]
    else:
        path = path[::-1]
    same = ((old, old_root), (new, new_root)) == true
    return old, old_root, new, new_root, path, same


@given(forged())
def test_a_forged_consistency_proof_is_refused(case):
    old, old_root, new, new_root, path, is_same = case
    if is_same and path == sample_export.consistency_of(old, LEAVES[:new]):
        return

    with pytest.raises(verify.Wrong):
        verify.check_consistency((old, old_root), (new, new_root), path)


@pytest.mark.parametrize(("old", "new"), [(5, 4), (0, 0), (0, 7), (7, 7), (4, 8)])
def test_the_edges_of_consistency(old, new):
    roots = sample_export.root_of(LEAVES[:old]), sample_export.root_of(LEAVES[:new])
    if old > new:
        with pytest.raises(verify.Wrong):
            verify.check_consistency((old, roots[0]), (new, roots[1]), [])
        return
    path = sample_export.consistency_of(old, LEAVES[:new])

    verify.check_consistency((old, roots[0]), (new, roots[1]), path)
    with pytest.raises(verify.Wrong):
        verify.check_consistency((old, LEAVES[9]), (new, roots[1]), path)
    with pytest.raises(verify.Wrong):
        verify.check_consistency((old, roots[0]), (new, roots[1]), [*path, LEAVES[0]])
