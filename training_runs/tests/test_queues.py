"""Queues apart, with real workers: nothing that is slow keeps a freeze waiting, and no work is done twice."""

import re
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import timezone

from common.processes import hints, supervisor
from common.processes.embedded import broker
from objections import tasks as desk_tasks
from objections.models import LetterText
from portal.celery import app
from tools import factories, workers
from tools.workers import until
from training_runs import tasks
from training_runs.models import FreezeAttempt, Manifest, Run, Verification
from training_runs.runs import freezing, registering, sweeping

pytestmark = pytest.mark.django_db(transaction=True)

QUEUES = {queue.name for queue in settings.CELERY_TASK_QUEUES}


# --- Who takes from which queue -----------------------------------------------------------------


def queue_of(name: str) -> str:
    return app.amqp.router.route({}, name)["queue"].name


def test_every_task_has_a_queue_and_only_freezes_are_in_theirs():
    # As a worker does when it starts.
    app.loader.import_default_modules()
    ours = {name for name in app.tasks if not name.startswith("celery.")}

    by_queue = {name: queue_of(name) for name in ours}

    assert set(by_queue.values()) <= QUEUES
    assert set(settings.CELERY_TASK_ROUTES) <= ours
    assert {name for name, queue in by_queue.items() if queue == "freezes"} == {
        "training_runs.tasks.freeze_run",
        "training_runs.tasks.sweep_freezes",
    }


def _of_serve() -> list[str]:
    return [",".join(queues) for queues, _ in supervisor.WORKERS.values()]


def _of_recipe() -> list[str]:
    text = (settings.BASE_DIR / "deploy" / "worker").read_text()
    return re.findall(r"--queues (\S+)", text)


@pytest.mark.parametrize("commands", [_of_serve, _of_recipe])
def test_every_queue_has_a_worker_and_freezes_have_one_of_their_own(commands):
    taken = [command.split(",") for command in commands()]

    assert sorted(queue for queues in taken for queue in queues) == sorted(QUEUES)
    assert ["freezes"] in taken


def test_every_message_of_the_clock_expires_before_it_could_pile_up():
    for name, entry in settings.CELERY_BEAT_SCHEDULE.items():
        schedule, expires = entry["schedule"], entry["options"]["expires"]
        if isinstance(schedule, int | float):
            assert expires <= schedule, name
        else:
            until_next = 1800 if len(schedule.minute) * len(schedule.hour) > 1 else 24 * 3600
            assert 0 < expires <= until_next, name


# --- Real workers -------------------------------------------------------------------------------


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[str]:
    with broker(tmp_path / "valkey.sock") as url, workers.messages_go_to(url):
        yield url


