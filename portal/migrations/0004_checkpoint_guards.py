from django.db import migrations

from portal.append_only import Guard


class Migration(migrations.Migration):
    dependencies = [("portal", "0003_checkpoints_and_read_batches")]

    operations = [
        Guard("ReadBatch", "Checkpoint", "CheckpointDelivery", "LedgerTile", "LedgerCheck"),
    ]
