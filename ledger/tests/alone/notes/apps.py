from django.apps import AppConfig

from ledger import registry


class NotesConfig(AppConfig):
    name = "ledger.tests.alone.notes"
    label = "notes"

    def ready(self) -> None:
        registry.declare(registry.EntryKind("note.written", "Note written"))
        registry.declare(registry.ReadKind("note.read", "Note read"))
