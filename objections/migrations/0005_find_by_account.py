from django.db import migrations, models


class Migration(migrations.Migration):
    """The account a person named is looked for by officers, and by every import for accounts that are new."""

    dependencies = [("objections", "0004_desk_guards")]

    operations = [
        migrations.AddIndex(
            model_name="requester",
            index=models.Index(fields=["account_named"], name="requester_by_account"),
        ),
    ]
