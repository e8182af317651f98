"""The two commands as processes, on a small population and in a directory of their own."""

import fcntl
import os
import re

import pytest

from demo.tests.conftest import MEMBERS, run
from objections.choices import TicketState

pytestmark = pytest.mark.processes


@pytest.fixture
def data_dir(tmp_path):
    return tmp_path / "demo"


DESK = [
    *(state.label for state in TicketState),
    "open and overdue",
    "open and due in the next 7 days",
    "open and unassigned",
    "waiting for the person",
    "waiting for a second person",
    "incidents",
    "letters sent",
    "letters waiting for the post",
    "letters that could not be sent",
]


def count_of(words, said):
    """What the table of the desk says."""
    (count,) = re.findall(rf"^ +{words} +([\d,]+)$", said, re.MULTILINE)
    return int(count.replace(",", ""))


def left_out(reason, said):
    """A column of the table of runs."""
    lines = said.splitlines()
    head = next(line for line in lines if line.startswith("run "))
    end = head.index(f"  {reason}  ") + len(f"  {reason}")
    return [
        int(line[:end].split()[-1].replace(",", "")) for line in lines if line.startswith("TR-")
    ]


def is_free(lock):
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


@pytest.mark.slow
@pytest.mark.skipif(
    "DATABASE_URL" in os.environ, reason="the demo is on SQLite: told there already"
)
def test_the_whole_story_ends_well_twice_and_leaves_nothing_running(told):
    first, data_dir = told

    assert_ended_well(first)
    assert_ended_well(run("demo", "--members", str(MEMBERS), data_dir=data_dir))

    # Every part of the portal holds this lock as long as it lives.
    assert is_free(data_dir / "run" / "parts.lock")


def assert_ended_well(told):
    assert told.returncode == 0, told.stdout + told.stderr
    runs = [line for line in told.stdout.splitlines() if line.startswith("TR-")]
    assert [line.split()[-1] for line in runs] == ["yes"] * 6
    assert "(409 start_refused: no_country_allowed, no_notice_in_force)" in told.stdout
    assert "because the member's setting for the purpose is off." in told.stdout
    assert "all manifests verified" in told.stdout
    assert re.search(r"^\d+ entries and \d+ rows recomputed", told.stdout, re.MULTILINE)
    # Of each state there is a ticket, and objections of several members keep them out of every run.
    assert [one for one in DESK if count_of(one, told.stdout) == 0] == []
    assert all(count > 1 for count in left_out("objecting", told.stdout))
    assert all(count > 1 for count in left_out("objected", told.stdout))


def test_a_demo_is_refused_while_another_one_runs(data_dir):
    data_dir.parent.mkdir(exist_ok=True)
    with data_dir.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        refused = run("demo", data_dir=data_dir)

    assert refused.returncode == 2
    assert refused.stderr == f"Another demo is running on {data_dir}: let it end first.\n"


def test_a_demo_is_refused_while_its_data_is_served(data_dir):
    (data_dir / "run").mkdir(parents=True)
    with (data_dir / "run" / "launcher.lock").open("w") as lock:
        lock.write("4711")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)

        refused = run("demo", data_dir=data_dir)

    assert refused.returncode == 2
    assert refused.stderr == (
        f"The portal is running on {data_dir} already (process 4711):"
        " stop it first, or choose another PORTAL_DATA_DIR.\n"
    )


def test_without_demo_data_there_is_nothing_to_run(data_dir):
    refused = run("demo.portal", data_dir=data_dir)

    assert refused.returncode == 2
    assert refused.stderr == "There is no demo data yet: run `make demo` first.\n"
