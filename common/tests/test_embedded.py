import signal
import socket
import subprocess
import sys

import psutil
import pytest
import redis

from common.processes import embedded

pytestmark = pytest.mark.processes


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run" / "valkey.sock"


def ask(url):
    return redis.Redis(unix_socket_path=url.removeprefix("redis+socket://"))


def test_the_broker_answers_while_the_block_runs_and_leaves_no_socket_behind(path):
    with embedded.broker(path) as url:
        assert url == f"redis+socket://{path}"
        assert embedded.answers(path)

    assert not path.exists()


def test_it_listens_on_no_port(path):
    with embedded.broker(path) as url:
        assert ask(url).config_get("port") == {"port": "0"}


def test_only_its_owner_may_open_the_socket(path):
    with embedded.broker(path):
        assert oct(path.stat().st_mode & 0o777) == "0o700"


def test_the_socket_of_a_dead_broker_is_removed(path):
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert path.exists()

    with embedded.broker(path):
        assert embedded.answers(path)


def test_a_broker_that_is_alive_is_used_and_left_running(path):
    with embedded.broker(path) as first:
        ask(first).set("word", "kept")

        with embedded.broker(path) as second:
            assert ask(second).get("word") == b"kept"

        assert embedded.answers(path)


@pytest.mark.parametrize("directory", ["deep" * 30, "of two words", 'quoted"'])
def test_a_path_that_no_socket_can_have_moves_to_a_private_directory(directory, tmp_path):
    path = tmp_path / directory / "valkey.sock"

    with embedded.broker(path) as url:
        assert ask(url).ping()
        assert len(url.removeprefix("redis+socket://")) <= embedded.MAX_SOCKET_PATH


def test_it_keeps_nothing_on_disk_and_loses_no_message_silently(path):
    with embedded.broker(path) as url:
        found = ask(url).config_get("save", "appendonly", "maxmemory-policy", "maxmemory")

    assert found == {
        "save": "", "appendonly": "no", "maxmemory-policy": "noeviction", "maxmemory": "67108864"
    }  # fmt: skip
    assert sorted(one.name for one in path.parent.iterdir()) == ["valkey.log"]


HOLDING = """
import signal, sys
from pathlib import Path
from common.processes import embedded
with embedded.broker(Path(sys.argv[1])):
    print("up", flush=True)
    signal.pause()
"""


def test_it_dies_with_the_process_that_started_it(path):
    with subprocess.Popen([sys.executable, "-c", HOLDING, path], stdout=subprocess.PIPE) as parent:
        assert parent.stdout.readline() == b"up\n"
        children = psutil.Process(parent.pid).children(recursive=True)
        assert any("valkey-server" in one.name() for one in children)

        parent.send_signal(signal.SIGKILL)

        _, alive = psutil.wait_procs(children, timeout=10)
    assert alive == []
    assert not embedded.answers(path)
