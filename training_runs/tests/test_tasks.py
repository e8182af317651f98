import pytest

from tools import factories
from training_runs import tasks
from training_runs.models import Manifest
from training_runs.runs import freezing, registering, verifying

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def waiting(officer, second_officer, engineer):
    factories.open_world(officer, second_officer)
    factories.add_members(3)
    return registering.start(run=factories.register(engineer), actor=engineer)


def test_the_task_freezes_the_run_it_is_told(waiting):
    tasks.freeze_run(waiting.pk)

    assert Manifest.objects.get().run == waiting


def test_a_message_that_comes_again_changes_nothing(waiting):
    tasks.freeze_run(waiting.pk)
    before = Manifest.objects.get().digest

    tasks.freeze_run(waiting.pk)

    assert Manifest.objects.get().digest == before


@pytest.mark.parametrize("run_id", [0, 10**9])
def test_a_message_about_an_unknown_run_is_taken_and_forgotten(run_id):
    tasks.freeze_run(run_id)

    assert not Manifest.objects.exists()


def test_verifying_stamps_the_manifest(waiting):
    manifest = freezing.freeze(waiting.pk)

    tasks.verify_manifest(manifest.pk)

    assert [row.agreement for row in manifest.verifications.all()] == ["agrees"]


def test_the_sweeps_do_all_that_is_left_undone(waiting):
    tasks.sweep_freezes()
    tasks.sweep_verifications()

    assert verifying.usable_manifest(waiting).run == waiting


def test_messages_carry_ids_only():
    arguments = {
        name: tasks.__dict__[name].run.__annotations__
        for name in ("freeze_run", "verify_manifest", "sweep_freezes", "sweep_verifications")
    }

    assert [
        kind for kinds in arguments.values() for name, kind in kinds.items() if name != "return"
    ] == [int, int]
