from django.db import migrations

from consent.references import key_of


def fill(apps, schema_editor):
    rows = apps.get_model("consent", "AccountReference").objects
    changed = []
    for row in rows.iterator(2_000):
        row.account_key = key_of(row.account_ref)
        changed.append(row)
    rows.bulk_update(changed, ["account_key"], batch_size=500)
    members = apps.get_model("consent", "Member").objects
    told = members.exclude(status="unknown", country="", adult_on=None)
    rows.filter(member__in=told.values("pk")).update(is_confirmed=True)
    apps.get_model("consent", "Census").objects.filter(pk=1).update(
        erasures=members.filter(status="erased").count(), live_references=rows.count()
    )


class Migration(migrations.Migration):
    dependencies = [("consent", "0005_reference_keys")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
