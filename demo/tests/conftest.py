"""One small demo for the tests that begin where it ends."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from demo import stage

PATIENCE = 240
MEMBERS = 2000
"""More than the number from which on an import stops when too many accounts are new, as after the whole demo."""


def run(module: str, *arguments: str, data_dir: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env=os.environ | {"DEMO_DATA_DIR": str(data_dir)},
        cwd=stage.ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.fixture(scope="session")
def _told(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[subprocess.CompletedProcess[str], Path]:
    data_dir = tmp_path_factory.mktemp("told") / "demo"
    return run("demo", "--members", str(MEMBERS), data_dir=data_dir), data_dir


@pytest.fixture
def told(
    _told: tuple[subprocess.CompletedProcess[str], Path], tmp_path: Path
) -> tuple[subprocess.CompletedProcess[str], Path]:
    """How a demo ended, and a copy of the data that it left."""
    ended, data_dir = _told
    return ended, Path(shutil.copytree(data_dir, tmp_path / "demo"))
