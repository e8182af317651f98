from django.db import migrations, models

INDEX = """
CREATE INDEX portal_entry_words ON portal_entry USING gin (to_tsvector('simple', reason)) WHERE reason <> ''
"""


def add_words(apps, schema_editor):
    """SQLite has no such index: there the reasons are read."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(INDEX)


def remove_words(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP INDEX IF EXISTS portal_entry_words")


class Migration(migrations.Migration):
    dependencies = [("portal", "0004_checkpoint_guards")]

    operations = [
        migrations.AddIndex(
            "entry", models.Index(fields=["actor_name", "sequence"], name="entry_by_actor")
        ),
        migrations.AddIndex(
            "entry", models.Index(fields=["recorded_at", "sequence"], name="entry_by_time")
        ),
        migrations.RunPython(add_words, remove_words),
    ]
