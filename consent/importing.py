"""Members in, from a file: CSV, NDJSON or Parquet, in batches of one ledger entry each.

The file is read, checked and sealed one batch ahead, in a second thread, while the database writes the
batch before. A line that cannot be understood is left out and reported; a file that cannot be read
stops the import between two batches. Running the same file again continues where the last run stopped.
"""

import csv
import datetime as dt
import gzip
import json
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BufferedReader, StringIO
from itertools import chain, islice
from operator import itemgetter
from pathlib import Path
from typing import Any, cast

import pyarrow
from pyarrow import parquet
from pyroaring import BitMap

from consent import countries, members
from consent.choices import Status
from consent.members import Facts, Known, Sealed
from consent.models import AccountReference, Member
from portal import bulk, ledger
from portal.errors import PortalError

BATCH_SIZE = 20_000
"""Lines in one ledger entry: its lock keeps decisions waiting for a fifth of a second."""

DAY_COLUMNS = ("adult_on", "birth_date")
EARLIEST_BIRTH = dt.date(1900, 1, 1)
AGE_OF_MAJORITY = 18
_BLOCK = 1 << 20
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_CLOSED = Status.CLOSED.value
_STATUS = {"open": Status.OPEN.value, "closed": _CLOSED, "": Status.UNKNOWN.value}
_KEPT_READINGS = 200_000


class ImportStopped(PortalError):
    """The file cannot be read (further). What was imported before stays; the message says how much."""

    code = "import_stopped"
    status = 400


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
class Summary:
    """What an import did, in lines of the file."""

    read: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    repeated: int = 0
    """The same account with the same facts once more in this file."""
    erased: int = 0
    """Accounts that were erased: they stay out."""
    rejected: int = 0
    incomplete: int = 0
    """Imported with country, age or status unknown: out until a later import knows."""
    ignored_columns: list[str] = field(default_factory=list)


@dataclass
class _Chunk:
    """A piece of the file: line numbers, and account_ref, country, day and status as they stand there."""

    lines: Sequence[int]
    rows: Sequence[tuple[str, str, str, str]]
    rejects: list[Reject] = field(default_factory=list)
    estimate: int | None = None
    """How many lines the whole file has, as far as can be told."""


@dataclass
class _Source:
    chunks: Iterator[_Chunk]
    day_column: str
    ignored_columns: list[str] = field(default_factory=list)


@dataclass
class _Batch:
    """A chunk, understood."""

    read: int
    lines: list[int]
    sealed: list[Sealed]
    facts: list[Facts]
    rejects: list[Reject]
    estimate: int | None


class _Wrong(Exception):
    """A value that cannot be understood: field, value, and what would be right."""


def import_members(
    *,
    path: Path,
    actor: ledger.Actor,
    batch_size: int = BATCH_SIZE,
    dry_run: bool = False,
    on_reject: Callable[[Reject], None] = lambda reject: None,
    on_progress: Callable[[Summary, int | None], None] = lambda summary, estimate: None,
) -> Summary:
    """Create and change members as the file says; one ledger entry `members.imported` per batch.

    An account that comes twice with other facts keeps the first: the later line is rejected, so that the
    result depends neither on the batch size nor on how often the file is imported. A dry run counts the
    same and writes nothing (it remembers hashes of every account: about 100 MB a million).
    `on_progress` hears the counts so far and an estimate of all lines after each batch. Raises ImportStopped.
    """
    summary = Summary()
    writer = (_DryWriter if dry_run else _Writer)(actor=actor)
    try:
        with _opened(path, batch_size) as source:
            summary.ignored_columns = source.ignored_columns
            for batch in _ahead(_understood(source)):
                plan = writer.write(batch)
                plan.add_to(summary)
                rejects = batch.rejects + plan.rejects
                for reject in sorted(rejects, key=lambda reject: reject.line):
                    on_reject(reject)
                summary.read += batch.read
                summary.rejected += len(rejects)
                on_progress(summary, batch.estimate)
    except ImportStopped as stop:
        raise ImportStopped(f"{stop} {_what_stays(summary, dry_run)}") from stop.__cause__
    if not dry_run:
        bulk.vacuum(Member, Member.history.model, AccountReference)
    return summary


def _what_stays(summary: Summary, dry_run: bool) -> str:
    if dry_run or not summary.read:
        return "Nothing was imported."
    return (
        f"The first {summary.read:,} lines are imported and nothing after them;"
        " run the import again with the mended file."
    )


# --- Writing ------------------------------------------------------------------------------------


@dataclass
class _Plan:
    """What a batch means for the members as they are."""

    new: list[Sealed] = field(default_factory=list)
    new_facts: list[Facts] = field(default_factory=list)
    changes: list[tuple[Known, Facts]] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    unchanged: int = 0
    repeated: int = 0
    erased: int = 0

    def add_to(self, summary: Summary) -> None:
        summary.new += len(self.new)
        summary.changed += len(self.changes)
        summary.unchanged += self.unchanged
        summary.repeated += self.repeated
        summary.erased += self.erased
        for facts in chain(self.new_facts, (facts for _, facts in self.changes)):
            summary.incomplete += not facts.complete and facts.status != _CLOSED


