from django.db import migrations

from ledger.append_only import Guard

WORDS_OF_REASONS = """
CREATE INDEX ledger_entry_words ON ledger_entry USING gin (to_tsvector('simple', reason)) WHERE reason <> ''
"""


def create_head(apps, schema_editor):
    apps.get_model("ledger", "LedgerHead").objects.create(pk=1)


def index_words(apps, schema_editor):
    """SQLite has no such index: there the reasons are read."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(WORDS_OF_REASONS)


class Migration(migrations.Migration):
    dependencies = [("ledger", "0001_initial")]

    operations = [
        migrations.RunPython(create_head, migrations.RunPython.noop),
        migrations.RunPython(index_words, migrations.RunPython.noop),
        Guard(
            "Entry",
            "AccessRecord",
            "ReadBatch",
            "Checkpoint",
            "CheckpointDelivery",
            "LedgerTile",
            "LedgerCheck",
            "ClockStep",
            "ClockSettlement",
        ),
        Guard("LedgerHead", "ReferenceCounter", guard="undeletable"),
    ]
