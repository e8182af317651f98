"""Another Django project can use the ledger: one of one model does, with nothing else of ours installed or imported."""

import json
import os
import subprocess
import sys

from django.conf import settings


def test_a_project_of_one_model_writes_verifies_and_signs(tmp_path):
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(settings.BASE_DIR),
        "DJANGO_SETTINGS_MODULE": "ledger.tests.alone.settings",
        "DATA_DIR": str(tmp_path),
    }

    done = subprocess.run(
        [sys.executable, "-m", "ledger.tests.alone.story"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")
    seen = json.loads(done.stdout.splitlines()[-1])
    others = {app for app in settings.OUR_APPS if app != "ledger"} | {"tools", "conftest"}
    assert set(seen.pop("modules")) & others == set()
    assert seen == {
        "refused": [True, True],
        "checks": ["current state is the last history row", "reads are the sealed ones"],
        "problems": [],
        # A key, a note, the reads.
        "signed": ["notes.example/ledger", "3"],
        "proved": "c2sp.org/tlog-proof@v1",
    }
