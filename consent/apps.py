from django.apps import AppConfig


class ConsentConfig(AppConfig):
    name = "consent"
    verbose_name = "Members, choices, rules"

    def ready(self) -> None:
        from consent import sent_back
        from consent.verification import CHECKS
        from ledger.recomputing.verification import register

        for name, check in CHECKS.items():
            register(name, check)
        # Its part of the start page comes with the import.
        assert sent_back
