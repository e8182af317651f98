"""The delivered accounts as exact lists for programs: Parquet in order of the member number, checked while written."""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice, pairwise
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from pyroaring import BitMap

from consent import members
from consent.models import AccountReference, Suppression
from deliveries.errors import AccountErased, DeliveryDiffers

PAGE = 50_000
"""Members asked for at a time, and rows of a Parquet row group."""
_FETCHED = 2_000
"""Rows that are Python's at a time: what lives on is looked through by its garbage collector again and again."""
PARTITION_ABOVE = 10_000_000
"""Rows above which a list is several files."""
PARTITION_BITS = 20
"""A file of a partitioned list holds the members of 2^20 numbers."""

SCHEMA = pa.schema(
    [
        pa.field("member_number", pa.uint32(), nullable=False),
        pa.field("account_ref", pa.string(), nullable=False),
        pa.field("use_from", pa.date32()),
    ]
)
ACCOUNTS = pa.schema([SCHEMA.field("member_number"), SCHEMA.field("account_ref")])
"""The columns of an account map."""


class Page(NamedTuple):
    """Rows in order of the number, as columns."""

    numbers: list[int]
    account_refs: list[str]


def parts(delivered: BitMap) -> Iterator[tuple[str, BitMap]]:
    """The name of each file of a list, and the members in it."""
    if len(delivered) <= PARTITION_ABOVE:
        yield "members.parquet", delivered
        return
    for place in range((delivered.max() >> PARTITION_BITS) + 1):
        low = place << PARTITION_BITS
        found = delivered & BitMap(range(low, low + (1 << PARTITION_BITS)))
        if found:
            yield f"members-{place:05d}.parquet", found


def account_refs(numbers: BitMap) -> Iterator[Page]:
    """The references of members, page by page; erased members have none left.

    Every seal is opened: a reference that was changed after its entry is never given out. Raises DeliveryDiffers.
    """
    each = iter(numbers)
    while chunk := list(islice(each, PAGE)):
        rows = AccountReference.objects.filter(member__gte=chunk[0], member__lte=chunk[-1])
        if chunk[-1] - chunk[0] > 3 * len(chunk):
            rows = rows.filter(member__in=chunk)
        wanted = set(chunk)
        # Reference and seal in one statement: an import that confirms an account changes both.
        found = rows.order_by("member_id").values_list(
            "member_id", "account_ref", "account_key", "salt", "member__reference_seal"
        )
        page = Page([], [])
        for number, account_ref, *sealed in found.iterator(_FETCHED):
            if number not in wanted:
                continue
            if fault := members.fault_of_reference(number, account_ref, *sealed):
                raise DeliveryDiffers(fault)
            page.numbers.append(number)
            page.account_refs.append(account_ref)
        yield page


class Check:
    """Holds what is written against what is to be delivered: by set, by count, in order."""

    def __init__(self, expected: BitMap) -> None:
        self._expected = expected
        self._written = BitMap()
        self._last = 0
        self.rows = 0

    def passing(self, pages: Iterable[Page]) -> Iterator[Page]:
        """The pages, each checked. Raises DeliveryDiffers."""
        for page in pages:
            for before, number in pairwise([self._last, *page.numbers]):
                if number <= before:
                    raise DeliveryDiffers(f"Member {number} comes twice or out of order.")
            self._last = page.numbers[-1] if page.numbers else self._last
            self._written.update(page.numbers)
            self.rows += len(page.numbers)
            yield page

    def missing(self) -> BitMap:
        """The members that should have been written and were not. Raises DeliveryDiffers for any other difference."""
        if strangers := self._written - self._expected:
            raise DeliveryDiffers(
                f"{len(strangers):,} members of the list were not to be delivered."
            )
        missing = self._expected - self._written
        if self.rows + len(missing) != len(self._expected):
            raise DeliveryDiffers(
                f"{self.rows:,} rows were written for {len(self._expected):,} members."
            )
        return missing


def check_missing(missing: BitMap) -> None:
    """Only an erasure since the cut explains a member without a reference. Raises DeliveryDiffers, AccountErased."""
    if not missing:
        return
    numbers = list(missing[:1000]) if len(missing) > 1000 else list(missing)
    erased = Suppression.objects.filter(member__in=numbers).count()
    if erased != len(missing):
        raise DeliveryDiffers(
            f"{len(missing):,} members have no account reference, and {erased:,} of them were erased."
        )
    raise AccountErased("Accounts were erased while the list was written.")


def write(pages: Iterable[Page], to: Any, use_from: Mapping[dt.date, BitMap] | None) -> None:
    """Parquet sorted by member number, a row group for each page, every page of data with its checksum.

    Without `use_from` the column of days is left out: an account map has none.
    """
    schema = SCHEMA if use_from is not None else ACCOUNTS
    with pq.ParquetWriter(
        to,
        schema,
        compression="zstd",
        use_dictionary=False,
        column_encoding={"member_number": "DELTA_BINARY_PACKED", "account_ref": "DELTA_BYTE_ARRAY"},
        write_page_checksum=True,
        sorting_columns=[pq.SortingColumn(0)],
    ) as writer:
        for page in pages:
            columns = [
                pa.array(page.numbers, pa.uint32()),
                pa.array(page.account_refs, pa.string()),
            ]
            if use_from is not None:
                columns.append(_days(page.numbers, use_from))
            writer.write_batch(pa.record_batch(columns, schema=schema))


def _days(numbers: list[int], use_from: Mapping[dt.date, BitMap]) -> Any:
    """The column of the oldest content that may be used; most members have none."""
    here = BitMap(numbers)
    days: dict[int, dt.date] = {}
    for day, members_of_day in use_from.items():
        days.update(dict.fromkeys(members_of_day & here, day))
    if not days:
        return pa.nulls(len(numbers), pa.date32())
    return pa.array([days.get(number) for number in numbers], pa.date32())
