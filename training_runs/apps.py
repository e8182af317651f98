import datetime as dt

from django.apps import AppConfig

# A freeze takes seconds and the sweeper comes by every 20: a run older than this waits for people.
MAX_WAIT = dt.timedelta(minutes=5)
# A verification takes seconds, of ten million members minutes.
MAX_UNVERIFIED = dt.timedelta(minutes=15)


class TrainingRunsConfig(AppConfig):
    name = "training_runs"
    verbose_name = "Training runs"

    def ready(self) -> None:
        from common.files import made_files
        from common.processes.ages import register_age
        from consent import members
        from ledger.checkpoints import signing
        from objections.ticket import exposure
        from training_runs import member_lists, proofs, withdrawn
        from training_runs.explaining import uses_of
        from training_runs.freezing import oldest_requested
        from training_runs.verifying import oldest_unverified

        register_age("oldest_requested_run", oldest_requested, limit=MAX_WAIT)
        register_age("oldest_unverified_manifest", oldest_unverified, limit=MAX_UNVERIFIED)
        exposure.register(uses_of)
        signing.also_sign(proofs.sign_trees)
        made_files.register(member_lists.MemberList())
        made_files.register(withdrawn.WithdrawnSet())
        members.on_erasure(member_lists.end_lists_with)
