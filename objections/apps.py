from django.apps import AppConfig


class ObjectionsConfig(AppConfig):
    name = "objections"
    verbose_name = "Objections"

    def ready(self) -> None:
        # The panel of what was sent back and its part of the digest come with the import.
        from ledger import registry
        from objections import acts
        from objections.acts import on_letters

        # The rest of what the app brings stands in `brings`, which can import no act.
        registry.declare(*acts.KINDS, *on_letters.KINDS)
