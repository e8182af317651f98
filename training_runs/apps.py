import datetime as dt

from django.apps import AppConfig

# A freeze takes seconds and the sweeper comes by every 20: a run older than this waits for people.
LONGEST_WAIT = dt.timedelta(minutes=5)


class TrainingRunsConfig(AppConfig):
    name = "training_runs"
    verbose_name = "Training runs"

    def ready(self) -> None:
        from objections import exposure
        from portal import checkpoints
        from portal.health import register_age
        from training_runs import proofs
        from training_runs.services import oldest_requested, uses_of

        register_age("oldest_requested_run", oldest_requested, limit=LONGEST_WAIT)
        exposure.register(uses_of)
        checkpoints.also_sign(proofs.sign_trees)
