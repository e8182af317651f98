from django.db import migrations

from portal.append_only import Guard


class Migration(migrations.Migration):
    dependencies = [("auditing", "0001_initial")]

    operations = [Guard("Reveal")]