@pytest.fixture
def silent_mail_server() -> Iterator[str]:
    """It accepts connections and says nothing. Yields its EMAIL_URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"smtp://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def world(officer, second_officer):
    factories.open_world(officer, second_officer)
    factories.add_members(20)


def started(engineer, count: int) -> list[Run]:
    runs = [factories.register(engineer) for _ in range(count)]
    return [registering.start(run=run, actor=engineer) for run in runs]


@pytest.mark.slow
def test_a_mail_server_that_says_nothing_keeps_no_freeze_waiting(
    queue, silent_mail_server, world, engineer
):
    factories.objection("acc-0")
    with ExitStack() as running:
        for number, (queues, processes) in enumerate(supervisor.WORKERS.values()):
            running.enter_context(
                workers.worker(
                    queue,
                    name=f"worker{number}",
                    queues=",".join(queues),
                    processes=processes,
                    env={"EMAIL_URL": silent_mail_server},
                )
            )
        # The clock's message, the hints of filings, the day's mails: all wait for the same server.
        for _ in range(5):
            desk_tasks.send_letters.delay()
        until(lambda: LetterText.objects.filter(attempts=1).exists(), 20)

        (run,) = started(engineer, 1)
        before = time.monotonic()
        tasks.freeze_run.delay(run.pk)
        agreed = Manifest.objects.with_agreement().filter(run=run, agrees=True)
        until(agreed.exists, 15)
        waited = time.monotonic() - before

        # The mail server is talked to all the while.
        assert not LetterText.objects.exclude(last_error="").exists()
        assert waited < settings.EMAIL_TIMEOUT / 2


@pytest.mark.slow
def test_a_heap_of_manifests_is_verified_once_each_by_many_workers(queue, world, engineer):
    count = 12
    manifests = [freezing.freeze(run.pk) for run in started(engineer, count)]

    with workers.worker(queue, processes=4):
        for _ in range(3):
            tasks.sweep_verifications.delay()
            for manifest in manifests:
                tasks.verify_manifest.delay(manifest.pk)
        until(lambda: Verification.objects.count() >= count, 60)
        (last,) = started(engineer, 1)
        tasks.freeze_run.delay(last.pk)
        # The last one in: when it is verified, every message before it was taken.
        until(lambda: Verification.objects.filter(manifest__run=last).exists(), 30)

    done = Counter(Verification.objects.values_list("manifest__run__reference", flat=True))
    assert set(done.values()) == {1}
    assert len(done) == count + 1


# --- A sweep is bounded -------------------------------------------------------------------------


def test_a_sweep_ends_when_its_time_is_up_and_the_next_one_goes_on(world, engineer):
    started(engineer, 3)

    frozen = [sweeping.sweep_freezes(seconds=0)["frozen"] for _ in range(4)]
    verified = [sweeping.sweep_verifications(seconds=0)["verified"] for _ in range(4)]

    assert frozen == verified == [1, 1, 1, 0]


def test_a_sweep_takes_up_so_many_and_no_more(world, engineer, monkeypatch):
    monkeypatch.setattr(sweeping, "MAX_SWEPT", 2)
    started(engineer, 3)

    assert sweeping.sweep() == {"frozen": 2, "verified": 2, "failed": 0}
    assert sweeping.sweep() == {"frozen": 1, "verified": 1, "failed": 0}


def test_runs_that_fail_again_and_again_keep_no_other_from_its_sweep(world, engineer):
    first, second = started(engineer, 2)
    FreezeAttempt.objects.create(run=first, error_code="test", error="", last_at=timezone.now())

    sweeping.sweep_freezes(seconds=0)

    assert Manifest.objects.get().run == second


def test_manifests_that_fail_again_and_again_keep_no_other_from_its_sweep(
    world, engineer, monkeypatch
):
    monkeypatch.setattr(sweeping, "MAX_SWEPT", 1)
    broken, other = (freezing.freeze(run.pk) for run in started(engineer, 2))
    store = Path(settings.MANIFEST_DIR) / broken.digest[:2] / f"{broken.digest}.manifest"
    store.unlink()
    store.mkdir()  # neither there nor missing: it cannot be read

    assert sweeping.sweep_verifications() == {"verified": 0, "failed": 1}
    assert sweeping.sweep_verifications() == {"verified": 1, "failed": 0}

    assert Verification.objects.get().manifest == other


def test_two_sweeps_at_once_are_one(world, engineer, monkeypatch):
    started(engineer, 2)
    freeze, meanwhile = freezing.freeze, []

    def freeze_and_sweep(run_id):
        if not meanwhile:
            meanwhile.append(sweeping.sweep_freezes())
        return freeze(run_id)

    monkeypatch.setattr(sweeping, "freeze", freeze_and_sweep)

    assert sweeping.sweep_freezes() == {"frozen": 2, "failed": 0}
    assert meanwhile == [{"frozen": 0, "failed": 0}]


def test_a_hint_about_a_verified_manifest_verifies_nothing(world, engineer):
    manifest = factories.freeze(engineer)

    tasks.verify_manifest(manifest.pk)
    hints.flush(10)

    assert manifest.verifications.count() == 1
