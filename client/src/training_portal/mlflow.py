"""MLflow: every run of a training gets the portal's run and delivery as tags, and its data set as an input.

The tags need no line of code: MLflow loads `PortalContext` by its entry point, and `training-portal exec` says in the
environment which run it is. The input is one line: `training_portal.mlflow.log_input()`.
"""

import os
from pathlib import Path

# Nothing more of MLflow at the top: it loads this module while it loads itself.
from mlflow.tracking.context.abstract_context import RunContextProvider

from training_portal import receipts
from training_portal.errors import Misuse

TAGS = {
    "PORTAL_RUN": "training_portal.run",
    "PORTAL_PURPOSE": "training_portal.purpose",
    "PORTAL_MANIFEST": "training_portal.manifest",
    "PORTAL_DELIVERY": "training_portal.delivery",
    "PORTAL_RECEIPT": "training_portal.receipt",
}
DIGEST_TAG = "training_portal.sha256"
"""Tag of an input with the whole digest."""
MAX_DIGEST = 36
"""Characters that MLflow keeps of a data set's digest."""


class PortalContext(RunContextProvider):  # type: ignore[misc]  # MLflow has no types
    """Tags of each run of a process that trains for a run of the portal."""

    def in_context(self) -> bool:
        return bool(os.environ.get("PORTAL_RUN"))

    def tags(self) -> dict[str, str]:
        return {tag: os.environ[name] for name, tag in TAGS.items() if os.environ.get(name)}


def log_input(directory: str | Path | None = None) -> str:
    """Log the data set as an input of the active MLflow run; returns its digest, the SHA-256 of the receipt's statement.

    `directory` is the data set's, by default PORTAL_DATA. Its source is the receipt at the portal. Raises Misuse outside
    of `training-portal exec`.
    """
    import mlflow
    from mlflow.data.http_dataset_source import HTTPDatasetSource
    from mlflow.data.meta_dataset import MetaDataset

    named = directory or os.environ.get("PORTAL_DATA", "")
    url, receipt = os.environ.get("PORTAL_URL", ""), os.environ.get("PORTAL_RECEIPT", "")
    if not named or not url or not receipt:
        raise Misuse(
            "The environment does not say which data set this is.",
            "Start the training with: training-portal exec --data DIR -- …",
        )
    digest = receipts.digest_in(Path(named))
    source = HTTPDatasetSource(f"{url}/api/v1/receipts/{receipt}")
    data = MetaDataset(source, name=Path(named).name, digest=digest[:MAX_DIGEST])
    mlflow.log_input(data, context="training", tags={DIGEST_TAG: digest})
    return digest
