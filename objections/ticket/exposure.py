"""Which runs used a member's data. The runs know; the desk must ask without knowing them.

`training_runs` declares the answer (`common.registry.Brings.hooks`).
"""

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass

from common import registry
from consent.models import Member
from ledger.errors import LedgerError
from objections.choices import Effect
from objections.models import Objection


@dataclass(frozen=True)
class Use:
    """A run whose frozen manifest has the member in it."""

    run: str
    purpose: str
    frozen_at: dt.datetime
    cut: int
    """The ledger size its manifest counts."""


def objected_purposes(member: Member) -> set[str]:
    """The purposes that the member is out of by an objection: one that is examined, or was upheld."""
    rows = Objection.objects.filter(member=member, effect__in=[Effect.RESTRICTING, Effect.UPHELD])
    return set(rows.values_list("purpose", flat=True))


def uses_of(
    number: int, purposes: Collection[str], *, since: dt.datetime | None = None
) -> list[Use]:
    """Every run that used the member's data. Raises LedgerError when no source is registered."""
    sources = registry.hooks("objections.uses_of_member")
    if not sources:
        raise LedgerError(
            "No source of the runs' members is registered: an incident could be missed."
        )
    return [use for source in sources for use in source(number, purposes, since)]
