from django.db import migrations

from portal.append_only import Guard


class Migration(migrations.Migration):
    dependencies = [("portal", "0011_clock_steps")]

    operations = [Guard("ClockStep", "ClockSettlement")]
