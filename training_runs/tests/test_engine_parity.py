"""The same ledger gives the same manifest bytes on PostgreSQL and on SQLite.

Every row is copied from the test's PostgreSQL into a fresh SQLite file, and a second process, which knows
nothing but that file, derives and freezes there.
"""

import json
import os
import pickle
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings
from django.db import connection, transaction

from ledger import entries
from ledger.verification.verifying import verify_ledger
from tools import factories
from training_runs.eligibility import deriving
from training_runs.models import Manifest, Run
from training_runs.runs import freezing, registering, verifying
from training_runs.tests import racing

COPIED = [
    "auth.user",
    *(
        model._meta.label_lower
        for app in settings.OUR_APPS
        for model in apps.get_app_config(app).get_models()
        if model._meta.managed and model._meta.label_lower != "common.servicetoken"
    ),
]
READER = """
import sys
import django
django.setup()
from training_runs.tests import test_engine_parity
test_engine_parity.answer(sys.argv[1])
"""


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(
    connection.vendor == "sqlite", reason="compares the two engines: the run on PostgreSQL does it"
)
def test_both_engines_derive_and_freeze_the_same_bytes(officer, second_officer, engineer, tmp_path):
    oracle = racing.world(officer, second_officer)
    with racing.race(oracle, officer, second_officer, acts_each=3) as race:
        frozen = [racing.freeze(race, engineer).manifest for _ in range(6)]
    assert race.faults == []
    verifying.verify(frozen[0])
    factories.freeze(engineer, parent=frozen[0].run)
    waiting = registering.start(run=factories.register(engineer), actor=engineer)

    elsewhere = _answers_of_sqlite(tmp_path)
    here = {**_derived(), "ledger": _recomputed_root()}

    assert {name: elsewhere[name] for name in here} == here
    assert len(here) == len(frozen) + 2
    # No entry was written since the copy: this freeze has the same cut.
    assert elsewhere["frozen"] == freezing.freeze(waiting.pk).digest


def _derived() -> dict[str, str]:
    """For every run with a manifest the digest of what history says, which is the one that was frozen."""
    found = {}
    for manifest in Manifest.objects.select_related("run"):
        digest = sha256(deriving.derive(manifest)).hexdigest()
        assert digest == manifest.digest
        found[manifest.run.reference] = digest
    return found


def _recomputed_root() -> str:
    report = verify_ledger()
    assert report.problems == []
    assert report.root == entries.read_head().root
    return report.root


# --- The other engine ---------------------------------------------------------------------------


def _answers_of_sqlite(home: Path) -> dict[str, str]:
    rows = {label: list(apps.get_model(label)._base_manager.values()) for label in COPIED}
    (home / "rows").write_bytes(pickle.dumps(rows))
    environment = {
        **os.environ,
        "DATABASE_URL": f"sqlite:///{home / 'copy.sqlite3'}",
        "DJANGO_SETTINGS_MODULE": "portal.settings",
        # The archives of parents are read from the same store.
        "PORTAL_DATA_DIR": str(Path(settings.MANIFEST_DIR).parent),
    }
    for command in (["manage.py", "migrate", "-v0"], ["-c", READER, str(home / "rows")]):
        done = subprocess.run(
            [sys.executable, *command],
            cwd=settings.BASE_DIR, env=environment, check=False, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def answer(rows: str) -> None:
    """In the second process: load the rows as they are, and print what this engine makes of them."""
    copied = pickle.loads(Path(rows).read_bytes())
    with transaction.atomic():
        for label, values in copied.items():
            model = apps.get_model(label)
            if label in ("ledger.ledgerhead", "consent.census"):
                model._base_manager.filter(pk=1).update(**values[0])
            else:
                model._base_manager.bulk_create([model(**row) for row in values], batch_size=500)
    assert connection.vendor == "sqlite"
    found = {**_derived(), "ledger": _recomputed_root()}
    (waiting,) = Run.objects.requested()
    sys.stdout.write(json.dumps({**found, "frozen": freezing.freeze(waiting.pk).digest}))
