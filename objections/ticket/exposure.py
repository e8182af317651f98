"""Which runs used a member's data. The runs know; the desk must ask without knowing them.

`training_runs` registers the answer when it starts (see `common.processes.ages` for the same way round).
"""

import datetime as dt
from collections.abc import Callable, Collection
from dataclasses import dataclass

from ledger.errors import LedgerError


@dataclass(frozen=True)
class Use:
    """A run whose frozen manifest has the member in it."""

    run: str
    purpose: str
    frozen_at: dt.datetime
    cut: int
    """The ledger size its manifest counts."""


Source = Callable[[int, Collection[str], dt.datetime | None], list[Use]]
"""(member number, purposes, frozen since) -> uses, the latest first."""

_sources: list[Source] = []


def register(source: Source) -> None:
    _sources.append(source)


def uses_of(
    number: int, purposes: Collection[str], *, since: dt.datetime | None = None
) -> list[Use]:
    """Every run that used the member's data. Raises LedgerError when nobody can say."""
    if not _sources:
        raise LedgerError("Nobody registered what runs use: an incident could be missed.")
    return [use for source in _sources for use in source(number, purposes, since)]
