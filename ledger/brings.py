"""The entry kinds and checks of the ledger itself."""

from ledger.registry import EntryKind

KINDS = (
    EntryKind("checkpoint.key_added", "Signing key added", despite_clocks=True),
    EntryKind("checkpoint.key_retired", "Signing key retired", despite_clocks=True),
    EntryKind("clock.settled", "Clocks settled by an administrator", despite_clocks=True),
    EntryKind("reads.sealed", "Record of reads sealed", despite_clocks=True),
)
