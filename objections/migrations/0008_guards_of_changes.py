from django.db import migrations

from portal.append_only import Guard


class Migration(migrations.Migration):
    """Guards for the changes that two people make."""

    dependencies = [("objections", "0007_changes_by_two_people")]

    operations = [Guard("ProposedChange", "ChangeReview")]
