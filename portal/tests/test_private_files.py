"""What the portal writes is its user's own, and its workers take no orders through the broker."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from common.processes import children, embedded

pytestmark = pytest.mark.processes

HOME = Path(__file__).parents[2]


def environment(data_dir, **variables):
    return {
        **os.environ,
        "PORTAL_DATA_DIR": str(data_dir),
        "DATABASE_URL": f"sqlite:///{data_dir}/portal.sqlite3",
        "DJANGO_SETTINGS_MODULE": "portal.settings",
        **variables,
    }


def open_to_others(directory):
    return sorted(
        str(path.relative_to(directory))
        for path in [directory, *directory.rglob("*")]
        if path.lstat().st_mode & 0o077 and not stat.S_ISLNK(path.lstat().st_mode)
    )


WRITES = """
from django.db import connection, transaction
from pathlib import Path
from ledger.files import locked, write_whole
from django.conf import settings
with transaction.atomic(), connection.cursor() as cursor:
    cursor.execute("CREATE TABLE one (number INTEGER)")
    cursor.execute("INSERT INTO one VALUES (1)")
    journal = Path(f"{settings.DATABASES['default']['NAME']}-journal")
    print(oct(journal.stat().st_mode & 0o777))
write_whole(settings.DATA_DIR / "manifests" / "one", b"one")
with locked(settings.DATA_DIR / "keys" / "lock"):
    pass
(settings.DATA_DIR / "export").mkdir()
(settings.DATA_DIR / "export" / "one.csv").write_text("one")
"""


def test_what_a_process_writes_is_for_its_user_only(tmp_path):
    done = subprocess.run(
        [sys.executable, "manage.py", "shell", "--no-imports", "--command", WRITES], cwd=HOME, env=environment(tmp_path / "new" / "data"),
        capture_output=True, text=True, check=True, umask=0o022,
    )  # fmt: skip

    assert done.stdout.split() == ["0o600"]
    assert (tmp_path / "new" / "data" / "portal.sqlite3").exists()
    assert open_to_others(tmp_path / "new" / "data") == []


def test_a_database_file_that_others_can_read_is_closed(tmp_path):
    file = tmp_path / "portal.sqlite3"
    file.touch()
    file.chmod(0o644)

    subprocess.run(
        [sys.executable, "manage.py", "check"], cwd=HOME, env=environment(tmp_path), check=True
    )  # fmt: skip

    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_importing_the_settings_makes_no_directories(tmp_path):
    program = """
import django
django.setup()
from django.conf import settings
print(settings.DATA_DIR)
"""
    data_dir = tmp_path / "fresh" / "data"

    done = subprocess.run(
        [sys.executable, "-c", program], cwd=HOME, env=environment(data_dir),
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert done.stdout == f"{data_dir}\n"
    assert not (tmp_path / "fresh").exists()


@pytest.mark.parametrize("start", [["manage.py", "check"], ["-c", "import portal.wsgi"]])
def test_what_starts_makes_the_directories_for_its_user_only(start, tmp_path):
    data_dir = tmp_path / "fresh" / "data"

    done = subprocess.run(
        [sys.executable, *start], cwd=HOME, env=environment(data_dir),
        capture_output=True, text=True, check=True, umask=0o022,
    )  # fmt: skip

    # WhiteNoise warns of static files that it cannot find.
    assert "No directory" not in done.stderr
    assert {path.name for path in data_dir.iterdir() if path.is_dir()} == {"run", "static"}
    assert open_to_others(data_dir) == []


@pytest.mark.slow
def test_a_worker_takes_no_orders_through_the_broker(tmp_path):
    data_dir = tmp_path / "data"
    orders = """
from portal.celery import app
app.control.shutdown()
print(app.control.ping(timeout=1.5))
"""
    with embedded.broker(tmp_path / "valkey.sock") as url:
        env = environment(data_dir, REDIS_URL=url)
        with (tmp_path / "log").open("wb") as log:
            worker = children.start(
                [sys.executable, "-m", "celery", "--app", "portal", "worker", "--beat",
                 "--pool", "solo", "--without-gossip", "--without-mingle", "--loglevel", "INFO"],
                env=env, output=log,
            )  # fmt: skip
        try:
            _wait_for(tmp_path / "log", b"ready")
            said = subprocess.run(
                [sys.executable, "-c", orders], cwd=HOME, env=env, capture_output=True, text=True, check=True
            )  # fmt: skip

            assert said.stdout.split() == ["[]"]
            assert worker.poll() is None
            assert open_to_others(data_dir) == []
        finally:
            children.stop(worker, patience=10)


def _wait_for(log: Path, word: bytes) -> None:
    for _ in range(300):
        if word in log.read_bytes():
            return
        children.time.sleep(0.1)
    raise AssertionError(log.read_text())
