"""The manifest's archive: a line naming the format, a canonical header, then the sets (docs/reference/manifest-format.md).

Same content, same bytes. Everything needed to read and check it travels inside.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pyroaring import BitMap

from training_runs.errors import ManifestDamaged
from training_runs.manifests import container

MAGIC = b"training-manifest/1\n"
INCLUDED = "included"
COHORT = "from:"
"""The beginning of the name of a cohort's part; the day follows."""


def build(
    facts: Mapping[str, Any],
    population: int,
    included: BitMap,
    excluded: Mapping[str, BitMap],
    cohorts: Mapping[dt.date, BitMap] | None = None,
) -> tuple[dict[str, Any], bytes]:
    """The header and the archive's bytes. `facts` are the header's fields other than counts and parts."""
    by_day = {f"{COHORT}{day}": members for day, members in sorted((cohorts or {}).items())}
    return container.pack(
        MAGIC, {**facts, "population": population}, {INCLUDED: included, **excluded, **by_day}
    )


@dataclass(frozen=True)
class Archive:
    """A parsed archive; every part was checked against its digest."""

    header: dict[str, Any]
    included: BitMap
    excluded: dict[str, BitMap]
    cohorts: dict[dt.date, BitMap]
    """The included members whose content may be used from a day on only, by that day."""

    def reasons(self, number: int) -> list[str]:
        """The codes that leave a member out; empty when the member is in."""
        return [code for code, members in self.excluded.items() if number in members]

    def use_from(self, number: int) -> dt.date | None:
        """The oldest content of a member that may be used; None for any."""
        return next((day for day, members in self.cohorts.items() if number in members), None)


def parse(data: bytes) -> Archive:
    """Raises ManifestDamaged for anything but an undamaged archive."""
    header, sets = container.unpack(MAGIC, data)
    if INCLUDED not in sets:
        raise ManifestDamaged("The archive is damaged: it has no part of the included.")
    included = sets.pop(INCLUDED)
    named = {name: sets.pop(name) for name in list(sets) if name.startswith(COHORT)}
    return Archive(header, included, sets, cohorts_in(named, included))


def cohorts_in(named: Mapping[str, BitMap], included: BitMap) -> dict[dt.date, BitMap]:
    """The cohorts by their day, given their parts by name. Raises ManifestDamaged."""
    found: dict[dt.date, BitMap] = {}
    placed = BitMap()
    for name, members in named.items():
        try:
            day = dt.date.fromisoformat(name.removeprefix(COHORT))
        except ValueError as error:
            raise ManifestDamaged("The archive is damaged: a cohort has no day.") from error
        if not members <= included or not members.isdisjoint(placed):
            raise ManifestDamaged("The archive is damaged: a cohort is not of the included alone.")
        placed |= members
        found[day] = members
    return found
