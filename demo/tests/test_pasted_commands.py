"""The tutorial's commands and the auditor's, pasted as they stand: only the port and the places of files are the test's
own.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from urllib.request import urlopen

import pytest

from common.processes import children
from demo import stage
from demo.tests.conftest import PATIENCE

pytestmark = pytest.mark.processes

TUTORIAL, AUDITOR = "tutorial/first-manifest.md", "how-to/auditor.md"


def commands_of(page, places):
    """The commands in the blocks of bash of a page, one behind the other, with the test's own places."""
    text = (stage.ROOT / "docs" / page).read_text()
    commands = "".join(re.findall(r"^```bash\n(.*?)^```", text, re.DOTALL | re.MULTILINE))
    for theirs, ours in places.items():
        assert theirs in commands
        commands = commands.replace(theirs, ours)
    return commands


def paste(commands):
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=stage.ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip


@pytest.fixture
def served(told, tmp_path):
    """The portal as `make run` serves it, on a small demo; gives its address and data directory."""
    _, data_dir = told
    with socket.create_server(("127.0.0.1", 0)) as probe:
        bind = f"127.0.0.1:{probe.getsockname()[1]}"
    with (tmp_path / "run.log").open("wb") as log:
        server = children.start(
            [sys.executable, "-m", "demo.portal", "--bind", bind],
            env={"DEMO_DATA_DIR": str(data_dir)},
            output=log,
        )
    try:
        wait_for(f"http://{bind}/readyz", server)
        yield f"http://{bind}", data_dir
    finally:
        children.stop(server, patience=40)


def wait_for(url, server):
    until = time.monotonic() + 60
    while time.monotonic() < until and server.poll() is None:
        try:
            return urlopen(url, timeout=5).read()
        except OSError:
            time.sleep(0.1)
    raise AssertionError("The portal did not start.")


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("curl"), reason="CURL IS MISSING: the session needs it")
@pytest.mark.skipif(
    "DATABASE_URL" in os.environ, reason="the demo is on SQLite: told there already"
)
def test_the_tutorial_and_the_audit_work_when_they_are_pasted(served):
    address, data_dir = served

    told = paste(
        commands_of(
            TUTORIAL,
            {
                "http://127.0.0.1:8000": address,
                "$PWD/var/demo": str(data_dir),
                " var/": f" {data_dir}/",
                "'var/": f"'{data_dir}/",
                ".venv/bin/python": sys.executable,
            },
        )
    )

    assert told.returncode == 0, told.stdout + told.stderr
    answers = [json.loads(line) for line in told.stdout.splitlines() if line.startswith("{")]
    (reference,) = {answer["run"] for answer in answers if "run" in answer}
    because = " because the member's setting for the purpose is off."
    assert [answer["sentences"] for answer in answers if "sentences" in answer] == [
        ["The member would be out of a run started now" + because],
        ["The member would be in a run started now."],
        [
            f"The member was in {reference}.",
            "The member would be out of a run started now" + because,
        ],
    ]
    (frozen,) = [answer for answer in answers if "frozen_at" in answer]
    assert f"{frozen['digest']}  {data_dir}/{reference}.manifest" in told.stdout
    assert len(re.findall(r'^ *"two-\d+",?$', told.stdout, re.MULTILINE)) == 1
    assert not re.findall(r'^ *"one-\d+",?$', told.stdout, re.MULTILINE)
    assert re.search(r"^None of the two is in DL-[0-9-]+\.$", told.stdout, re.MULTILINE)
    (since,) = [answer for answer in answers if "withdrawn" in answer]
    assert since["withdrawn"] == 1
    assert [set(row) for row in since["results"]] == [{"member_number", "account_ref"}]
    assert f"The manifest of {reference} verifies." in told.stdout
    number = next(answer["member_number"] for answer in answers if "run" in answer)
    assert f"Proved: member {number} is out of {reference}: opted_out (" in told.stdout
    assert told.stdout.endswith("\nNothing is wrong.\n")

    # What the demo exported, checked as an auditor would, elsewhere.
    places = {"var/elsewhere": str(data_dir / "elsewhere"), "../demo": str(data_dir)}
    audited = paste(commands_of(AUDITOR, places))

    assert audited.returncode == 0, audited.stdout + audited.stderr
    assert audited.stdout.count("Nothing is wrong.") == 2


@pytest.mark.parametrize("status", [401, 403, 409, 410, 500, 503])
def test_the_session_waits_for_no_delivery_that_is_refused(status):
    asking = re.search(r"^delivered\(\) .*\n.*\n.*\n", commands_of(TUTORIAL, {}), re.MULTILINE)

    refused = f'{{"status": {status}}}'
    told = paste(f"trainer() {{ printf '{refused}'; }}; api= run=\n{asking[0]}\ndelivered x")

    assert told.stdout.count(refused) >= 1
