"""The declarations of the apps that use the ledger: kinds of entries and reads, checks, and trees to sign.

An app declares its own when it starts (`AppConfig.ready`). An entry or a read of a kind that is not declared is refused:
a misspelt code would stay in the ledger for good, and no filter or page would know it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from ledger.errors import LedgerError


@dataclass(frozen=True, slots=True)
class EntryKind:
    """A kind of entry: its stable dotted code, and what happened, in words."""

    code: str
    words: str
    despite_clocks: bool = False
    """Written even while the clocks disagree, because it only excludes. What can admit waits (`ClocksDisagree`)."""


@dataclass(frozen=True, slots=True)
class ReadKind:
    """A kind of read on record: its stable dotted code, and what was read, in words."""

    code: str
    words: str


Check = Callable[[], Iterable[str]]
"""Yields a sentence for each problem, nothing when all is well."""

entry_kinds: dict[str, EntryKind] = {}
read_kinds: dict[str, ReadKind] = {}
checks: dict[str, Check] = {}
"""The checks of `verify_ledger` beside entries and history, by name."""
trees: list[Callable[[Any, Any], object]] = []
"""Called with the signers and each new checkpoint: apps sign trees of their own with the same keys."""


def declare(*kinds: EntryKind | ReadKind) -> None:
    """Make kinds known. Raises LedgerError when a code is declared with two meanings."""
    for kind in kinds:
        known: dict[str, Any] = entry_kinds if isinstance(kind, EntryKind) else read_kinds
        if known.setdefault(kind.code, kind) != kind:
            raise LedgerError(f"The kind {kind.code} is declared twice.")


def entry_kind(code: str) -> EntryKind:
    """The declared kind of an entry. Raises LedgerError."""
    if code not in entry_kinds:
        raise LedgerError(f"No app declares entries of the kind {code!r}.")
    return entry_kinds[code]


def read_kind(code: str) -> ReadKind:
    """The declared kind of a read. Raises LedgerError."""
    if code not in read_kinds:
        raise LedgerError(f"No app declares reads of the kind {code!r}.")
    return read_kinds[code]
