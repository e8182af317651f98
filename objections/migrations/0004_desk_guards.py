from django.db import migrations

from portal.append_only import Guard


class Migration(migrations.Migration):
    """Guards for the desk's tables, and once more for those that 0003 rebuilt on SQLite."""

    dependencies = [("objections", "0003_the_desk")]

    operations = [
        Guard(
            "HistoricalTicket",
            "HistoricalObjection",
            "HistoricalLetter",
            "Proposal",
            "Approval",
            "Incident",
            "LetterTemplate",
        ),
        Guard("Ticket", "Objection", "Letter", guard="undeletable"),
    ]
