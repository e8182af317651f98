"""Known values of people: those of a member, and the redaction list that the portal lends."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from training_portal.errors import Misuse, NotVerified
from training_portal.redaction.kinds import KINDS

KINDS_OF_LISTS: Final = ("name", "handle", "email", "url")
"""Kinds of the values on the portal's list."""


@dataclass(frozen=True, slots=True)
class KnownValue:
    """One value to be replaced wherever it is written. Its text stays out of `repr`, and so out of logs."""

    kind: str
    """One of `KINDS`: it gives the replacement its name, and says in which forms the value is looked for."""
    value: str = field(repr=False)
    number: int | None = None
    """The entry that the value belongs to: hits are counted by it. Values of one person share it."""
    needs_second: bool = False
    """Whether it counts only where another value of the same entry is near: it is short, or common."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise Misuse(
                f"A known value has no kind {self.kind!r}.", f"One of: {', '.join(KINDS)}."
            )
        if self.needs_second and self.number is None:
            raise Misuse(
                "A value that needs a second one near it names no entry.",
                "Give the values of one person the same number.",
            )


@dataclass(frozen=True)
class RedactionList:
    """The redaction list, as the portal lends it to the preparation of one delivery, in memory only.

    It names people who objected. It is not written to a disk, and it ends with the lease of the delivery.
    """

    version: str
    """SHA-256 over the numbers and versions of its entries: `list_version` of a receipt."""
    entries: int
    until: str
    """The end of the loan, RFC 3339."""
    values: tuple[KnownValue, ...] = field(repr=False)

    @classmethod
    def read(cls, answer: Mapping[str, Any]) -> "RedactionList":
        """The list in the body of `POST /api/v1/deliveries/{reference}/redaction-list`.

        Raises NotVerified for a list that is not whole: a short list would look complete.
        """
        try:
            version, entries, until = answer["list_version"], answer["entries"], answer["until"]
            lines = [
                (line["kind"], line["value"], line["number"], line["needs_second"])
                for line in answer["lines"]
            ]
        except (KeyError, TypeError):
            raise _not_the_list("a field is missing") from None
        well_typed = isinstance(version, str) and isinstance(until, str) and type(entries) is int
        if not well_typed or len(version) != 64 or set(version) - set("0123456789abcdef"):
            raise _not_the_list("its version, its count or its end is not one")
        for kind, value, number, needs_second in lines:
            if kind not in KINDS_OF_LISTS:
                raise _not_the_list(f"this version of the client does not know the kind {kind!r}")
            if (
                not isinstance(value, str)
                or not value.strip()
                or type(number) is not int
                or number < 1
            ):
                raise _not_the_list("a line has no value or no number")
            if type(needs_second) is not bool:
                raise _not_the_list("a line does not say whether it needs a second value")
        found = len({line[2] for line in lines})
        if found != entries:
            raise _not_the_list(f"it says {entries:,} entries and has {found:,}")
        return cls(version, entries, until, tuple(KnownValue(*line) for line in lines))


def _not_the_list(problem: str) -> NotVerified:
    return NotVerified(
        f"The answer is not the redaction list: {problem}.",
        "Update the client, or tell the portal's people.",
    )
