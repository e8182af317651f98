"""Files of members: CSV, NDJSON or Parquet, packed or not, as chunks of rows with their line numbers.

A line without the four values is left out and named in its chunk's rejects; what the values mean is
`consent.imports.importing`'s to say. A file that cannot be read (further) raises ImportStopped.
"""

import csv
import gzip
import hashlib
import os
import zlib
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BufferedReader, StringIO
from itertools import chain, islice
from operator import itemgetter
from pathlib import Path
from typing import Any

import pyarrow
from pyarrow import parquet

from common.text import strict_json
from ledger.errors import Refusal

DAY_COLUMNS = ("adult_on", "birth_date")
AGE_COLUMN = "adult_at"
"""The age that a date of majority is for. A column that may be missing, and goes with `adult_on` only."""
_BLOCK = 1 << 20


class ImportStopped(Refusal):
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
    """A piece of the file: line numbers, and account_ref, country, day, status and, if there is one, age as they stand there."""

    lines: Sequence[int]
    rows: Sequence[tuple[str, ...]]
    rejects: list[Reject] = field(default_factory=list)
    estimate: int | None = None
    """How many lines the whole file has, as far as can be told."""


@dataclass
class MemberFile:
    chunks: Iterator[Chunk]
    day_column: str
    ignored_columns: list[str] = field(default_factory=list)
    rows: int | None = None
    """How many rows it says that it has; None where only reading tells."""


@contextmanager
def opened(
    path: Path, batch_size: int, *, sha256: str = "", rows: int | None = None
) -> Iterator[MemberFile]:
    """The file's chunks. Whatever is wrong with the file is ImportStopped.

    `sha256` (hexadecimal, of the file as it is stored, packed or not) and `rows` (those of the data, without
    the header and empty lines) are what the sender says: both are compared before the first chunk is given out.
    Text is read twice for the number of its rows.
    """
    read = _reader_for(path)
    try:
        before = path.stat()
        if path.is_dir():
            raise ImportStopped("This is a directory; name one file.")
        if not path.is_file():
            raise ImportStopped("This is no ordinary file; name one.")
        with path.open("rb") as raw:
            if before.st_size == 0:
                raise ImportStopped("The file is empty.")
            if sha256:
                _compare_digest(raw, sha256)
            if rows is not None:
                _compare_rows(read(_progress(path, raw), batch_size), rows)
            yield read(_progress(path, raw), batch_size)
            after = os.fstat(raw.fileno())
        if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            raise ImportStopped("The file was changed while it was read: import it again.")
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ImportStopped("The gzip file is damaged or was cut off: send it again.") from error
    except OSError as error:
        raise ImportStopped(f"The file cannot be read: {error.strerror or 'damaged'}.") from error


def _reader_for(path: Path) -> "Callable[[_Progress, int], MemberFile]":
    if "\0" in str(path):
        raise ImportStopped("A file name has no NUL character.")
    name = path.name.lower()
    kind = name.removesuffix(".gz").rpartition(".")[2]
    if kind == "parquet" and not name.endswith(".gz"):
        return _read_parquet
    read = {"csv": _read_csv, "ndjson": _read_ndjson, "jsonl": _read_ndjson}.get(kind)
    if read is None:
        raise ImportStopped("A file is .csv, .csv.gz, .ndjson, .ndjson.gz or .parquet.")
    return read


def _compare_digest(raw: BufferedReader, expected: str) -> None:
    found = hashlib.file_digest(raw, "sha256").hexdigest()
    if found != expected.lower():
        raise ImportStopped(
            f"The file's SHA-256 is {found}, and {expected.lower()} was expected: it is another file, or"
            " was damaged on its way."
        )


def _compare_rows(file: "MemberFile", expected: int) -> None:
    found = file.rows
    if found is None:
        found = sum(len(chunk.rows) + len(chunk.rejects) for chunk in file.chunks)
    if found != expected:
        raise ImportStopped(
            f"The file has {found:,} rows, and {expected:,} were expected: it is another file, or not"
            " whole."
        )


def _progress(path: Path, raw: BufferedReader) -> "_Progress":
    raw.seek(0)
    is_packed = path.name.lower().endswith(".gz")
    stream = gzip.GzipFile(fileobj=raw) if is_packed else raw
    return _Progress(raw, stream, os.fstat(raw.fileno()).st_size)


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
                _refuse_other_kinds(block)
                block = block.removeprefix(BOM_UTF8)
            rest += block
            whole, rest = rest[: (cut := rest.rfind(b"\n") + 1)], rest[cut:]
            if len(rest) > _BLOCK:
                advice = _CR_ALONE if b"\r" in rest else "This is no such file."
                raise ImportStopped(
                    f"Line {line + whole.count(LF) + 1}, byte {_BLOCK + 1}: a line is longer than 1 MiB."
                    f" {advice}"
                )
            yield from _decoded(whole, line)
            line += whole.count(LF)
        yield from _decoded(rest, line)

    def again(self, first: int, last: int) -> Iterator[tuple[int, str]]:
        """Some lines once more, with their numbers."""
        self.stream.seek(0)
        return islice(enumerate(self.text(), 1), first - 1, last)


