"""Members who may be used, asked for millions of rows at a time: one bit a member, and days for the few who have one."""

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyroaring import BitMap

from training_portal.permission import Permission

_BLOCK: Final = 1 << 22
"""Numbers that are unpacked at a time: 16 MB."""

Numbers = npt.NDArray[np.uint32]
Mask = npt.NDArray[np.bool_]


class Bits:
    """A set of numbers from 0 to `top`, one bit each: 125 MB for a billion."""

    def __init__(self, top: int) -> None:
        self._bytes = np.zeros(top // 8 + 1, np.uint8)
        self._top = top

    @classmethod
    def of(cls, members: BitMap, top: int) -> "Bits":
        """The bits of a set; numbers above `top` are not in it."""
        bits = cls(top)
        for start in range(0, top + 1, _BLOCK):
            end = min(start + _BLOCK, top + 1)
            block = BitMap()
            block.add_range(start, end)
            block &= members
            if block:
                unpacked = np.zeros(_BLOCK, np.bool_)
                unpacked[np.asarray(block.to_array(), np.int64) - start] = True
                packed = np.packbits(unpacked[: end - start], bitorder="little")
                bits._bytes[start // 8 : start // 8 + len(packed)] = packed
        return bits

    def has(self, numbers: Numbers) -> Mask:
        """A mask of the numbers that are in the set. A number above the top is not."""
        places = np.minimum(numbers, self._top)
        found = (self._bytes[places >> 3] >> (places & 7).astype(np.uint8)) & 1
        in_it: Mask = (found == 1) & (numbers <= self._top)
        return in_it

    def add(self, numbers: Numbers) -> None:
        """Take up numbers, none above the top."""
        marks = np.left_shift(1, numbers & 7).astype(np.uint8)
        np.bitwise_or.at(self._bytes, numbers >> 3, marks)

    def __len__(self) -> int:
        return int(np.bitwise_count(self._bytes).sum(dtype=np.int64))

    def __ior__(self, other: "Bits") -> "Bits":
        np.bitwise_or(self._bytes, other._bytes, out=self._bytes)
        return self


@dataclass(frozen=True)
class Verdict:
    """The rows that may be used, and counts of the others by reason."""

    kept: Mask
    unknown_member: int
    """Rows of a number that the manifest's population does not have."""
    excluded: int
    before_use_from: int


class Members:
    """The members of a permission, as the last word about each row: whatever joined before, a row passes here or is out."""

    def __init__(self, permission: Permission) -> None:
        self.population = permission.population
        self._bits = Bits.of(permission.members, permission.population)
        numbers: list[Any] = []
        days: list[Any] = []
        for day, members in permission.cohorts:
            numbers.append(np.asarray(members.to_array(), np.uint32))
            days.append(np.full(len(members), _day(day), np.int32))
        self._dated: Numbers = np.concatenate(numbers) if numbers else np.zeros(0, np.uint32)
        self._days = np.concatenate(days) if days else np.zeros(0, np.int32)
        order = np.argsort(self._dated, kind="stable")
        self._dated, self._days = self._dated[order], self._days[order]

    @property
    def have_days(self) -> bool:
        """Whether there are members of whom older content may not be used."""
        return len(self._dated) > 0

    def judge(self, numbers: Numbers, days: npt.NDArray[np.int64] | None) -> Verdict:
        """The verdict about rows: those that may be used, and counts of the others.

        :param numbers: the member number of each row; 0 where there is none.
        :param days: the day of each row's content, in days since 1970-01-01, `NO_DAY` where it is not known; None where no
            column says it, and then no row of a member who has a day may be used.
        """
        kept = self._bits.has(numbers)
        strange = int(np.count_nonzero((numbers < 1) | (numbers > self.population)))
        excluded = len(numbers) - int(np.count_nonzero(kept)) - strange
        too_old = 0
        if self.have_days:
            early = kept & self._is_early(numbers, days)
            too_old = int(np.count_nonzero(early))
            kept &= ~early
        return Verdict(kept, strange, excluded, too_old)

    def has(self, numbers: Numbers) -> Mask:
        """A mask of the numbers of members who may be used, whatever the day."""
        return self._bits.has(numbers)

    def first_days(self, numbers: Numbers) -> npt.NDArray[np.int64]:
        """The first day of each member's content, in days since 1970-01-01; NO_DAY where there is none."""
        found = np.full(len(numbers), NO_DAY, np.int64)
        if self.have_days:
            places = np.searchsorted(self._dated, numbers)
            places[places == len(self._dated)] = 0
            is_dated = self._dated[places] == numbers
            found[is_dated] = self._days[places[is_dated]]
        return found

    def _is_early(self, numbers: Numbers, days: npt.NDArray[np.int64] | None) -> Mask:
        first = self.first_days(numbers)
        # NO_DAY is below every day: content of unknown age is too old, and no content is before NO_DAY.
        early: Mask = first != NO_DAY if days is None else days < first
        return early


NO_DAY: Final = -(2**62)
_EPOCH: Final = dt.date(1970, 1, 1)
_PER_DAY: Final = {"s": 86_400, "ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}


def days_of(column: Any) -> npt.NDArray[np.int64]:
    """The UTC day of each value of a date32 or timestamp column, in days since 1970-01-01; NO_DAY for nulls."""
    kind = column.type
    values = pc.fill_null(column.cast(pa.int32() if pa.types.is_date32(kind) else pa.int64()), 0)
    days: npt.NDArray[np.int64] = values.to_numpy(zero_copy_only=False).astype(np.int64)
    if pa.types.is_timestamp(kind):
        days //= _PER_DAY[kind.unit]
    if column.null_count:
        days[pc.is_null(column).to_numpy(zero_copy_only=False)] = NO_DAY
    return days


def date_of(day: int) -> dt.date | None:
    """The date of a day since 1970-01-01; None beyond what a date can be."""
    try:
        return _EPOCH + dt.timedelta(days=day)
    except OverflowError:
        return None


def numbers_of(column: Any) -> Numbers:
    """The values of a column of integers as member numbers; 0 for nulls and for what no number of a member can be."""
    values = pc.fill_null(column, 0).to_numpy(zero_copy_only=False)
    can_be = (values >= 1) & (values <= 2**31 - 1)
    numbers: Numbers = np.where(can_be, values, 0).astype(np.uint32)
    return numbers


def _day(day: dt.date) -> int:
    return (day - _EPOCH).days
