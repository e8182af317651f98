"""MLflow as it is installed, in a process of its own: it loads the run context by its entry point."""

import json
import os
import subprocess
import sys

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from lying_portal import DELIVERY, RUN, LyingPortal
from test_receipts import FACTS

from training_portal import receipts
from training_portal.trust import Memory, Trust, VerifierKey

pytest.importorskip("mlflow")

SCRIPT = """
import json, warnings
warnings.simplefilter("ignore", FutureWarning)
import mlflow
from training_portal.mlflow import log_input

with mlflow.start_run() as run:
    digest = log_input()
found = mlflow.get_run(run.info.run_id)
(given,) = found.inputs.dataset_inputs
print(json.dumps({
    "digest": digest, "tags": found.data.tags, "kept": given.dataset.digest,
    "source": json.loads(given.dataset.source), "input": {tag.key: tag.value for tag in given.tags},
}))
"""


@pytest.fixture
def data(tmp_path):
    """The directory of a data set, as far as MLflow looks at it."""
    lying = LyingPortal(tmp_path)
    trust = Trust((VerifierKey.parse(lying.verifier_key),), Memory(tmp_path / "memory"))
    permission = trust.verify(lying, run=RUN, delivery=DELIVERY)
    statement = receipts.statement(permission, **FACTS)
    directory = tmp_path / "clean"
    directory.mkdir()
    envelope = receipts.envelope(statement, Ed25519PrivateKey.generate())
    (directory / receipts.FILE).write_text(json.dumps(envelope))
    return directory


def mlflow_in(environment, tmp_path):
    return subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "MLFLOW_TRACKING_URI": f"file:{tmp_path}/mlruns",
            "MLFLOW_ALLOW_FILE_STORE": "true",
            **environment,
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_run_has_the_tags_and_the_whole_digest_of_its_data(data, tmp_path):
    done = mlflow_in(
        {
            "PORTAL_URL": "https://portal.example",
            "PORTAL_RUN": RUN,
            "PORTAL_DELIVERY": DELIVERY,
            "PORTAL_RECEIPT": "RC-2026-000001",
            "PORTAL_DATA": str(data),
        },
        tmp_path,
    )

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["tags"]["training_portal.run"] == RUN
    assert found["tags"]["training_portal.delivery"] == DELIVERY
    assert found["digest"] == receipts.digest_in(data)
    assert found["kept"] == found["digest"][:36]
    assert found["input"]["training_portal.sha256"] == found["digest"]
    assert found["source"]["url"] == "https://portal.example/api/v1/receipts/RC-2026-000001"


def test_outside_of_a_training_nothing_is_tagged(data, tmp_path):
    done = mlflow_in({}, tmp_path)

    assert "training-portal exec" in done.stderr
