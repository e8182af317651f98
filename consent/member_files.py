"""Files of members: CSV, NDJSON or Parquet, packed or not, as chunks of rows with their line numbers.

A line without the four values is left out and named in its chunk's rejects; what the values mean is
`consent.importing`'s to say. A file that cannot be read (further) raises ImportStopped.
"""

import csv
import gzip
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BufferedReader, StringIO
from itertools import chain, islice
from operator import itemgetter
from pathlib import Path
from typing import Any, cast

import pyarrow
from pyarrow import parquet

from portal import strict_json
from portal.errors import PortalError

DAY_COLUMNS = ("adult_on", "birth_date")
_BLOCK = 1 << 20


class ImportStopped(PortalError):
    """The file cannot be read (further). What was imported before stays; the message says how much."""

    code = "import_stopped"
    status = 400


class Wrong(Exception):
    """A value that cannot be understood: field, value, and what would be right."""


@dataclass(frozen=True, slots=True)
class Reject:
    """A line that was left out. The value may be personal, so this is for the rejects file only.

    It never holds an account_ref.
    """

    line: int
    field: str
    value: str
    expected: str


@dataclass
class Chunk:
    """A piece of the file: line numbers, and account_ref, country, day and status as they stand there."""

    lines: Sequence[int]
    rows: Sequence[tuple[str, str, str, str]]
    rejects: list[Reject] = field(default_factory=list)
    estimate: int | None = None
    """How many lines the whole file has, as far as can be told."""


@dataclass
class MemberFile:
    chunks: Iterator[Chunk]
    day_column: str
    ignored_columns: list[str] = field(default_factory=list)


@contextmanager
def opened(path: Path, batch_size: int) -> Iterator[MemberFile]:
    """The file's chunks. Whatever is wrong with the file is ImportStopped."""
    kind = path.name.lower().removesuffix(".gz").rpartition(".")[2]
    is_packed = path.name.lower().endswith(".gz")
    read = {"csv": _read_csv, "ndjson": _read_ndjson, "jsonl": _read_ndjson}.get(kind)
    if kind == "parquet" and not is_packed:
        read = _read_parquet
    if read is None:
        raise ImportStopped("A file is .csv, .csv.gz, .ndjson, .ndjson.gz or .parquet.")
    if path.is_dir():
        raise ImportStopped("This is a directory; name one file.")
    try:
        with path.open("rb") as raw:
            size = path.stat().st_size
            if size == 0:
                raise ImportStopped("The file is empty.")
            stream = gzip.GzipFile(fileobj=raw) if is_packed else raw
            yield read(_Progress(raw, stream, size), batch_size)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ImportStopped("The gzip file is damaged or was cut off: send it again.") from error
    except pyarrow.ArrowException as error:
        raise ImportStopped("The Parquet file is damaged or not Parquet.") from error
    except OSError as error:
        raise ImportStopped(f"The file cannot be read: {error.strerror or 'damaged'}.") from error


@dataclass
class _Progress:
    """An open file and how far it has been read."""

    raw: BufferedReader
    stream: BufferedReader | gzip.GzipFile
    size: int

    def estimate(self, lines: int) -> int | None:
        """All lines of the file, if the rest is as the part read so far."""
        position = self.raw.tell()
        return round(lines * self.size / position) if position else None

    def text(self) -> Iterator[str]:
        """The file's lines as text, decoded a block at a time. Raises ImportStopped with line and byte."""
        rest, line = b"", 0
        while block := self.stream.read(_BLOCK):
            if not line and not rest:
                _refuse_utf16(block)
                block = block.removeprefix(b"\xef\xbb\xbf")
            rest += block
            whole, rest = rest[: (cut := rest.rfind(b"\n") + 1)], rest[cut:]
            if len(rest) > _BLOCK:
                raise ImportStopped("A line is longer than 1 MiB: this is no such file.")
            yield from _decoded(whole, line)
            line += whole.count(b"\n")
        yield from _decoded(rest, line)


def _decoded(block: bytes, line: int) -> Iterable[str]:
    try:
        return StringIO(block.decode("utf-8"), newline="\n")
    except UnicodeDecodeError as error:
        before = block[: error.start]
        line += before.count(b"\n") + 1
        byte = error.start - before.rfind(b"\n")
        raise ImportStopped(
            f"Line {line}, byte {byte}: this is not UTF-8. Save the file as UTF-8."
        ) from error


