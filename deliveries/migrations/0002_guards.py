from django.db import migrations

from ledger.append_only import Guard


class Migration(migrations.Migration):
    dependencies = [("deliveries", "0001_initial"), ("ledger", "0002_guards")]

    operations = [
        Guard(
            "HistoricalRecipient", "HistoricalDelivery", "DeliveryVerification", "TrainingStart", "Acknowledgement",
            "HistoricalRunnerKey", "Receipt", "DataSet", "HistoricalWaiver", "Completion",
            "AccountMapRequest", "AccountMapFile", "LineageEvent", "Handover", "RecipientTold", "HistoricalTrainedModel", "ModelRun",
        ),
        Guard(
            "Recipient", "Delivery", "RunnerKey", "Waiver", "TrainedModel", guard="undeletable"
        ),
    ]  # fmt: skip
