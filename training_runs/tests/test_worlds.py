"""Random histories of facts in time: the manifests and the incidents are those that a naive evaluator owes.

`make worlds N=2000` runs more of them; a seed repeats one: `make worlds N=1 SEED=17`.
"""

import os

import pytest
from django.conf import settings

from tools.worlds import comparing, histories, playing

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
