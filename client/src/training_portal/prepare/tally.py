"""Kept and dropped rows, in counts that add up over batches, files and machines."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from training_portal.prepare.members import date_of


@dataclass
class Tally:
    """Counts of a part of the data. It holds no member, and adds up."""

    rows: int = 0
    """Rows in."""
    dropped: Counter[str] = field(default_factory=Counter)
    """Rows out, by the reasons of a receipt."""
    text_bytes: int = 0
    """UTF-8 bytes of redacted columns and of other strings, as they are kept."""
    by_kind: Counter[str] = field(default_factory=Counter)
    by_entry: Counter[int] = field(default_factory=Counter)
    earliest: int | None = None
    """The day of the oldest content kept, in days since 1970-01-01."""
    latest: int | None = None

    def __iadd__(self, other: "Tally") -> "Tally":
        self.rows += other.rows
        self.dropped += other.dropped
        self.text_bytes += other.text_bytes
        self.by_kind += other.by_kind
        self.by_entry += other.by_entry
        self.saw(other.earliest, other.latest)
        return self

    @property
    def kept(self) -> int:
        return self.rows - sum(self.dropped.values())

    def saw(self, earliest: int | None, latest: int | None) -> None:
        """Content of these days was kept."""
        if earliest is not None:
            self.earliest = earliest if self.earliest is None else min(self.earliest, earliest)
        if latest is not None:
            self.latest = latest if self.latest is None else max(self.latest, latest)

    def content(self) -> dict[str, str] | None:
        """The part `content` of a receipt; None where the days are not known, or no dates."""
        if self.earliest is None or self.latest is None:
            return None
        first, last = date_of(self.earliest), date_of(self.latest)
        if first is None or last is None:
            return None
        return {"earliest": first.isoformat(), "latest": last.isoformat()}

    def as_json(self) -> dict[str, Any]:
        """For the journal of a preparation."""
        return {
            "rows": self.rows,
            "dropped": dict(self.dropped),
            "text_bytes": self.text_bytes,
            "by_kind": dict(self.by_kind),
            "by_entry": {str(number): count for number, count in self.by_entry.items()},
            "earliest": self.earliest,
            "latest": self.latest,
        }

    @classmethod
    def from_json(cls, said: dict[str, Any]) -> "Tally":
        return cls(
            said["rows"],
            Counter(said["dropped"]),
            said["text_bytes"],
            Counter(said["by_kind"]),
            Counter({int(number): count for number, count in said["by_entry"].items()}),
            said["earliest"],
            said["latest"],
        )
