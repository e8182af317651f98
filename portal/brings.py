"""The ledger in the admin, and what people may do there: what the roof itself brings."""

import datetime as dt

from common.identity.roles import ADMINISTRATOR, AUDITOR
from common.registry import Brings, Every, Waiting
from ledger.registry import ReadKind

# The clock signs every five minutes, and must not be later than ten.
MAX_UNSIGNED = dt.timedelta(minutes=15)

BRINGS = Brings(
    reads=[
        ReadKind("entry.listed", "List of ledger entries"),
        ReadKind("entry.read", "Page of a ledger entry"),
        ReadKind("export.accessrecord", "Record of reads, as a file"),
        ReadKind("export.entry", "List of ledger entries, as a file"),
    ],
    scopes={"health:read": "Read what `/readyz` says in detail."},
    permissions={
        AUDITOR: [
            "ledger.view_entry", "ledger.view_accessrecord", "ledger.view_checkpoint",
            "ledger.view_ledgercheck", "ledger.view_readbatch", "ledger.view_clockstep",
            "ledger.view_clocksettlement",
        ],
        ADMINISTRATOR: [
            "ledger.view_clockstep", "ledger.view_clocksettlement", "ledger.settle_clocks",
        ],
    },
    schedule={"checkpoints": Every("ledger.tasks.sign_checkpoint", "CHECKPOINT_SECONDS")},
    waiting=[
        Waiting(
            "oldest_unsigned_entry", "ledger.checkpoints.signing.oldest_unsigned", MAX_UNSIGNED
        )
    ],
)  # fmt: skip
