"""MLflow tags a run by the client's run context, and takes the data set as an input under the digest it has room for."""

import json
import os
import warnings
from pathlib import Path

os.environ["MLFLOW_TRACKING_URI"] = "file:./mlruns"
os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"

import mlflow
from facts import FACTS, get
from mlflow.tracking.context.registry import _run_context_provider_registry

from training_portal import receipts
from training_portal.mlflow import PortalContext, log_input

data = Path("clean")
data.mkdir()
(data / receipts.FILE).write_text(json.dumps(get(f"receipts/{FACTS['receipt']}")["envelope"]))
# As `training-portal exec` says it to a training.
os.environ |= {
    "PORTAL_URL": FACTS["url"],
    "PORTAL_RUN": FACTS["run"],
    "PORTAL_RECEIPT": FACTS["receipt"],
    "PORTAL_DATA": str(data),
}
# An installed client is found by its entry point.
_run_context_provider_registry.register(PortalContext)
with warnings.catch_warnings():
    # MLflow's own deprecation of its file store.
    warnings.simplefilter("ignore", FutureWarning)
    with mlflow.start_run() as run:
        digest = log_input()
found = mlflow.get_run(run.info.run_id)
(given,) = found.inputs.dataset_inputs
assert found.data.tags["training_portal.run"] == FACTS["run"], found.data.tags
assert found.data.tags["training_portal.receipt"] == FACTS["receipt"]
assert given.dataset.digest == digest[:36]
assert {tag.key: tag.value for tag in given.tags}["training_portal.sha256"] == digest
print(f"a run of MLflow has the tags of {FACTS['run']} and {FACTS['receipt']}")
