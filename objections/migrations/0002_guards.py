from django.db import migrations

from ledger.append_only import Guard


class Migration(migrations.Migration):
    dependencies = [("objections", "0001_initial"), ("ledger", "0002_guards")]

    operations = [
        Guard(
            "HistoricalTicket",
            "HistoricalObjection",
            "HistoricalLetter",
            "Proposal",
            "Approval",
            "ProposedChange",
            "ChangeReview",
            "LetterTemplate",
            "HistoricalRedactionEntry",
            "RedactionLoan",
            "RedactionHits",
        ),
        Guard("Ticket", "Objection", "Letter", "RedactionEntry", guard="undeletable"),
    ]
