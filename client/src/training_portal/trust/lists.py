"""A list of accounts against what the ledger and the archive say: bytes, numbers, and from when on content counts."""

import datetime as dt
from array import array
from collections.abc import Sequence
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

from pyroaring import BitMap

from training_portal.errors import Misuse, NotVerified
from training_portal.permission import ListFile
from training_portal.trust.sealed import SealedFile

_BLOCK = 1 << 20
_COLUMNS = {"member_number": "uint32", "account_ref": "string", "use_from": "date32[day]"}


def check_digest(path: Path, sealed: SealedFile) -> None:
    """Raises NotVerified unless the file has the bytes that were sealed."""
    digest, size = sha256(), 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            size += len(block)
    if (digest.hexdigest(), size) != (sealed.sha256, sealed.bytes):
        raise NotVerified(f"{sealed.name} is not the file that the ledger seals.")


def check_lists(
    files: Sequence[ListFile],
    delivered: BitMap,
    cohorts: Sequence[tuple[dt.date, BitMap]],
) -> None:
    """Raises NotVerified unless the files have the delivered members, each once, in order, with their days.

    That the account of each number is the right one says the digest, which the ledger seals.
    """
    parquet = _parquet()
    for one, after in pairwise(files):
        if one.last >= after.first:
            raise NotVerified(f"{after.name} does not come after {one.name}.")
    found, dated = BitMap(), {day: BitMap() for day, _ in cohorts}
    rows = 0
    for one in files:
        with parquet.ParquetFile(one.path, page_checksum_verification=True) as table:
            columns = {field.name: str(field.type) for field in table.schema_arrow}
            if columns != _COLUMNS:
                raise NotVerified(f"{one.name} does not have the columns of a list.")
            here = 0
            for batch in table.iter_batches(columns=["member_number", "use_from"]):
                numbers = batch.column(0)
                if numbers.null_count:
                    raise NotVerified(f"{one.name} has a row without a member number.")
                here += len(numbers)
                found |= _set_of(numbers)
                _take_days(batch, dated, one.name)
        if here != one.rows:
            raise NotVerified(f"{one.name} has {here} rows, and the ledger seals {one.rows}.")
        rows += here
    if rows != len(found):
        raise NotVerified("A member is in the lists twice.")
    if found != delivered:
        raise NotVerified("The members in the lists are not those of the archive.")
    if any(dated[day] != members for day, members in cohorts):
        raise NotVerified("The lists have other days for the use of content than the archive.")


def _take_days(batch: Any, dated: dict[dt.date, BitMap], name: str) -> None:
    from pyarrow import compute

    days = batch.column(1)
    if days.null_count == len(days):
        return
    kept = batch.filter(compute.is_valid(days))
    for day in kept.column(1).unique().to_pylist():
        if day not in dated:
            raise NotVerified(f"{name} has a day that the archive does not have.")
        its = kept.filter(compute.equal(kept.column(1), day))
        dated[day] |= _set_of(its.column(0))


def _set_of(numbers: Any) -> BitMap:
    """The numbers of an Arrow array of uint32 without nulls; NumPy may be missing."""
    _, values = numbers.buffers()
    copied = array("I")
    copied.frombytes(values[4 * numbers.offset : 4 * (numbers.offset + len(numbers))])
    return BitMap(copied)


def _parquet() -> Any:
    try:
        from pyarrow import parquet
    except ImportError:
        raise Misuse(
            "Lists of accounts are Parquet, and PyArrow is not installed.",
            "Install training-portal[prepare], or ask for the form `set` where the data has member numbers.",
        ) from None
    return parquet