class _Writer:
    """Writes batches, and remembers which members the file has spoken of."""

    def __init__(self, actor: ledger.Actor) -> None:
        self.actor = actor
        self.spoken_of = BitMap()  # member numbers: dense, so a few kilobytes

    def write(self, batch: _Batch) -> _Plan:
        """Write the batch in one entry; without anything new there is no entry."""
        with ledger.entry("members.imported", actor=self.actor) as opened:
            plan, said, known = self.plan(batch)
            numbers = members.create_sealed(plan.new, plan.new_facts)
            members.change_known(plan.changes)
            if not plan.new and not plan.changes:
                opened.abandon()
        self.spoken_of.update(numbers)
        self.spoken_of.update(known[ref].number for ref in said.keys() & known.keys())
        return plan

    def plan(self, batch: _Batch) -> tuple[_Plan, dict[str, object], dict[str, Known]]:
        """The plan, what each account was said to be, and the accounts that are known."""
        known = members.known([one.account_ref for one in batch.sealed])
        erased = members.suppressed(
            [one.account_ref for one in batch.sealed if one.account_ref not in known]
        )
        plan = _Plan()
        said: dict[str, object] = {}
        for line, one, facts in zip(batch.lines, batch.sealed, batch.facts, strict=True):
            ref = one.account_ref
            before = known.get(ref)
            if ref in erased:
                plan.erased += 1
                continue
            earlier = said.get(ref) or self.said_in_earlier_batch(ref, before)
            if earlier is not None:
                if earlier == self.remembered(facts):
                    plan.repeated += 1
                else:
                    plan.rejects.append(
                        Reject(line, "account_ref", "", "an account once, or with the same facts")
                    )
                continue
            said[ref] = self.remembered(facts)
            if before is None:
                plan.new.append(one)
                plan.new_facts.append(facts)
            elif before.facts != facts:
                plan.changes.append((before, facts))
            else:
                plan.unchanged += 1
        return plan, said, known

    def said_in_earlier_batch(self, ref: str, before: Known | None) -> object | None:
        """What an earlier batch of this file said of the account: it is stored by now."""
        return before.facts if before and before.number in self.spoken_of else None

    def remembered(self, facts: Facts) -> object:
        return facts


class _DryWriter(_Writer):
    """Counts as `_Writer` does; nothing it counts is stored, so it remembers a hash of every line."""

    def __init__(self, actor: ledger.Actor) -> None:
        super().__init__(actor)
        self.said: dict[int, object] = {}

    def write(self, batch: _Batch) -> _Plan:
        plan, said, _ = self.plan(batch)
        self.said.update((hash(ref), facts) for ref, facts in said.items())
        return plan

    def said_in_earlier_batch(self, ref: str, before: Known | None) -> object | None:
        return self.said.get(hash(ref))

    def remembered(self, facts: Facts) -> object:
        return hash(facts)


# --- Understanding ------------------------------------------------------------------------------


class _Readings(dict[str, Any]):
    """What each different text means; read once, since countries, days and words repeat."""

    def __init__(self, read: Callable[[str], Any]) -> None:
        super().__init__()
        self.read = read

    def __missing__(self, given: str) -> Any:
        meaning = self.read(given)
        if len(self) < _KEPT_READINGS:
            self[given] = meaning
        return meaning


def _understood(source: _Source) -> Iterator[_Batch]:
    """Chunks as batches: every line checked, every reference sealed."""
    country_of = _Readings(_country)
    day_of = _Readings(_Days(source.day_column))
    status_of = _Readings(_status)
    make = tuple.__new__  # a third of the time of Facts(...)
    for chunk in source.chunks:
        lines, references, found = [], [], []
        rejects = chunk.rejects
        for line, (ref, country, day, status) in zip(chunk.lines, chunk.rows, strict=True):
            try:
                if (
                    not 1 <= len(ref) <= 100
                    or not ref.isprintable()
                    or ref[0] == " "
                    or ref[-1] == " "
                    or ref.startswith(members.CANARY_PREFIX)
                ):
                    raise _Wrong(*_BAD_REFERENCE)
                facts = make(Facts, (*country_of[country], day_of[day], status_of[status]))
            except _Wrong as wrong:
                rejects.append(Reject(line, *wrong.args))
            else:
                lines.append(line)
                references.append(ref)
                found.append(facts)
        yield _Batch(
            len(lines) + len(rejects),
            lines,
            members.seal_all(references),
            found,
            rejects,
            chunk.estimate,
        )


_BAD_REFERENCE = (
    "account_ref",
    "",
    f"1 to 100 printable characters, no space at either end, not beginning with {members.CANARY_PREFIX}",
)


def _country(given: str) -> tuple[str, str]:
    """The code, and what was given where that is not the code. Unknown is stored, not refused: out."""
    if not given.isprintable():
        raise _Wrong("country", given, "an ISO 3166-1 code of two letters")
    code, kept = countries.normalise(given), given.strip()[:20]
    return code, "" if kept.upper() == code else kept


