from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("portal", "0005_entries_are_found"),
    ]

    operations = [
        migrations.CreateModel(
            name="FailedSignIns",
            fields=[
                (
                    "key",
                    models.CharField(
                        help_text="Keyed hash of account and sender.",
                        max_length=64,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("failures", models.PositiveIntegerField(default=0)),
                ("failed_at", models.DateTimeField(db_index=True)),
            ],
            options={
                "verbose_name_plural": "failed sign-ins",
            },
        ),
        # django-axes kept names and network addresses here; the portal does not use it any more.
        *(
            migrations.RunSQL(f"DROP TABLE IF EXISTS axes_{name}", migrations.RunSQL.noop)
            for name in (
                "accessattemptexpiration",
                "accessattempt",
                "accessfailurelog",
                "accesslog",
            )
        ),
    ]
