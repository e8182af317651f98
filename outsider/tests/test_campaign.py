"""A sample of the alteration campaign (`python -m tools.campaign` does all of it)."""

import random

import pytest

from tools import campaign


@pytest.mark.slow
def test_200_alterations_are_noticed(made, tmp_path):
    result = campaign.alter(made, tmp_path, 200, seed=7)

    assert result.missed == []
    assert sum(count.tried for count in result.kinds.values()) == 200


def test_1000_forged_proofs_are_refused(made):
    result = campaign.forge(made, 1000, seed=7)

    assert result.missed == []
    assert {kind: count.tried > 300 for kind, count in result.kinds.items()} == {
        "proof of an entry": True, "proof of a member": True, "consistency proof": True,
    }  # fmt: skip


ONLY_THE_KEPT_ONE = [
    campaign.rechain_with_the_stolen_key,
    campaign.restore_a_backup,
    campaign.branch_off_a_backup,
]


@pytest.mark.parametrize("kind", ONLY_THE_KEPT_ONE)
def test_without_the_kept_checkpoint_the_strongest_would_not_be_noticed(made, tmp_path, kind):
    """So it is the kept checkpoint that notices them, and not a mistake of the alteration."""
    bench = campaign.Bench(tmp_path, made)
    altered = [kind(random.Random(seed), made, bench.true_files) for seed in range(12)]
    # An entry without rows has no column to drop: such a copy is true.
    altered = [one.files for one in altered if not one.apart and one.files != bench.true_files]

    with_it = [bench.notices(files) for files in altered]
    bench.kept = None
    without_it = [bench.notices(files) for files in altered]

    assert all(with_it)
    assert not all(without_it)


@pytest.mark.parametrize("act", ["member", "run", "cause"])
def test_a_forged_incident_contradicts_the_entries_without_any_kept_checkpoint(made, tmp_path, act):
    bench = campaign.Bench(tmp_path, made)
    bench.kept = None

    for seed in range(4):
        forged = campaign.forge_incident(random.Random(seed), made.sample, act)
        assert bench.notices(forged.files()), seed


def test_what_cannot_be_noticed_is_not_counted_as_caught(made, tmp_path):
    bench = campaign.Bench(tmp_path, made)

    for seed in range(5):
        altered = campaign.rewrite_above_with_the_stolen_key(
            random.Random(seed), made, bench.true_files
        )
        assert campaign.cannot_be_noticed(made, bench.true_files, altered) == "above"
