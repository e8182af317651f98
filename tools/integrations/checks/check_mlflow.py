"""MLflow tags a run by the example's run context, and logs the data set under the digest it has room for."""

import os
import sys
import warnings

sys.path.insert(0, os.environ["EXAMPLES"])
os.environ["MLFLOW_TRACKING_URI"] = "file:./mlruns"
os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"

import mlflow
from facts import FACTS, get
from mlflow.data.http_dataset_source import HTTPDatasetSource
from mlflow.data.meta_dataset import MetaDataset
from mlflow.entities import InputTag  # noqa: F401
from mlflow.tracking.context.registry import _run_context_provider_registry
from mlflow_run_context import TrainingPortalContext

delivery = get(f"runs/{FACTS['run']}/deliveries")["results"][0]
digest = delivery["files"][0]["sha256"]
os.environ |= {
    "TRAINING_PORTAL_RUN": FACTS["run"],
    "TRAINING_PORTAL_DELIVERY": delivery["reference"],
    "TRAINING_PORTAL_DIGEST": digest,
}
_run_context_provider_registry.register(TrainingPortalContext)
with warnings.catch_warnings():
    # MLflow's own deprecation of its file store.
    warnings.simplefilter("ignore", FutureWarning)
    with mlflow.start_run() as run:
        source = HTTPDatasetSource(f"{FACTS['url']}/api/v1/deliveries/{delivery['reference']}")
        mlflow.log_input(MetaDataset(source, name=delivery["reference"], digest=digest[:36]))
found = mlflow.get_run(run.info.run_id)
assert found.data.tags["training_portal.run"] == FACTS["run"], found.data.tags
assert found.data.tags["training_portal.sha256"] == digest
assert found.inputs.dataset_inputs[0].dataset.digest == digest[:36]
print(f"a run of MLflow has the tags of {FACTS['run']} and {delivery['reference']}")
