"""A data file: the same rows in the same order give the same bytes, however they came in."""

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from training_portal.prepare import disk
from training_portal.prepare.types import MEMBER_NUMBER

MAX_ROWS: Final = 65_536
"""Rows of a row group; the redactor works on as many."""
MIN_ROWS: Final = 1_024
MAX_BYTES: Final = 32 << 20
"""Bytes of a row group, as far as the rows of the raw file are alike."""
INPUT: Final = b"training_portal.input"
"""The SHA-256 of the raw file, in the metadata of its data file: two raw files never give one data file."""
RUN: Final = b"training_portal.run"
"""The run that the file is made for: a file is claimed by the receipt of one run, so those of two runs are two files."""
COLUMNS: Final = b"training_portal.columns"
"""The digest of what the columns were taken for, and of how they were redacted."""


def rows_of_a_group(row_groups: Iterable[tuple[int, int]]) -> int:
    """Rows of a row group of the output, by the rows and bytes of the raw file's row groups."""
    groups = list(row_groups)
    rows, size = sum(one[0] for one in groups), sum(one[1] for one in groups)
    fit = MAX_BYTES * rows // size if size else MAX_ROWS
    return max(MIN_ROWS, min(MAX_ROWS, fit // MIN_ROWS * MIN_ROWS))


def in_groups(batches: Iterable[Any], rows: int) -> Iterator[Any]:
    """The same rows in batches of exactly `rows` rows, the last one of what is left."""
    waiting: list[Any] = []
    count = 0
    for batch in batches:
        rest = batch
        while count + len(rest) >= rows:
            cut = rows - count
            yield pa.concat_batches([*waiting, rest.slice(0, cut)])
            rest, waiting, count = rest.slice(cut), [], 0
        if len(rest):
            waiting.append(rest)
            count += len(rest)
    if count:
        yield pa.concat_batches(waiting)


class DataFile:
    """A Parquet file that is being written aside. Nothing is at its place before `finish`."""

    def __init__(self, partial: Path) -> None:
        self._partial = partial
        self._file: disk.Hashing | None = None
        self._writer: Any = None
        self.rows = 0

    def write(self, group: Any) -> None:
        """One row group."""
        if self._writer is None:
            self._partial.parent.mkdir(parents=True, exist_ok=True)
            self._file = disk.Hashing(self._partial)
            self._writer = pq.ParquetWriter(
                self._file,
                group.schema,
                compression="snappy",
                # Text and numbers of members hardly repeat within a group; what repeats is short.
                use_dictionary=[
                    field.name
                    for field in group.schema
                    if field.name != MEMBER_NUMBER and not _is_long(group.column(field.name))
                ],
                write_page_checksum=True,
            )
        self._writer.write_table(pa.Table.from_batches([group]), row_group_size=len(group))
        self.rows += len(group)

    def finish(self, final: Path, metadata: dict[bytes, bytes]) -> tuple[str, int]:
        """Its SHA-256 and its bytes, once it is at its place for good. Only a file with rows has a place."""
        assert self._writer is not None and self._file is not None
        self._writer.add_key_value_metadata(metadata)
        self._writer.close()
        self._writer = None
        digest = self._file.sync()
        size = self._file.size
        self._file.close()
        disk.place(self._partial, final)
        return digest, size

    def abandon(self) -> None:
        """Throw away what has no place yet."""
        if self._writer is not None:
            # A writer that is left open would write its footer into a closed file, at a time of its own.
            with contextlib.suppress(OSError, pa.ArrowException):
                self._writer.close()
            self._writer = None
        if self._file is not None:
            self._file.close()
        self._partial.unlink(missing_ok=True)


def _is_long(column: Any) -> bool:
    """Whether text is long enough that equal values are rare."""
    if not pa.types.is_string(column.type) and not pa.types.is_large_string(column.type):
        return False
    return (pc.mean(pc.binary_length(column)).as_py() or 0) > 24
