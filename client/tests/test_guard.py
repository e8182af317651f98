"""A command whose starter is killed without a chance to stop it."""

import os
import signal
import subprocess
import sys
import time

import pytest

STARTER = """
import subprocess, sys
from training_portal.guard import guarded

with guarded(1.0) as guard:
    child = subprocess.Popen(["/bin/sh", "-c", sys.argv[1]], start_new_session=True, stdout=subprocess.PIPE)
    guard(child.pid)
    child.stdout.readline()
    print(child.pid, flush=True)
    child.wait()
"""


def until(is_so, seconds=10.0):
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.05)


def lives(group):
    """Whether a process of a group is there that has not ended: one that ended may wait for its parent."""
    found = subprocess.run(
        ["ps", "-A", "-o", "pgid=,stat="], capture_output=True, text=True, check=True
    ).stdout
    return any(
        line.split()[0] == str(group) and not line.split()[1].startswith("Z")
        for line in found.splitlines()
    )


def started(script):
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, script], stdout=subprocess.PIPE, text=True
    )
    return starter, int(starter.stdout.readline())


@pytest.mark.parametrize(
    "script",
    [
        "echo; sleep 60",
        "sleep 60 & echo; wait",
        "trap '' TERM; echo; while true; do sleep 0.1; done",
    ],
    ids=["one process", "with a child", "deaf to SIGTERM"],
)
def test_a_command_ends_when_its_starter_is_killed(script):
    starter, group = started(script)
    try:
        assert lives(group)
        starter.kill()
        starter.wait()

        until(lambda: not lives(group))
    finally:
        starter.kill()
        starter.stdout.close()
        if lives(group):
            os.killpg(group, signal.SIGKILL)


def test_a_process_of_a_command_that_ended_well_is_left_alone():
    starter, group = started("sleep 60 & echo")
    try:
        assert starter.wait(timeout=10) == 0

        assert lives(group)
    finally:
        starter.stdout.close()
        os.killpg(group, signal.SIGKILL)
