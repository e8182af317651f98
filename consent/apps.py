from django.apps import AppConfig


class ConsentConfig(AppConfig):
    name = "consent"
    verbose_name = "Members, choices, rules"

    def ready(self) -> None:
        from consent import sent_back  # noqa: F401  its part of the start page comes with the import
