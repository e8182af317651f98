"""The package without one of its extras, in a process in which the modules of the extra are missing."""

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
REDACT = ("ahocorasick_rs", "phonenumbers", "stdnum")
PREPARE = ("duckdb", "pyarrow", "numpy")
PREPARED = """
from making import COLUMNS, KEY, OPTIONS, account, make_permission, write_raw
from training_portal.prepare import prepare, verify_directory

made = prepare(
    [write_raw(here / "raw/a.parquet", {"author": [account(1)], "body": ["text"]})], here / "clean",
    permission=make_permission(here, [1], population=1), columns=COLUMNS, key=KEY, redaction=None,
    options=OPTIONS,
)
print(verify_directory(here / "clean", keys=[KEY.public_key()], now=OPTIONS.now()).predicate["rows"]["kept"])
"""


def without(modules, script, tmp_path):
    """What a script prints where the modules are missing: its errors are printed by their sentence."""
    lines = [
        "import sys",
        f"sys.path[:0] = {[str(HERE), str(HERE / 'prepare')]!r}",
        f"sys.modules.update(dict.fromkeys({modules!r}))",
        "from pathlib import Path",
        f"here = Path({str(tmp_path)!r})",
        "from training_portal.errors import Misuse",
        "try:",
        *(f"    {line}" for line in script.strip().splitlines()),
        "except Misuse as error:",
        "    print(error)",
    ]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_data_set_is_prepared_without_what_redaction_needs(tmp_path):
    assert without(REDACT, PREPARED, tmp_path) == "1"


@pytest.mark.parametrize(
    ("modules", "script", "said"),
    [
        (REDACT[:1], "from training_portal.redaction import Profile",
         "ahocorasick_rs is not installed. Install the extra: pip install training-portal[redact]"),
        (REDACT, "from training_portal.data_sets import redaction_of; redaction_of(None)",
         "stdnum is not installed. Install the extra: pip install training-portal[redact]"),
        (PREPARE[:1], "from training_portal.prepare import verify_directory",
         "duckdb is not installed. Install the extra: pip install training-portal[prepare]"),
        (PREPARE, "import training_portal.execute",
         "numpy is not installed. Install the extra: pip install training-portal[prepare]"),
    ],
)  # fmt: skip
def test_what_is_missing_is_named_with_its_extra(modules, script, said, tmp_path):
    assert without(modules, script, tmp_path) == said


def test_the_command_line_names_the_extra(tmp_path):
    script = (
        "import os, sys; os.environ['HOME'] = str(here); (here / 'clean').mkdir()\n"
        "from training_portal.cli import main\n"
        "try:\n"
        "    main(['verify', str(here / 'clean'), '--offline'])\n"
        "except SystemExit as ended:\n"
        "    print(ended.code)"
    )

    assert without(PREPARE, script, tmp_path) == "2"
