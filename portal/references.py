"""Public references: TR-2026-000012. Taken under the ledger's lock, so they have no gaps and no doubles."""

from typing import Any

from portal import ledger


def next_reference(prefix: str, year: int, model: Any) -> str:
    """The next free reference of that year. Needs an open entry: its lock is what makes it unique."""
    ledger.current()
    start = f"{prefix}-{year}-"
    last = (
        model.objects.filter(reference__startswith=start)
        .order_by("-reference")
        .values_list("reference", flat=True)
        .first()
    )
    number = int(last.removeprefix(start)) + 1 if last else 1
    return f"{start}{number:06d}"
