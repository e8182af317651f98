from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("consent", "0004_decisions_count")]

    operations = [
        migrations.RemoveConstraint("accountreference", "account_ref_of_one_member"),
        migrations.AddField(
            "accountreference",
            "account_key",
            models.CharField(
                default="",
                max_length=100,
                help_text="The canonical key (`consent.references.key_of`).",
            ),
            preserve_default=False,
        ),
        migrations.AddField(
            "accountreference",
            "is_confirmed",
            models.BooleanField(
                default=False, help_text="Whether a file of the product has named the account."
            ),
        ),
        migrations.AlterField(
            "accountreference",
            "account_ref",
            models.CharField(
                max_length=100,
                help_text="As the product's file spells it; the key until a file has confirmed the account.",
            ),
        ),
        migrations.AddField("census", "erasures", models.PositiveIntegerField(default=0)),
        migrations.AddField(
            "census",
            "live_references",
            models.IntegerField(
                default=0,
                help_text="Added to as they are written; the table's guard takes off what goes.",
            ),
        ),
        # Nullable and without a default: SQLite adds it without rebuilding the guarded table.
        migrations.AddField(
            "decision",
            "account_known",
            models.BooleanField(
                null=True,
                help_text="Whether a file of the product had named the account when this was recorded.",
            ),
        ),
    ]
