"""A preparation that is killed, or that finds a full disk, never leaves what `verify` accepts, and goes on to the same bytes.

KILLS=50 kills it at so many random moments.
"""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from child import POPULATION
from making import KEY, NOW, account, write_raw

from training_portal.errors import NotVerified
from training_portal.prepare import verify_directory

KEYS = [KEY.public_key()]
KILLS = int(os.environ.get("KILLS", "4"))
FILES, ROWS = 6, 20_000
CHILD = Path(__file__).with_name("child.py")


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """Six raw files."""
    directory = tmp_path_factory.mktemp("raw")
    for number in range(FILES):
        write_raw(
            directory / f"{number}.parquet",
            {
                "author": [account(1 + (row * 7 + number) % POPULATION) for row in range(ROWS)],
                "body": [f"row {row} of {number}, mail {row}@example.org" for row in range(ROWS)],
            },
        )
    return directory


@pytest.fixture
def place(raw, tmp_path):
    (tmp_path / "raw").symlink_to(raw)
    return tmp_path


def started(place, *words):
    child = subprocess.Popen(
        [sys.executable, CHILD, place, *map(str, words)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert child.stdout.readline() == "begins\n"
    return child


def finished(place, *words):
    child = started(place, *words)
    said = child.communicate()[0].strip()
    return child.returncode, said


def files(place):
    return {one.name: one.read_bytes() for one in sorted((place / "clean").glob("*.parquet"))}


@pytest.fixture(scope="module")
def undisturbed(raw, tmp_path_factory):
    """The files of a preparation that nothing disturbed, and the seconds that it took."""
    place = tmp_path_factory.mktemp("undisturbed")
    (place / "raw").symlink_to(raw)
    began = time.monotonic()
    assert finished(place) == (0, "")
    seconds = time.monotonic() - began
    verify_directory(place / "clean", keys=KEYS, now=NOW)
    return files(place), seconds


@pytest.mark.parametrize("number", range(KILLS))
def test_a_killed_preparation_is_no_data_set_and_goes_on_to_the_same_bytes(
    place, undisturbed, number
):
    expected, seconds = undisturbed
    child = started(place)
    time.sleep(random.uniform(0, seconds))
    child.kill()
    child.communicate()
    try:
        verify_directory(place / "clean", keys=KEYS, now=NOW)
    except NotVerified:
        assert finished(place) == (0, "")

    # What was accepted as it was left is whole.
    assert files(place) == expected
    assert not (place / "clean/.preparing").exists()
    verify_directory(place / "clean", keys=KEYS, now=NOW)


@pytest.mark.parametrize("limit", [1_000, 40_000, 80_000])
def test_a_full_disk_is_said_and_what_was_begun_goes_on(place, undisturbed, limit):
    expected, _ = undisturbed
    assert max(map(len, expected.values())) > 80_000

    assert finished(place, limit) == (2, "disk")

    with pytest.raises(NotVerified):
        verify_directory(place / "clean", keys=KEYS, now=NOW)
    assert finished(place) == (0, "")
    assert files(place) == expected
    verify_directory(place / "clean", keys=KEYS, now=NOW)
