"""Whatever dies, a requested run ends frozen, with one manifest, within two sweeps. With a real worker and broker."""

import contextlib
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import redis
from django.db import connection, transaction
from django.urls import reverse

from common.processes import leases
from common.processes.embedded import broker
from ledger.models import Entry
from tools import factories, workers
from tools.workers import CLAIM_SECONDS, until
from training_runs.models import FreezeAttempt, Manifest, Run
from training_runs.runs import freezing, registering, sweeping, verifying
from training_runs.tasks import freeze_run

WORKERS, KILLS = 3, 6
"""Each worker loses five child processes, then dies itself."""
# Enough that a freeze lasts long enough to be killed in each of its steps.
MEMBERS = 60_000

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def _no_broker() -> Iterator[None]:
    """Unless a test asks for one there is none."""
    with workers.messages_go_to(workers.NOWHERE):
        yield


@pytest.fixture
def queue(_no_broker: None, tmp_path: Path) -> Iterator[str]:
    """An embedded broker of the test's own, and the tasks' messages go there."""
    with broker(tmp_path / "valkey.sock") as url, workers.messages_go_to(url):
        yield url


def _requested(owner, count: int) -> list[Run]:
    runs = [factories.register(owner) for _ in range(count)]
    return [registering.start(run=run, actor=owner) for run in runs]


def _assert_frozen_once(runs: list[Run]) -> None:
    """Every run has one manifest, one entry that froze it, and the second way agrees."""
    references = sorted(run.reference for run in runs)
    manifests = Manifest.objects.with_agreement().filter(run__in=runs).select_related("run")
    assert sorted(manifest.run.reference for manifest in manifests) == references
    assert all(manifest.agrees and not manifest.differs for manifest in manifests)
    assert {manifest.run.state for manifest in manifests} == {"frozen"}
    frozen = Entry.objects.filter(kind="run.frozen").values_list("subject", flat=True)
    assert sorted(frozen) == references
    assert not FreezeAttempt.objects.exists()


def test_a_worker_killed_at_any_point_of_the_freeze_loses_and_doubles_nothing(
    queue, officer, second_officer, engineer
):
    chance = random.Random(15)
    factories.open_world(officer, second_officer)
    factories.add_members(MEMBERS)
    runs = []
    interrupted = 0

    for _ in range(WORKERS):
        with workers.worker(queue) as process:
            for kill in range(KILLS):
                (run,) = _requested(engineer, 1)
                runs.append(run)
                freeze_run.delay(run.pk)
                time.sleep(chance.uniform(0.0, 0.25))
                if kill < KILLS - 1:
                    _kill_children(process)
                else:
                    workers.kill(process)
                interrupted += not Manifest.objects.filter(run=run).exists()
                # Frozen with a manifest or requested without one: nothing in between.
                assert not Run.objects.filter(state="frozen", manifest=None).exists()
                assert not Manifest.objects.exclude(run__state="frozen").exists()

    assert interrupted > 0
    # The broker would deliver the unacknowledged task again an hour later; the sweep does not wait.
    until(lambda: not leases.are_held(""), 2 * CLAIM_SECONDS)
    sweeping.sweep()
    sweeping.sweep()
    _assert_frozen_once(runs)


def _kill_children(worker: workers.Process) -> None:
    """kill -9 of the processes at work; the worker's parent process starts others."""
    for child in psutil.Process(worker.pid).children():
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()


def test_messages_lost_with_the_broker_are_made_up_by_the_sweep(
    queue, officer, second_officer, engineer
):
    factories.open_world(officer, second_officer)
    factories.add_members(10)
    runs = _requested(engineer, 3)
    for run in runs:
        freeze_run.delay(run.pk)

    redis.Redis(unix_socket_path=queue.removeprefix("redis+socket://")).flushall()
    with workers.worker(queue):
        assert not Manifest.objects.exists()
        sweeping.sweep()

    _assert_frozen_once(runs)


def test_the_same_message_delivered_ten_times_freezes_once(
    queue, officer, second_officer, engineer
):
    factories.open_world(officer, second_officer)
    factories.add_members(5_000)
    (run,) = _requested(engineer, 1)

    with workers.worker(queue, processes=4):
        for _ in range(10):
            freeze_run.delay(run.pk)
        until(lambda: Manifest.objects.with_agreement().filter(agrees=True).exists(), 30)
        # All ten were taken and acknowledged.
        client = redis.Redis(unix_socket_path=queue.removeprefix("redis+socket://"))
        until(lambda: not client.llen("freezes") and not client.hlen("unacked"), 30)

    _assert_frozen_once([run])


def test_ten_freezes_of_one_run_at_once_make_one_manifest(officer, second_officer, engineer):
    factories.open_world(officer, second_officer)
    factories.add_members(500)
    (run,) = _requested(engineer, 1)
    together = threading.Barrier(10)
    faults = []

    def freeze() -> None:
        together.wait()
        try:
            freezing.freeze(run.pk)
        except Exception as fault:  # whatever it is, the test must see it
            faults.append(fault)
        finally:
            connection.close()

    threads = [threading.Thread(target=freeze) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert faults == []
    verifying.verify(Manifest.objects.get(run=run))
    _assert_frozen_once([run])


def test_without_a_broker_a_start_is_answered_at_once_and_a_sweep_freezes(
    officer, second_officer, engineer, client_of
):
    factories.open_world(officer, second_officer)
    factories.add_members(10)
    run = factories.register(engineer)
    browser = client_of(engineer)

    before = time.monotonic()
    answer = browser.post(
        reverse("api:run-start", args=[run.reference]), content_type="application/json"
    )
    waited = time.monotonic() - before
    sweeping.sweep()

    assert answer.status_code == 202
    assert waited < 5
    _assert_frozen_once([run])


def test_a_broker_that_dies_after_the_freeze_costs_the_worker_nothing(
    officer, second_officer, engineer
):
    factories.open_world(officer, second_officer)
    factories.add_members(10)
    (run,) = _requested(engineer, 1)

    freeze_run(run.pk)

    assert Manifest.objects.filter(run=run).count() == 1
    sweeping.sweep()
    _assert_frozen_once([run])


@pytest.mark.skipif(
    connection.vendor == "sqlite", reason="on SQLite nothing is written while a snapshot is open"
)
def test_a_run_cancelled_behind_the_snapshot_is_left_alone(officer, second_officer, engineer):
    factories.open_world(officer, second_officer)
    factories.add_members(10)
    (run,) = _requested(engineer, 1)
    results = []

    def freeze() -> None:
        try:
            results.append(freezing.freeze(run.pk))
        except Exception as fault:  # whatever it is, the test must see it
            results.append(fault)
        finally:
            connection.close()

    thread = threading.Thread(target=freeze)
    with transaction.atomic(), connection.cursor() as cursor:
        # The freeze takes its snapshot, and waits here before it can lock the run.
        cursor.execute("LOCK TABLE training_runs_run IN EXCLUSIVE MODE")
        thread.start()
        until(lambda: _is_a_writer_waiting(cursor), 10)
        registering.cancel(run=run, actor=engineer, reason="test")
    thread.join()

    assert results == [None]
    assert not FreezeAttempt.objects.exists()
    assert not Manifest.objects.exists()


def _is_a_writer_waiting(cursor) -> bool:
    cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
    return cursor.fetchone()[0] > 0
