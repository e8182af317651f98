from django.db import migrations

from ledger.append_only import Guard


class Migration(migrations.Migration):
    dependencies = [("training_runs", "0001_initial"), ("ledger", "0002_guards")]

    operations = [
        Guard(
            "HistoricalTeam",
            "HistoricalTeamMembership",
            "HistoricalRun",
            "Manifest",
            "Verification",
            "Finding",
            "Canary",
            "ManifestCheckpoint",
            "HistoricalIncident",
            "IncidentAssessment",
            "IncidentReview",
            "Assessment",
            "AssessmentReview",
        ),
        Guard("Team", "TeamMembership", "Run", "Incident", guard="undeletable"),
    ]
