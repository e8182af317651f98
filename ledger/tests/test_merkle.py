import pytest

from ledger.merkle.tree import EMPTY_ROOT, Frontier, leaf_hash, root_of

# RFC 6962 reference inputs (hexadecimal) and the roots over their first n leaves.
LEAVES = [
    bytes.fromhex(item)
    for item in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
ROOTS = {
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}


@pytest.mark.parametrize("size", ROOTS)
def test_root_is_the_published_one(size):
    assert root_of(leaf_hash(item) for item in LEAVES[:size]).hex() == ROOTS[size]


def test_empty_tree_has_the_hash_of_nothing():
    assert Frontier().root() == EMPTY_ROOT


def test_frontier_survives_being_written_down():
    frontier = Frontier()
    for item in LEAVES:
        frontier.append(leaf_hash(item))
        frontier = Frontier.from_text(frontier.size, frontier.to_text())

    assert frontier.root().hex() == ROOTS[8]


def test_frontier_of_another_size_is_refused():
    with pytest.raises(ValueError, match="2 full subtrees"):
        Frontier(3, [b"\0" * 32])
