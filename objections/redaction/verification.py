"""The check that entries of the redaction list and their encrypted values belong together."""

from collections.abc import Iterator

from objections.models import RedactionEntry, RedactionValues
from objections.redaction import vault
from objections.redaction.values import are_weak, counts_of


def values_are_sealed() -> Iterator[str]:
    """Open the values of every holding entry, and look for values whose entry does not hold."""
    for entry in (
        RedactionEntry.objects.holding().select_related("values").order_by("pk").iterator(1_000)
    ):
        try:
            values = vault.values_of(entry)
        except vault.ValuesNotOpened as fault:
            yield str(fault)
            continue
        if (counts_of(values), are_weak(values)) != (entry.counts, entry.is_weak):
            yield f"The counts of {entry} are not those of its values."
    lost = RedactionValues.objects.exclude(redaction__in=RedactionEntry.objects.holding())
    for row in lost.select_related("redaction").order_by("pk").iterator(1_000):
        yield f"{row.redaction} does not hold, and its values are still there."
