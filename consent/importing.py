"""Members in, from a file: CSV, NDJSON or Parquet, in batches of one ledger entry each.

The file is read, checked and sealed one batch ahead, in a second thread, while the database writes the
batch before. A line that cannot be understood is left out and reported; a file that cannot be read
stops the import between two batches. Running the same file again continues where the last run stopped.
"""

import datetime as dt
import gc
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from pyroaring import BitMap

from consent import countries, member_files, members
from consent.choices import Status
from consent.member_files import ImportStopped, MemberFile, Reject, Wrong
from consent.members import Facts, Known, Sealed
from consent.models import AccountReference, Member
from portal import bulk, ledger

BATCH_SIZE = 20_000
"""Lines in one ledger entry: its lock keeps decisions waiting for half a second."""

EARLIEST_BIRTH = dt.date(1900, 1, 1)
AGE_OF_MAJORITY = 18
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_CLOSED = Status.CLOSED.value
_STATUS = {"open": Status.OPEN.value, "closed": _CLOSED, "": Status.UNKNOWN.value}
_KEPT_READINGS = 200_000


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
class _Batch:
    """A chunk, understood."""

    read: int
    lines: list[int]
    sealed: list[Sealed]
    facts: list[Facts]
    rejects: list[Reject]
    estimate: int | None


def import_members(
    *,
    path: Path,
    actor: ledger.Actor,
    batch_size: int = BATCH_SIZE,
    sha256: str = "",
    rows: int | None = None,
    dry_run: bool = False,
    on_reject: Callable[[Reject], None] = lambda reject: None,
    on_progress: Callable[[Summary, int | None], None] = lambda summary, estimate: None,
) -> Summary:
    """Create and change members as the file says; one ledger entry `members.imported` per batch.

    An account that comes twice with other facts keeps the first: the later line is rejected, so that the
    result depends neither on the batch size nor on how often the file is imported. A dry run counts the
    same and writes nothing (it remembers hashes of every account: about 100 MB a million).
    `sha256` and `rows` are what the sender says of the file: another one is refused before anything is written.
    `on_progress` hears the counts so far and an estimate of all lines after each batch. Raises ImportStopped.
    """
    summary = Summary()
    writer = (_DryWriter if dry_run else _Writer)(actor=actor)
    try:
        with (
            _no_collecting(),
            member_files.opened(path, batch_size, sha256=sha256, rows=rows) as file,
        ):
            summary.ignored_columns = file.ignored_columns
            for batch in _ahead(_understood(file)):
                plan = writer.write(batch)
                plan.add_to(summary)
                rejects = batch.rejects + plan.rejects
                summary.read += batch.read
                for reject in sorted(rejects, key=lambda reject: reject.line):
                    on_reject(reject)
                summary.rejected += len(rejects)
                on_progress(summary, batch.estimate)
    except ImportStopped as stop:
        raise ImportStopped(f"{stop} {_what_stays(summary, dry_run)}") from stop.__cause__
    if not dry_run:
        bulk.vacuum(Member, Member.history.model, AccountReference)
    return summary


@contextmanager
def _no_collecting() -> Iterator[None]:
    """Without Python's search for cycles: an import makes no cycles, but tuples enough to start a search
    ten times a batch, which took two fifths of its processor time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


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
        self.unstored: dict[int, object] = {}  # what a dry run has heard, by hashes

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
        references = [one.account_ref for one in batch.sealed]
        known = members.known(references)
        erased = members.suppressed([ref for ref in references if ref not in known])
        said = dict(zip(references, map(self.remembered, batch.facts), strict=True))
        if not (known or erased or self.unstored) and len(said) == len(references):
            # A first import: nobody was spoken of before.
            return _Plan(new=batch.sealed, new_facts=batch.facts), said, known
        plan, said = _Plan(), {}
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

    def write(self, batch: _Batch) -> _Plan:
        plan, said, _ = self.plan(batch)
        self.unstored.update((hash(ref), facts) for ref, facts in said.items())
        return plan

    def said_in_earlier_batch(self, ref: str, before: Known | None) -> object | None:
        return self.unstored.get(hash(ref))

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


def _understood(file: MemberFile) -> Iterator[_Batch]:
    """Chunks as batches: every line checked, every reference sealed."""
    country_of = _Readings(_country)
    day_of = _Readings(_Days(file.day_column))
    status_of = _Readings(_status)
    make = tuple.__new__  # a third of the time of Facts(...)
    for chunk in file.chunks:
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
                    raise Wrong(*_BAD_REFERENCE)
                facts = make(Facts, (*country_of[country], day_of[day], status_of[status]))
            except Wrong as wrong:
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
        raise Wrong("country", given, "an ISO 3166-1 code of two letters")
    code, kept = countries.normalise(given), given.strip()[:20]
    return code, "" if kept.upper() == code else kept


def _status(given: str) -> str:
    word = _STATUS.get(given.strip().lower())
    if word is None:
        raise Wrong("status", given, "open or closed (erasing has a command of its own)")
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
            raise Wrong(self.column, given, "a day as YYYY-MM-DD, or nothing")
        if not self.earliest <= day <= self.latest:
            raise Wrong(self.column, given, f"a day from {self.earliest} to {self.latest}")
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
