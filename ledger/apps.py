from django.apps import AppConfig


class LedgerConfig(AppConfig):
    name = "ledger"
    verbose_name = "Ledger"

    def ready(self) -> None:
        from ledger import brings, registry
        from ledger.reads.batches import reads_are_sealed

        registry.declare(*brings.KINDS)
        registry.checks["reads are the sealed ones"] = reads_are_sealed
