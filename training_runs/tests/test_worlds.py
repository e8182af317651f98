"""Random histories of facts in time: the manifests and the incidents are those that a naive evaluator owes.

`make worlds N=2000` runs more of them; a seed repeats one: `make worlds N=1 SEED=17`.
"""

import os
from dataclasses import replace

import pytest
from django.conf import settings

from tools.worlds import comparing, histories, naive, playing
from training_runs.eligibility.exclusions import BY_CODE, EXCLUSIONS
from training_runs.errors import FreezeRefused

pytestmark = pytest.mark.django_db(transaction=True)

IS_POSTGRESQL = "postgresql" in settings.DATABASES["default"]["ENGINE"]
COUNT = int(os.environ.get("WORLDS", "20" if IS_POSTGRESQL else "100"))
FIRST = int(os.environ.get("WORLDS_SEED", "1000" if IS_POSTGRESQL else "0"))


@pytest.mark.parametrize("seed", range(FIRST, FIRST + COUNT))
def test_a_world_owes_its_manifests_and_incidents(seed, officer, second_officer, engineer):
    world = histories.world(seed)

    player = playing.Player(world, officer=officer, second=second_officer, engineer=engineer)
    player.play()
    if found := comparing.differences(world, player.manifests(), player.incidents()):
        pytest.fail(comparing.told(world, found), pytrace=False)


# --- Broken on purpose --------------------------------------------------------------------------

OF_MANIFESTS = [one.code for one in EXCLUSIONS if one.code != "erased"]
OF_INCIDENTS = [one.code for one in EXCLUSIONS if one.late]


@pytest.fixture
def table():
    """The table of exclusions, to be broken; whole again afterwards."""
    whole = list(EXCLUSIONS)
    yield EXCLUSIONS
    EXCLUSIONS[:] = whole


def seen(world, officer, second_officer, engineer) -> list[str]:
    """The differences of a world; the census may refuse the freeze before there is any."""
    player = playing.Player(world, officer=officer, second=second_officer, engineer=engineer)
    try:
        player.play()
    except FreezeRefused as refusal:
        return [str(refusal)]
    return comparing.differences(world, player.manifests(), player.incidents())


def first_world(has) -> histories.World:
    """The first world whose manifests and incidents have something, and which no second computation judges."""
    worlds = (histories.world(seed) for seed in range(1_000) if seed % 4)
    return next(world for world in worlds if has(*naive.judge(world)))


@pytest.mark.one_engine
@pytest.mark.parametrize("code", OF_MANIFESTS)
def test_a_reason_that_leaves_no_member_out_is_seen(table, code, officer, second_officer, engineer):
    world = first_world(
        lambda manifests, _: any(
            code in reasons
            for members in manifests.values()
            if not all(members.values())
            for reasons in members.values()
        )
    )
    table[:] = [
        replace(one, members=lambda question: []) if one.code == code else one for one in table
    ]

    assert seen(world, officer, second_officer, engineer)


@pytest.mark.one_engine
@pytest.mark.parametrize("code", OF_INCIDENTS)
def test_a_reason_whose_late_facts_are_not_looked_for_is_seen(
    table, code, officer, second_officer, engineer
):
    world = first_world(lambda _, incidents: any(key[2] == code for key in incidents))
    lost = set(BY_CODE[code].late)
    broken = []
    for one in table:
        late = tuple(source for source in one.late if source not in lost)
        broken.append(replace(one, late=late, never_late="" if late else "Broken on purpose."))
    table[:] = broken

    found = seen(world, officer, second_officer, engineer)
    assert [line for line in found if f", {code}: only the evaluator owes" in line]
