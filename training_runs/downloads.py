"""Bodies of downloads: a part of a file, and member lists as CSV and Parquet, a page at a time."""

import csv
import hashlib
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from training_runs import archives
from training_runs.errors import ManifestDamaged

Page = list[tuple[int, str]]
BLOCK = 64 * 1024
COLUMNS = ("member_number", "account_ref")


def open_archive(digest: str) -> BinaryIO:
    """The archive as an open file, checked as a whole before anybody gets a byte. Raises ManifestDamaged."""
    try:
        file = archives.path_of(digest).open("rb")
    except OSError as error:
        raise ManifestDamaged("The archive is not in the store.") from error
    if hashlib.file_digest(file, "sha256").hexdigest() != digest:
        file.close()
        raise ManifestDamaged("The archive does not have the digest it was frozen with.")
    return file


@dataclass(frozen=True)
class Span:
    """A part of a file: from `start`, `length` bytes."""

    start: int
    length: int


class Unsatisfiable(Exception):
    """No byte of the file is in the range asked for (416)."""


def span(header: str, size: int) -> Span | None:
    """The span a Range header names; None when the whole is to be sent (RFC 9110, 14.2).

    Several ranges, other units and what is no range at all give the whole, as the RFC allows.
    """
    unit, _, ranges = header.partition("=")
    first, dash, last = ranges.strip().partition("-")
    numbers = [text for text in (first, last) if text]
    readable = all(text.isascii() and text.isdecimal() and len(text) < 19 for text in numbers)
    if unit.strip().lower() != "bytes" or not dash or not numbers or not readable:
        return None
    if not first:
        length = min(int(last), size)
        if not length:
            raise Unsatisfiable
        return Span(size - length, length)
    start = int(first)
    end = min(int(last), size - 1) if last else size - 1
    if last and int(last) < start:
        return None
    if start >= size:
        raise Unsatisfiable
    return Span(start, end - start + 1)


def blocks(file: BinaryIO, part: Span) -> Iterator[bytes]:
    """The part's bytes; closes the file."""
    with file:
        file.seek(part.start)
        left = part.length
        while left and (block := file.read(min(BLOCK, left))):
            left -= len(block)
            yield block


def csv_lines(pages: Iterable[Page]) -> Iterator[bytes]:
    """CSV with a heading, in UTF-8."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(COLUMNS)
    for page in pages:
        writer.writerows((number, as_cell(account_ref)) for number, account_ref in page)
        yield _taken(buffer)
    yield _taken(buffer)


def _taken(buffer: io.StringIO) -> bytes:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text.encode()


def as_cell(text: str) -> str:
    """Text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


class _Sink(io.RawIOBase):
    """Where the Parquet writer writes; what it wrote is taken away piece by piece."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.written = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.written

    def write(self, piece: bytes) -> int:  # type: ignore[override]  # pyarrow gives bytes-likes
        self.pieces.append(bytes(piece))
        self.written += len(piece)
        return len(piece)

    def taken(self) -> bytes:
        data, self.pieces = b"".join(self.pieces), []
        return data


def parquet_pieces(pages: Iterable[Page]) -> Iterator[bytes]:
    """Parquet, a row group for each page; the file is whole when the last piece has come."""
    schema = pa.schema([(COLUMNS[0], pa.uint32()), (COLUMNS[1], pa.string())])
    sink = _Sink()
    with pq.ParquetWriter(sink, schema) as writer:
        for page in pages:
            numbers, references = zip(*page, strict=True) if page else ((), ())
            writer.write_batch(
                pa.record_batch(
                    [pa.array(numbers, pa.uint32()), pa.array(references, pa.string())], schema
                )
            )
            yield sink.taken()
    yield sink.taken()
