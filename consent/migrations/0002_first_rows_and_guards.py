from django.db import migrations

from portal.append_only import Guard


def create_census(apps, schema_editor):
    apps.get_model("consent", "Census").objects.create(pk=1)


class Migration(migrations.Migration):
    dependencies = [("consent", "0001_initial"), ("portal", "0002_first_rows_and_guards")]

    operations = [
        migrations.RunPython(create_census, migrations.RunPython.noop),
        Guard("HistoricalMember", "Suppression", "Notice", "RegionRule", "Review", "Decision"),
        Guard("Member", guard="undeletable"),
    ]
