from django.db import migrations, models

from consent.guards import UNTIL_ERASED
from portal.append_only import Guard


class Migration(migrations.Migration):
    dependencies = [("consent", "0006_fill_reference_keys")]

    operations = [
        migrations.AddIndex(
            "accountreference",
            models.Index(
                condition=models.Q(is_confirmed=False),
                fields=["member"],
                name="reference_of_no_file",
            ),
        ),
        migrations.AddConstraint(
            "accountreference",
            models.UniqueConstraint(fields=["account_key"], name="account_key_of_one_member"),
        ),
        Guard("AccountReference", guard=UNTIL_ERASED),
    ]
