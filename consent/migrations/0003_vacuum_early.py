from django.db import migrations

# An index-only scan reads the table again for every row changed since the last VACUUM: at 5 % changed
# rows a freeze takes three to seven times as long. The default waits for 20 %.
TABLES = ["consent_member", "consent_consent"]


def vacuum_early(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        for table in TABLES:
            schema_editor.execute(
                f"ALTER TABLE {table} SET (autovacuum_vacuum_scale_factor = 0.01,"
                " autovacuum_vacuum_insert_scale_factor = 0.01, autovacuum_analyze_scale_factor = 0.02)"
            )


class Migration(migrations.Migration):
    dependencies = [("consent", "0002_first_rows_and_guards")]

    operations = [migrations.RunPython(vacuum_early, migrations.RunPython.noop)]
