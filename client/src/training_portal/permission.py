"""The members that a run may use, after everything about them was verified."""

import datetime as dt
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Literal

from pyroaring import BitMap


@dataclass(frozen=True, slots=True)
class ListFile:
    """A file of accounts on this machine, whose digest the ledger seals."""

    path: Path
    name: str
    sha256: str
    """64 hexadecimal digits, of the whole file."""
    rows: int
    first: int
    """The first member number in it."""
    last: int


@dataclass(frozen=True, slots=True)
class Subtraction:
    """The members who were taken out of the manifest for the delivery."""

    count: int
    digest: str
    """SHA-256 of the archive's part `subtracted`."""
    cut: int
    """The ledger's size at which the delivery was cut."""


@dataclass(frozen=True, slots=True)
class Permission:
    """The members whose data a run may use, with first days and the end of the lease. Only `training_portal.trust` makes one.

    A member who is not in `members` is out: a row is used because its member is in, never because the member is not
    excluded. Raises ValueError where the parts contradict one another.
    """

    run: str
    """Reference of the run, such as TR-2026-000012."""
    delivery: str
    """Reference of the delivery, such as DL-2026-000004."""
    purpose: str
    data_categories: tuple[str, ...]
    manifest: str
    """SHA-256 of the manifest's archive."""
    archive: str
    """SHA-256 of the delivery's archive."""
    files: tuple[ListFile, ...]
    """The lists of accounts; empty for a delivery of the form `set`, or where none was fetched."""
    subtraction: Subtraction
    leased_until: dt.datetime
    """The end of the lease; aware, UTC."""
    leased_until_text: str
    """The same as the ledger seals it; a receipt repeats it to the letter."""
    as_of: dt.datetime
    """The day (UTC) whose rules apply."""
    form: Literal["list", "set"]
    members: BitMap = field(repr=False)
    """The numbers of the members who may be used: the delivered without `withdrawn`."""
    cohorts: tuple[tuple[dt.date, BitMap], ...] = field(repr=False)
    """By day: members of whom content older than the day may not be used. Most members are in none."""
    population: int
    """Every member number at the manifest's cut: the included and the excluded."""
    withdrawn: BitMap = field(default_factory=BitMap, repr=False)
    """Delivered members who have withdrawn since the delivery was cut. A list still has rows of them: join on the
    number too, or take these out."""
    withdrawn_digest: str = ""
    """The digest that acknowledges them (`POST /runs/{reference}/withdrawn/acknowledgements`)."""

    def __post_init__(self) -> None:
        if self.leased_until.tzinfo is None:
            raise ValueError("leased_until needs a time zone.")
        placed = reduce(lambda all_, one: all_ | one[1], self.cohorts, BitMap())
        if len(placed) != sum(len(members) for _, members in self.cohorts):
            raise ValueError("A member is in two cohorts.")
        if not placed <= self.members:
            raise ValueError("A cohort has a member who is not delivered.")
        if not self.members.isdisjoint(self.withdrawn):
            raise ValueError("A member who has withdrawn may not be used.")
        delivered = self.members | self.withdrawn
        if delivered and not 1 <= delivered.min() <= delivered.max() <= self.population:
            raise ValueError("Members are numbered from 1 to the population.")
        if self.files and sum(one.rows for one in self.files) != len(delivered):
            raise ValueError("The lists do not have as many rows as members were delivered.")

    @property
    def left_out_per_mille(self) -> int:
        """Of 1,000 members, those that the delivery leaves out: a join on the rows of all members drops as many."""
        if not self.population:
            return 1000
        return round(1000 * (self.population - len(self.members)) / self.population)

    def is_over(self, now: dt.datetime) -> bool:
        """Whether the lease has ended at that moment (aware)."""
        return now >= self.leased_until
