from django.db import migrations

from portal.append_only import Guard


def create_head(apps, schema_editor):
    apps.get_model("portal", "LedgerHead").objects.create(pk=1)


class Migration(migrations.Migration):
    dependencies = [("portal", "0001_initial")]

    operations = [
        migrations.RunPython(create_head, migrations.RunPython.noop),
        Guard("Entry", "AccessRecord"),
        Guard("LedgerHead", guard="undeletable"),
    ]
