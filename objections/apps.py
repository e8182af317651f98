from django.apps import AppConfig


class ObjectionsConfig(AppConfig):
    name = "objections"
    verbose_name = "Objections"

    def ready(self) -> None:
        # Its panel and its part of the digest come with the import.
        from objections.acts import sent_back  # noqa: F401