LF = b"\n"
_CR_ALONE = "A line ends with LF or CRLF, never with CR alone: save the file with such ends."
_OTHER_KINDS = {
    b"\x1f\x8b": "this is a gzip file: name it .gz",
    b"PK\x03\x04": "this is a zip file or a spreadsheet: save the table as CSV in UTF-8",
    b"\xd0\xcf\x11\xe0": "this is a spreadsheet: save the table as CSV in UTF-8",
    b"PAR1": "this is a Parquet file: name it .parquet",
    b"PARE": "this is an encrypted Parquet file: send it decrypted",
    b"\xff\xfe": "this is UTF-16 or UTF-32. Save the file as UTF-8",
    b"\xfe\xff": "this is UTF-16 or UTF-32. Save the file as UTF-8",
}


def _refuse_other_kinds(block: bytes) -> None:
    for signature, sentence in _OTHER_KINDS.items():
        if block.startswith(signature):
            raise ImportStopped(f"Line 1, byte 1: {sentence}.")
    if b"\x00" in block[:20]:
        raise ImportStopped("Line 1, byte 1: this is UTF-16 or UTF-32. Save the file as UTF-8.")


def _decoded(block: bytes, line: int) -> Iterable[str]:
    try:
        return StringIO(block.decode("utf-8"), newline="\n")
    except UnicodeDecodeError as error:
        before = block[: error.start]
        line += before.count(LF) + 1
        byte = error.start - before.rfind(LF)
        raise ImportStopped(
            f"Line {line}, byte {byte}: this is not UTF-8. Save the file as UTF-8."
        ) from error


