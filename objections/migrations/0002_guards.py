from django.db import migrations

from portal.append_only import Guard


class Migration(migrations.Migration):
    dependencies = [("objections", "0001_initial"), ("portal", "0002_first_rows_and_guards")]

    operations = [
        Guard("HistoricalTicket", "HistoricalObjection"),
        Guard("Ticket", "Objection", guard="undeletable"),
    ]
