"""Same content, same bytes: the archive does not show how a set came about."""

import pytest
from pyroaring import BitMap

from training_runs.manifests.container import portable


@pytest.mark.parametrize("size", [1, 2, 3, 4, 4096, 4097, 65_536, 100_000])
def test_a_set_counted_up_and_one_cut_out_of_a_larger_one_have_the_same_bytes(size):
    counted_up = BitMap(list(range(11, 11 + size)))
    cut_out = BitMap(range(1, 11 + size)) - BitMap(range(1, 11))

    assert counted_up == cut_out
    assert portable(counted_up) == portable(cut_out)