def _status(given: str) -> str:
    word = _STATUS.get(given.strip().lower())
    if word is None:
        raise _Wrong("status", given, "open or closed (erasing has a command of its own)")
    return word


class _Days:
    """Reads a day of the column as the date of majority; empty is unknown. The birth date is not kept."""

    def __init__(self, column: str) -> None:
        self.column = column
        self.is_birth = column == "birth_date"
        # Somewhere it is tomorrow already.
        youngest = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=1)
        bounds = EARLIEST_BIRTH, youngest
        self.earliest, self.latest = bounds if self.is_birth else map(majority, bounds)

    def __call__(self, given: str) -> dt.date | None:
        text = given.strip()
        if not text:
            return None
        try:
            # The pattern, because fromisoformat also reads 20240229 and 2024-W09-4.
            day = dt.date.fromisoformat(text) if _DAY.fullmatch(text) else None
        except ValueError:
            day = None
        if day is None:
            raise _Wrong(self.column, given, "a day as YYYY-MM-DD, or nothing")
        if not self.earliest <= day <= self.latest:
            raise _Wrong(self.column, given, f"a day from {self.earliest} to {self.latest}")
        return majority(day) if self.is_birth else day


def majority(born_on: dt.date) -> dt.date:
    """The 18th birthday.

    >>> majority(dt.date(2008, 2, 29))
    datetime.date(2026, 3, 1)
    """
    try:
        return born_on.replace(year=born_on.year + AGE_OF_MAJORITY)
    except ValueError:
        # 29 February has no 18th birthday. Laws differ between 28 February and 1 March; the later day
        # lets no minor in.
        return dt.date(born_on.year + AGE_OF_MAJORITY, 3, 1)


def _ahead(batches: Iterator[_Batch]) -> Iterator[_Batch]:
    """The batches, each made in a second thread while the one before is written."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="import") as pool:
        coming = pool.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = pool.submit(next, batches, None)
            yield batch


# --- Reading ------------------------------------------------------------------------------------


@contextmanager
def _opened(path: Path, batch_size: int) -> Iterator[_Source]:
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


def _read_csv(file: _Progress, batch_size: int) -> _Source:
    reader = csv.reader(file.text(), strict=True)
    header = [name.strip().lower() for name in next(reader, [])]
    wanted, ignored = _wanted(header, "The first line (columns separated by commas)")
    return _Source(_csv_chunks(reader, header, wanted, file, batch_size), wanted[2], ignored)


def _csv_chunks(
    reader: Any, header: list[str], wanted: list[str], file: _Progress, batch_size: int
) -> Iterator[_Chunk]:
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
        yield _Chunk(lines, list(map(pick, rows)), rejects, file.estimate(read))


def _first_lines(rows: list[list[str]], line: int) -> Iterator[int]:
    """Where each row begins, when values run over several lines."""
    for row in rows:
        yield line
        line += 1 + sum(value.count("\n") for value in row)


def _read_ndjson(file: _Progress, batch_size: int) -> _Source:
    lines = file.text()
    first = next(lines, "")
    try:
        names = list(json.loads(first))
        if not first.lstrip().startswith("{"):
            raise ValueError("not an object")
    except ValueError as error:
        raise ImportStopped("Line 1 is not a JSON object.") from error
    wanted, ignored = _wanted(names, "The first object")
    return _Source(
        _ndjson_chunks(chain([first], lines), wanted, file, batch_size), wanted[2], ignored
    )


def _ndjson_chunks(
    text: Iterator[str], wanted: list[str], file: _Progress, batch_size: int
) -> Iterator[_Chunk]:
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
            except _Wrong as wrong:
                rejects.append(Reject(line, *wrong.args))
        read += len(rows) + len(rejects)
        yield _Chunk(lines, rows, rejects, file.estimate(read))


def _object_values(text: str, wanted: list[str]) -> tuple[str, str, str, str]:
    """The wanted values of an object; null is nothing. Raises _Wrong."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise _Wrong("", "", "a JSON object") from None
    if type(found) is not dict:
        raise _Wrong("", "", "a JSON object")
    values = []
    for name in wanted:
        if name not in found:
            raise _Wrong(name, "", "a text or null: the name is missing")
        value = found[name]
        if value is None:
            value = ""
        elif type(value) is not str:
            raise _Wrong(name, "", "a text or null")
        values.append(value)
    return cast(tuple[str, str, str, str], tuple(values))


def _read_parquet(file: _Progress, batch_size: int) -> _Source:
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
    return _Source(_parquet_chunks(table, wanted, batch_size), wanted[2], ignored)


def _parquet_chunks(
    table: parquet.ParquetFile, wanted: list[str], batch_size: int
) -> Iterator[_Chunk]:
    line = 1
    for batch in table.iter_batches(batch_size, columns=wanted):
        columns = [
            batch.column(name).cast(pyarrow.string()).fill_null("").to_pylist() for name in wanted
        ]
        rows = list(zip(*columns, strict=True))
        yield _Chunk(range(line, line + len(rows)), rows, estimate=table.metadata.num_rows)
        line += len(rows)
