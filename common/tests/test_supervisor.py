"""The whole portal as processes: real ones, on SQLite, in a data directory of their own."""

import contextlib
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

import psutil
import pytest
from django.conf import settings

from common.processes import supervisor

pytestmark = [
    pytest.mark.processes,
    pytest.mark.slow,
    pytest.mark.skipif(
        "DATABASE_URL" in os.environ, reason="these processes are on SQLite: run there already"
    ),
]

PATIENCE = 60


def environment(data_dir):
    unwanted = ("DATABASE_URL", "REDIS_URL")
    inherited = {name: value for name, value in os.environ.items() if name not in unwanted}
    return inherited | {"PORTAL_ENV": "development", "PORTAL_DATA_DIR": str(data_dir)}


def manage(*arguments, data_dir):
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        env=environment(data_dir),
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.fixture(scope="module")
def migrated(tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("migrated")
    assert manage("migrate", "--verbosity", "0", data_dir=data_dir).returncode == 0
    return data_dir / "portal.sqlite3"


@pytest.fixture
def data_dir(migrated, tmp_path):
    shutil.copy(migrated, tmp_path)
    return tmp_path


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


class Served:
    """`manage.py serve` and everything it started."""

    def __init__(self, data_dir):
        self.data_dir = data_dir
        self.port = free_port()
        with (data_dir / "output").open("wb") as output:
            self.launcher = psutil.Popen(
                [sys.executable, "manage.py", "serve", "--bind", f"127.0.0.1:{self.port}"],
                env=environment(data_dir),
                cwd=settings.BASE_DIR,
                stdout=output,
                stderr=output,
            )

    @property
    def output(self):
        return (self.data_dir / "output").read_text()

    def until(self, condition):
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, self.output
            assert self.launcher.poll() is None, self.output
            time.sleep(0.05)

    def stop(self):
        """Returns the exit code."""
        with contextlib.suppress(psutil.NoSuchProcess):
            self.launcher.terminate()
        return self.launcher.wait(PATIENCE)

    def children(self):
        return self.launcher.children(recursive=True)

    def named(self, word):
        return [child for child in self.launcher.children() if word in " ".join(child.cmdline())]


@pytest.fixture
def served(data_dir):
    served = Served(data_dir)
    served.until(lambda: "The portal answers at" in served.output)
    # The workers' own children come a little later than the web server, the clock is one of them.
    processes = sum(count for _, count in supervisor.WORKERS.values())
    served.until(lambda: len(served.named("celery")) == len(supervisor.WORKERS))
    served.until(
        lambda: sum(len(each.children()) for each in served.named("celery")) == processes + 1
    )
    children = served.children()
    yield served
    for process in [served.launcher, *children]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    served.launcher.wait()


def nothing_left(processes):
    _, alive = psutil.wait_procs(processes, timeout=PATIENCE)
    return alive == []


def test_it_serves_refuses_a_second_start_and_ends_when_it_is_told_to(served):
    address = supervisor.Address("127.0.0.1", served.port)
    children = served.children()
    assert [len(served.named(word)) for word in ("valkey", "celery", "gunicorn")] == [1, 2, 1]
    assert served.output.startswith("This is for trials: ")
    assert supervisor.is_ready(address)

    second = manage("serve", "--bind", f"127.0.0.1:{free_port()}", data_dir=served.data_dir)

    assert second.returncode == 2
    assert second.stderr == (
        f"The portal is running on {served.data_dir} already (process {served.launcher.pid}):"
        " stop it first, or choose another PORTAL_DATA_DIR.\n"
    )
    assert supervisor.is_ready(address)

    code = served.stop()

    assert code == 0
    assert nothing_left(children)
    assert not supervisor.is_ready(address)
    assert not (served.data_dir / "run" / "valkey.sock").exists()


def test_a_start_waits_for_one_that_is_stopping_and_for_what_a_killed_one_left(served):
    children = served.children()
    served.launcher.terminate()

    with serving_again(served.data_dir) as second:
        assert nothing_left(children)
        children = second.children()
        assert len(children) >= 6

        # It is not waited for: the next start must not take what is left of the process for a living one.
        second.launcher.kill()

        with serving_again(served.data_dir):
            assert nothing_left(children)


@contextlib.contextmanager
def serving_again(data_dir):
    again = Served(data_dir)
    try:
        again.until(lambda: "The portal answers at" in again.output)
        yield again
    finally:
        again.stop()


def test_a_start_waits_for_what_an_earlier_one_left(data_dir):
    (data_dir / "run").mkdir()
    with (data_dir / "run" / "parts.lock").open("w") as part:
        fcntl.flock(part, fcntl.LOCK_EX)
        served = Served(data_dir)
        served.until(lambda: "An earlier start is still ending" in served.output)
        assert not (data_dir / "run" / "valkey.sock").exists()

    try:
        served.until(lambda: "The portal answers at" in served.output)
        # While it is up: what a part's death does.
        assert_ends_with(served, "gunicorn")
    finally:
        served.stop()


def assert_ends_with(served, part):
    """When a part dies the rest is stopped, and the exit code says so."""
    children = served.children()

    served.named(part)[0].send_signal(signal.SIGKILL)

    assert served.launcher.wait(PATIENCE) == 1
    assert "ended by itself (exit code -9): stopping the rest." in served.output
    assert nothing_left(children)


def test_a_start_kills_what_an_earlier_one_left_and_does_not_end(data_dir, monkeypatch):
    monkeypatch.setattr(supervisor, "LEFTOVER_SECONDS", 0.5)
    (data_dir / "run").mkdir()
    hanging = subprocess.Popen(
        [sys.executable, "-c", HANGING, str(data_dir / "run" / "parts.lock")],
        stdout=subprocess.PIPE,
    )
    assert hanging.stdout.readline() == b"locked\n"

    said = []
    try:
        with supervisor.data_directory_lock(data_dir, say=said.append):
            # The same file, opened by this process, is no reason to end it.
            assert hanging.wait(PATIENCE) == -signal.SIGKILL
    finally:
        hanging.kill()
        hanging.stdout.close()

    assert said == ["An earlier start is still ending; waiting for the last of it."]


HANGING = """
import fcntl, signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
lock = open(sys.argv[1], "w")
fcntl.flock(lock, fcntl.LOCK_EX)
print("locked", flush=True)
while True:
    signal.pause()
"""


def test_when_a_worker_dies_the_rest_is_stopped_and_the_exit_code_says_so(served):
    assert_ends_with(served, "celery")


def test_a_taken_port_is_refused_before_anything_starts(data_dir):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        refused = manage("serve", "--bind", f"127.0.0.1:{port}", data_dir=data_dir)

    assert refused.returncode == 2
    assert refused.stderr == (
        f"Port {port} on 127.0.0.1 cannot be used (Address already in use):"
        " stop what uses it, or choose another port.\n"
    )
    assert not list((data_dir / "run").iterdir())


def test_a_database_that_is_not_migrated_is_refused(tmp_path):
    refused = manage("serve", data_dir=tmp_path)

    assert refused.returncode == 2
    assert refused.stderr == "The database is not up to date: run `manage.py migrate` first.\n"


@pytest.mark.parametrize("bind", ["8000", "localhost:", "localhost:http", "localhost:70000"])
def test_what_is_no_address_is_refused(bind):
    with pytest.raises(supervisor.NotStarted, match="is not an address"):
        supervisor.Address.parse(bind)
