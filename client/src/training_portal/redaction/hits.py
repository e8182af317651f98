"""The findings of a redaction, in counts."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Hits:
    """Counts of a redaction, which add up over columns and files. They hold no value of a person.

    >>> (Hits({"email": 2}) + Hits({"email": 1, "phone": 1})).by_kind
    {'email': 3, 'phone': 1}
    """

    by_kind: dict[str, int] = field(default_factory=dict)
    """Counts of replaced items, by kind."""
    by_entry: dict[int, int] = field(default_factory=dict)
    """Counts of found values of the redaction list, by the number of the entry."""
    rows: int = 0
    """Texts that were changed."""

    def __add__(self, other: "Hits") -> "Hits":
        return Hits(
            dict(sorted((Counter(self.by_kind) + Counter(other.by_kind)).items())),
            dict(sorted((Counter(self.by_entry) + Counter(other.by_entry)).items())),
            self.rows + other.rows,
        )

    def for_receipt(self) -> dict[str, Any]:
        """The fields `hits_by_kind` and `hits_by_entry` of a receipt's `redaction`."""
        return {
            "hits_by_kind": dict(sorted(self.by_kind.items())),
            "hits_by_entry": {
                str(number): count for number, count in sorted(self.by_entry.items())
            },
        }
