from django.db import migrations

from portal.append_only import Guard


class Migration(migrations.Migration):
    dependencies = [("training_runs", "0003_members_tree")]

    operations = [
        Guard("ManifestCheckpoint"),
    ]
