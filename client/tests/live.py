"""A live portal in a process of its own, started with the portal's environment: the client's has no Django."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def live_portal() -> Iterator[dict[str, Any]]:
    """The facts of a portal that serves while the block runs: SQLite, or TEST_DATABASE=postgresql."""
    python = Path(os.environ.get("PORTAL_PYTHON", ROOT / ".venv" / "bin" / "python"))
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    process = subprocess.Popen(
        [python, "-m", "tools.portal_for_clients"],
        cwd=ROOT,
        env=kept,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stdout.readline()
        assert line, process.communicate()[1][-3000:]
        yield json.loads(line)
    finally:
        # It stops its own children when its input ends.
        process.stdin.close()
        process.wait(timeout=90)
        process.stdout.close()
        process.stderr.close()


_KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "TEST_DATABASE", "DATABASE_URL")
