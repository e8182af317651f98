import datetime as dt

from django.apps import AppConfig

# The clock signs every five minutes, and must not be later than ten.
MAX_UNSIGNED = dt.timedelta(minutes=15)
# A list of ten million accounts takes minutes, and may wait for another one.
MAX_FILE_WAIT = dt.timedelta(minutes=30)


class PortalConfig(AppConfig):
    name = "portal"
    verbose_name = "Portal"

    def ready(self) -> None:
        from django.contrib.auth.signals import user_logged_in
        from django.db.models.signals import post_migrate
        from django.utils.module_loading import autodiscover_modules

        from common.files.made_files import oldest_waiting
        from common.identity.roles import sync_groups
        from common.identity.sign_in import log_sign_in
        from common.processes.ages import register_age
        from ledger.checkpoints.signing import oldest_unsigned
        from ledger.reads.batches import reads_are_sealed
        from ledger.recomputing.verification import register
        from portal import checks  # noqa: F401  registering its checks is the effect

        register("reads are the sealed ones", reads_are_sealed)
        register_age("oldest_unsigned_entry", oldest_unsigned, limit=MAX_UNSIGNED)
        register_age("oldest_waiting_file", oldest_waiting, limit=MAX_FILE_WAIT)

        from common.files import made_files
        from common.staff.list_exports import ListExport

        made_files.register(ListExport())

        # SimpleAdminConfig looks for no admin modules; ours register on our own site.
        autodiscover_modules("admin")
        user_logged_in.connect(log_sign_in, dispatch_uid="common.identity.sign_in")
        post_migrate.connect(sync_groups, dispatch_uid="common.identity.roles")
