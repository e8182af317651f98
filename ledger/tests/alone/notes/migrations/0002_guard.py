from django.db import migrations

from ledger.append_only import Guard


class Migration(migrations.Migration):
    dependencies = [("notes", "0001_initial")]

    operations = [Guard("Note")]
