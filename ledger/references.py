"""Public references: TR-2026-000012. Taken under the ledger's lock, so they have no gaps and no doubles."""

from typing import Any

from ledger import open_entry

_IN_ORDER = 999_999
"""So far references sort as text; the next one has a digit more and comes before them."""


def next_reference(prefix: str, year: int, model: Any) -> str:
    """The next free reference of that year. Needs an open entry: its lock is what makes it unique."""
    open_entry.current()
    start = f"{prefix}-{year}-"
    last = (
        model.objects.filter(reference__startswith=start)
        .order_by("-reference")
        .values_list("reference", flat=True)
        .first()
    )
    number = int(last.removeprefix(start)) if last else 0
    if number >= _IN_ORDER:
        number = _last_taken(start, number, model)
    return f"{start}{number + 1:06d}"


def _last_taken(start: str, taken: int, model: Any) -> int:
    """The last number of a year, given one that is taken: there are no gaps, so it is found by halving."""

    def is_taken(number: int) -> bool:
        found: bool = model.objects.filter(reference=f"{start}{number:06d}").exists()
        return found

    step = 1
    while is_taken(taken + step):
        taken, step = taken + step, step * 2
    while step > 1:
        step //= 2
        if is_taken(taken + step):
            taken += step
    return taken
