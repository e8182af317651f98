from django.db import migrations, models


class Migration(migrations.Migration):
    """Columns without a default: SQLite rebuilds no table for them, so the guards stay."""

    dependencies = [("objections", "0005_find_by_account")]

    operations = [
        migrations.AddField(
            model_name="historicalletter",
            name="promised_on",
            field=models.DateField(
                help_text="The new day for our answer that an extension notice names.", null=True
            ),
        ),
        migrations.AddField(
            model_name="letter",
            name="promised_on",
            field=models.DateField(
                help_text="The new day for our answer that an extension notice names.", null=True
            ),
        ),
        migrations.AddField(
            model_name="proposal",
            name="also_versions",
            field=models.JSONField(
                help_text="The version of each of them that was seen by who proposed it.", null=True
            ),
        ),
    ]
