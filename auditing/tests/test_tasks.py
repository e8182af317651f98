"""The nightly check is a process of its own: no request waits for it."""

import os
import subprocess
import sys

import pytest
from django.conf import settings

pytestmark = [
    pytest.mark.processes,
    pytest.mark.slow,
    pytest.mark.skipif(
        "DATABASE_URL" in os.environ, reason="this process is on SQLite: started there already"
    ),
]

START_AND_WAIT = """
import django
django.setup()
from auditing import tasks
tasks.check_tonight()
tasks.check_tonight()
(process,) = tasks._running
assert process.wait(120) == 0
from ledger.models import LedgerCheck
print(LedgerCheck.objects.count(), LedgerCheck.objects.get().problems)
"""


def test_it_is_started_once_and_keeps_what_it_found(tmp_path):
    environment = os.environ | {
        "PORTAL_ENV": "development",
        "PORTAL_DATA_DIR": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "portal.settings",
    }

    def python(*arguments):
        return subprocess.run(
            [sys.executable, *arguments],
            env=environment,
            cwd=settings.BASE_DIR,
            capture_output=True,
            text=True,
            timeout=180,
            check=True,
        ).stdout

    python("manage.py", "migrate", "--verbosity", "0")

    assert python("-c", START_AND_WAIT).endswith("1 []\n")
