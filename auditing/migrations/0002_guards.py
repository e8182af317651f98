from django.db import migrations

from ledger.append_only import Guard


class Migration(migrations.Migration):
    dependencies = [("auditing", "0001_initial"), ("ledger", "0002_guards")]

    operations = [Guard("Reveal")]
