"""Leases: one process at a time, for as long as it works, and no longer than it lives."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from django.conf import settings as project
from django.db import connection

from common.models import Lease
from common.processes import leases
from tools.workers import database_url, until

pytestmark = pytest.mark.django_db(transaction=True)


def is_free(name: str) -> bool:
    with leases.held(name) as is_ours:
        return is_ours


def test_of_many_that_ask_at_once_one_has_the_work():
    together = threading.Barrier(8)
    answers = []

    def ask():
        try:
            together.wait()
            with leases.held("work") as is_ours:
                answers.append(is_ours)
                together.wait()
        finally:
            connection.close()

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(answers) == [False] * 7 + [True]


def test_work_that_is_done_is_free_at_once_and_leaves_nothing_behind():
    assert is_free("work")

    assert is_free("work")
    assert not Lease.objects.exists()


def test_one_kind_of_work_does_not_keep_another_waiting():
    with leases.held("one"):
        assert is_free("another")
        assert leases.are_held("o") == ["ne"]


def test_slow_work_keeps_its_lease(settings):
    settings.CLAIM_SECONDS = 0.6

    with leases.held("work") as is_ours:
        time.sleep(1.2)

        assert is_ours
        assert not is_free("work")


def test_work_that_failed_is_free_again_after_a_pause(settings):
    settings.CLAIM_SECONDS = 0.3

    with pytest.raises(ZeroDivisionError), leases.held("work"):
        raise ZeroDivisionError

    assert not is_free("work")
    until(lambda: is_free("work"), 2)


WORKING = """
import django, time
django.setup()
from common.processes import leases
with leases.held("work"):
    print("working", flush=True)
    time.sleep(600)
"""


def test_the_work_of_a_killed_process_comes_back(settings):
    settings.CLAIM_SECONDS = 1
    environment = {
        **os.environ,
        "DATABASE_URL": database_url(),
        "DJANGO_SETTINGS_MODULE": "portal.settings",
        "CLAIM_SECONDS": "1",
    }
    working = subprocess.Popen(
        [sys.executable, "-c", WORKING],
        env=environment,
        cwd=project.BASE_DIR,
        stdout=subprocess.PIPE,
    )
    try:
        assert working.stdout.readline() == b"working\n"
        assert not is_free("work")
    finally:
        working.send_signal(signal.SIGKILL)
        working.wait()
        working.stdout.close()

    assert not is_free("work")
    until(lambda: is_free("work"), 3)
