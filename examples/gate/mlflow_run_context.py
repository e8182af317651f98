"""An MLflow run context: every run of a process gets the portal's run and delivery as tags, without a line in user code.

Declare it as an entry point of the group `mlflow.run_context_provider`. The environment says which run it is:
TRAINING_PORTAL_RUN, TRAINING_PORTAL_DELIVERY and TRAINING_PORTAL_DIGEST.
"""

import os

try:
    from mlflow.tracking.context.abstract_context import RunContextProvider
except ImportError:  # so that it can be read and tested without MLflow

    class RunContextProvider:  # type: ignore[no-redef]
        pass


NAMES = {
    "TRAINING_PORTAL_RUN": "training_portal.run",
    "TRAINING_PORTAL_DELIVERY": "training_portal.delivery",
    # MLflow takes 36 characters of a data set's digest: the whole one is a tag.
    "TRAINING_PORTAL_DIGEST": "training_portal.sha256",
}


class TrainingPortalContext(RunContextProvider):
    def in_context(self) -> bool:
        """Whether this process trains for a run of the portal."""
        return bool(os.environ.get("TRAINING_PORTAL_RUN"))

    def tags(self) -> dict[str, str]:
        """The tags of each run."""
        return {tag: os.environ[name] for name, tag in NAMES.items() if os.environ.get(name)}
