from django.apps import AppConfig


class AuditingConfig(AppConfig):
    name = "auditing"
    verbose_name = "Audit and proof"

    def ready(self) -> None:
        from auditing.subjects import SUBJECTS
        from portal import subjects

        for subject in SUBJECTS:
            subjects.register(subject)