def _wanted(names: Sequence[str], what: str) -> tuple[list[str], list[str]]:
    """The columns to read, in our order, and the others. Does not repeat names it does not know: a
    file without a header begins with personal data."""
    if repeated := sorted(
        name for name, times in Counter(names).items()
        if times > 1 and name in ("account_ref", "country", "status", AGE_COLUMN, *DAY_COLUMNS)
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
    if AGE_COLUMN in names and days[0] == "adult_on":
        wanted.append(AGE_COLUMN)
    return wanted, [name for name in names if name not in wanted]


def _read_csv(file: _Progress, batch_size: int) -> MemberFile:
    reader = csv.reader(file.text(), strict=True)
    try:
        first = next(reader, [])
    except csv.Error as error:
        raise _csv_fault(file, 1, reader.line_num, error) from error
    header = [name.strip().lower() for name in first]
    wanted, ignored = _wanted(header, "The first line (columns separated by commas)")
    return MemberFile(_csv_chunks(reader, header, wanted, file, batch_size), wanted[2], ignored)


def _csv_chunks(
    reader: Any, header: list[str], wanted: list[str], file: _Progress, batch_size: int
) -> Iterator[Chunk]:
    pick = itemgetter(*(header.index(name) for name in wanted))
    read = 0
    while True:
        before = reader.line_num
        rows: list[list[str]] = []
        try:
            rows.extend(islice(reader, batch_size))
        except csv.Error as error:
            # The rows before the fault are there: the faulty one begins after them.
            begins = before + 1 + sum(1 + _line_feeds(row) for row in rows)
            raise _csv_fault(file, begins, reader.line_num, error) from error
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


def _csv_fault(file: _Progress, first: int, last: int, error: csv.Error) -> ImportStopped:
    """The place of a fault in the row that begins at line `first`: Python names none."""
    state, opened_at = "begin", (first, 1)
    for line, text in file.again(first, last):
        for place, letter in enumerate(text):
            at = (line, len(text[:place].encode()) + 1) if letter in '"\r' else None
            if state == "cr" and letter != "\n":
                return _not_csv(*opened_at, _CR_ALONE)
            if state == "quote" and letter not in '",\r\n':
                byte = len(text[:place].encode()) + 1
                return _not_csv(
                    line, byte, "A comma must follow the quotation mark that ends a value."
                )
            if at and letter == '"' and state in ("begin", "quoted", "quote"):
                if state == "begin":
                    opened_at = at
                state = {"begin": "quoted", "quoted": "quote", "quote": "quoted"}[state]
            elif at and letter == "\r" and state != "quoted":
                state, opened_at = "cr", at
            elif state != "quoted":
                state = "begin" if letter in ",\n" else "plain"
    if state in ("quoted", "quote") and "limit" not in str(error):
        return _not_csv(*opened_at, "This quotation mark begins a value that never ends.")
    return _not_csv(
        first, 1, f"A value of this row has more than {csv.field_size_limit():,} characters."
    )


def _not_csv(line: int, byte: int, sentence: str) -> ImportStopped:
    return ImportStopped(f"Line {line}, byte {byte}: this is not CSV. {sentence}")


def _line_feeds(row: list[str]) -> int:
    return sum(value.count("\n") for value in row)


def _first_lines(rows: list[list[str]], line: int) -> Iterator[int]:
    """The line on which each row begins, when values run over several lines."""
    for row in rows:
        yield line
        line += 1 + _line_feeds(row)


def _read_ndjson(file: _Progress, batch_size: int) -> MemberFile:
    lines = enumerate(file.text(), 1)
    line, first = next(((line, text) for line, text in lines if text.strip()), (1, ""))
    try:
        found = strict_json.read(first)
    except strict_json.NotJson as error:
        raise ImportStopped(
            f"Line {line} is not a JSON object. Byte {error.byte or 1}: {error}"
        ) from error
    if type(found) is not dict:
        raise ImportStopped(
            f"Line {line} is not a JSON object. Byte 1: it begins with something else."
        )
    wanted, ignored = _wanted(list(found), "The first object")
    return MemberFile(
        _ndjson_chunks(chain([(line, first)], lines), wanted, file, batch_size), wanted[2], ignored
    )


def _ndjson_chunks(
    numbered: Iterator[tuple[int, str]], wanted: list[str], file: _Progress, batch_size: int
) -> Iterator[Chunk]:
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


def _object_values(text: str, wanted: list[str]) -> tuple[str, ...]:
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
        elif name == AGE_COLUMN and type(value) is int:
            value = f"{value}"
        elif type(value) is not str:
            raise Wrong(name, "", "a text or null")
        values.append(value)
    return tuple(values)


def _read_parquet(file: _Progress, batch_size: int) -> MemberFile:
    if file.raw.peek(4)[:4] == b"PARE":
        raise ImportStopped("This is an encrypted Parquet file: send it decrypted.")
    with _parquet_faults("The Parquet file is damaged or not Parquet"):
        # Where the writer made checksums, each page of the columns read must have its own.
        table = parquet.ParquetFile(file.raw, page_checksum_verification=True)
        schema, rows = table.schema_arrow, table.metadata.num_rows
        names = list(schema.names)
    wanted, ignored = _wanted(names, "The Parquet schema")
    for name in wanted:
        with _parquet_faults(f"The Parquet column {name} is damaged"):
            kind = schema.field(name).type
            if pyarrow.types.is_dictionary(kind):
                kind = kind.value_type
            shown = str(kind)[:100]
        is_day = name in DAY_COLUMNS and pyarrow.types.is_date(kind)
        is_age = name == AGE_COLUMN and pyarrow.types.is_integer(kind)
        if not (is_day or is_age or any(is_text(kind) for is_text in _TEXTS)):
            raise ImportStopped(
                f"The column {name} is of type {shown}: it must be text"
                f"{' or a date' if name in DAY_COLUMNS else ''}{' or a whole number' if name == AGE_COLUMN else ''}."
            )
    return MemberFile(
        _parquet_chunks(table, rows, wanted, batch_size), wanted[2], ignored, rows=rows
    )


_TEXTS = (
    pyarrow.types.is_string,
    pyarrow.types.is_large_string,
    pyarrow.types.is_string_view,
    pyarrow.types.is_null,
)


@contextmanager
def _parquet_faults(sentence: str) -> Iterator[None]:
    """Turn the many errors that pyarrow raises for a damaged file into one refusal."""
    try:
        yield
    except ImportStopped:
        raise
    except Exception as error:
        if "CRC" in str(error):
            sentence += ": a page does not have its checksum. Send it again"
        raise ImportStopped(f"{sentence}.") from error


def _parquet_chunks(
    table: parquet.ParquetFile, rows: int, wanted: list[str], batch_size: int
) -> Iterator[Chunk]:
    line = 1
    with _parquet_faults("The Parquet file is damaged"):
        batches = table.iter_batches(batch_size, columns=wanted)
    while True:
        with _parquet_faults(f"From row {line:,} on the Parquet file is damaged"):
            batch = next(batches, None)
            if batch is None:
                break
            columns = [_texts(batch.column(name), name, line) for name in wanted]
            read = list(zip(*columns, strict=True))
        yield Chunk(range(line, line + len(read)), read, estimate=rows)
        line += len(read)
    if line - 1 != rows:
        raise ImportStopped(
            f"The Parquet file says {rows:,} rows and has {line - 1:,}: it is damaged."
        )


def _texts(column: Any, name: str, line: int) -> list[str]:
    """A column's values as texts; null is nothing. Raises ImportStopped for text that is not UTF-8."""
    try:
        column.validate(full=True)
        return column.cast(pyarrow.string()).fill_null("").to_pylist()
    except (UnicodeDecodeError, pyarrow.ArrowInvalid) as error:
        for place, value in enumerate(column):
            try:
                value.as_py()
            except UnicodeDecodeError:
                raise ImportStopped(
                    f"Row {line + place:,}, column {name}: this is not UTF-8. Save texts as UTF-8."
                ) from error
        raise
