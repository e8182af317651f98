from django.apps import AppConfig


class AuditingConfig(AppConfig):
    name = "auditing"
    verbose_name = "Audit and proof"

    def ready(self) -> None:
        from auditing.audit_files import LedgerFile, ReadsFile
        from auditing.subjects import SUBJECTS
        from common.files import made_files
        from common.staff import subjects

        for subject in SUBJECTS:
            subjects.register(subject)
        made_files.register(LedgerFile())
        made_files.register(ReadsFile())