def _refuse_utf16(block: bytes) -> None:
    if block[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\x00" in block[:20]:
        raise ImportStopped("Line 1, byte 1: this is UTF-16 or UTF-32. Save the file as UTF-8.")


def _wanted(names: Sequence[str], what: str) -> tuple[list[str], list[str]]:
    """The four columns to read, in our order, and the others. Does not repeat names it does not know: a
    file without a header begins with somebody's data."""
    if repeated := sorted(
        name for name, times in Counter(names).items()
        if times > 1 and name in ("account_ref", "country", "status", *DAY_COLUMNS)
    ):  # fmt: skip
        raise ImportStopped(f"{what} names {', '.join(repeated)} more than once.")
    days = [name for name in DAY_COLUMNS if name in names]
    if len(days) == len(DAY_COLUMNS):
        raise ImportStopped(f"{what} names both adult_on and birth_date: give one of them.")
    missing = [name for name in ("account_ref", "country", "status") if name not in names]
    if not days:
        missing.append("adult_on (or birth_date)")
    if missing:
        raise ImportStopped(f"{what} does not name {', '.join(missing)}.")
    wanted = ["account_ref", "country", days[0], "status"]
    return wanted, [name for name in names if name not in wanted]


def _read_csv(file: _Progress, batch_size: int) -> MemberFile:
    reader = csv.reader(file.text(), strict=True)
    header = [name.strip().lower() for name in next(reader, [])]
    wanted, ignored = _wanted(header, "The first line (columns separated by commas)")
    return MemberFile(_csv_chunks(reader, header, wanted, file, batch_size), wanted[2], ignored)


def _csv_chunks(
    reader: Any, header: list[str], wanted: list[str], file: _Progress, batch_size: int
) -> Iterator[Chunk]:
    pick = itemgetter(*(header.index(name) for name in wanted))
    read = 0
    while True:
        before = reader.line_num
        try:
            rows = list(islice(reader, batch_size))
        except csv.Error as error:
            raise ImportStopped(f"Line {reader.line_num}: not CSV ({error}).") from error
        if not rows:
            return
        lines: Sequence[int] = range(before + 1, before + 1 + len(rows))
        if reader.line_num - before != len(rows):
            lines = list(_first_lines(rows, before + 1))
        rejects = []
        if set(map(len, rows)) != {len(header)}:
            rejects = [
                Reject(
                    line, "", f"{len(row)} values", f"{len(header)} values, as in the first line"
                )
                for line, row in zip(lines, rows, strict=True)
                if row and len(row) != len(header)
            ]
            kept = [len(row) == len(header) for row in rows]
            lines = [line for line, keep in zip(lines, kept, strict=True) if keep]
            rows = [row for row, keep in zip(rows, kept, strict=True) if keep]
        read += len(rows) + len(rejects)
        yield Chunk(lines, list(map(pick, rows)), rejects, file.estimate(read))


def _first_lines(rows: list[list[str]], line: int) -> Iterator[int]:
    """Where each row begins, when values run over several lines."""
    for row in rows:
        yield line
        line += 1 + sum(value.count("\n") for value in row)


def _read_ndjson(file: _Progress, batch_size: int) -> MemberFile:
    lines = file.text()
    first = next(lines, "")
    try:
        names = list(strict_json.read(first))
        if not first.lstrip().startswith("{"):
            raise ValueError("not an object")
    except ValueError as error:
        raise ImportStopped("Line 1 is not a JSON object.") from error
    wanted, ignored = _wanted(names, "The first object")
    return MemberFile(
        _ndjson_chunks(chain([first], lines), wanted, file, batch_size), wanted[2], ignored
    )


def _ndjson_chunks(
    text: Iterator[str], wanted: list[str], file: _Progress, batch_size: int
) -> Iterator[Chunk]:
    numbered = enumerate(text, 1)
    read = 0
    while part := list(islice(numbered, batch_size)):
        lines, rows, rejects = [], [], []
        for line, one in part:
            if not one.strip():
                continue
            try:
                rows.append(_object_values(one, wanted))
                lines.append(line)
            except Wrong as wrong:
                rejects.append(Reject(line, *wrong.args))
        read += len(rows) + len(rejects)
        yield Chunk(lines, rows, rejects, file.estimate(read))


def _object_values(text: str, wanted: list[str]) -> tuple[str, str, str, str]:
    """The wanted values of an object; null is nothing. Raises Wrong."""
    try:
        found = strict_json.read(text)
    except strict_json.NotJson as error:
        raise Wrong("", "", f"a JSON object. {error}") from None
    if type(found) is not dict:
        raise Wrong("", "", "a JSON object")
    values = []
    for name in wanted:
        if name not in found:
            raise Wrong(name, "", "a text or null: the name is missing")
        value = found[name]
        if value is None:
            value = ""
        elif type(value) is not str:
            raise Wrong(name, "", "a text or null")
        values.append(value)
    return cast(tuple[str, str, str, str], tuple(values))


def _read_parquet(file: _Progress, batch_size: int) -> MemberFile:
    table = parquet.ParquetFile(file.raw)
    wanted, ignored = _wanted(table.schema_arrow.names, "The Parquet schema")
    for name in wanted:
        kind = table.schema_arrow.field(name).type
        types = pyarrow.types
        if types.is_dictionary(kind):
            kind = kind.value_type
        is_day = name in DAY_COLUMNS and types.is_date(kind)
        if not (types.is_string(kind) or types.is_large_string(kind) or is_day):
            raise ImportStopped(
                f"The column {name} is of type {kind}: it must be text"
                f"{' or a date' if name in DAY_COLUMNS else ''}."
            )
    return MemberFile(_parquet_chunks(table, wanted, batch_size), wanted[2], ignored)


def _parquet_chunks(
    table: parquet.ParquetFile, wanted: list[str], batch_size: int
) -> Iterator[Chunk]:
    line = 1
    for batch in table.iter_batches(batch_size, columns=wanted):
        columns = [
            batch.column(name).cast(pyarrow.string()).fill_null("").to_pylist() for name in wanted
        ]
        rows = list(zip(*columns, strict=True))
        yield Chunk(range(line, line + len(rows)), rows, estimate=table.metadata.num_rows)
        line += len(rows)
