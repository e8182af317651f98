from django.db import migrations

from consent.guards import UNTIL_ERASED
from portal.append_only import Guard


class Migration(migrations.Migration):
    dependencies = [("consent", "0008_allow_from_a_clock_ahead")]

    operations = [Guard("AccountReference", guard=UNTIL_ERASED)]
