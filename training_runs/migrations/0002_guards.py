from django.db import migrations

from portal.append_only import Guard


class Migration(migrations.Migration):
    dependencies = [("training_runs", "0001_initial"), ("portal", "0002_first_rows_and_guards")]

    operations = [
        Guard("HistoricalRun", "Manifest", "Verification", "Finding", "Canary"),
        Guard("Run", guard="undeletable"),
    ]
