"""Members in, from a file: CSV, NDJSON or Parquet, in batches of one ledger entry each.

The file is read twice. A first look finds accounts that come more than once, and stops a file in which too many
accounts are new. The second time it is read, checked and sealed one batch ahead, in a second thread, while the
database writes the batch before. A line that cannot be understood is left out and reported; a file that cannot be
read stops the import between two batches. Running the same file again continues where the last run stopped.
"""

import datetime as dt
import gc
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import chain, compress, groupby
from pathlib import Path
from typing import Any, TypeVar

from django.conf import settings
from pyroaring import BitMap

from consent import countries, members
from consent.choices import Status
from consent.imports import member_files
from consent.imports.member_files import ImportStopped, MemberFile, Reject, Wrong
from consent.members import Facts, Known, Sealed
from consent.models import MAJORITY, MAX_AGE, AccountReference, Member
from consent.references import MAX_LENGTH, is_fit_for_a_file, key_of
from consent.rulebook import ages
from ledger import bulk, clock, entries, open_entry

BATCH_SIZE = 20_000
"""Lines in one ledger entry: its lock keeps decisions waiting for half a second."""

EARLIEST_BIRTH = dt.date(1900, 1, 1)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_CLOSED = Status.CLOSED.value
_STATUS = {"open": Status.OPEN.value, "closed": _CLOSED, "": Status.UNKNOWN.value}
_KEPT_READINGS = 200_000


@dataclass
class Summary:
    """The result of an import, in lines of the file."""

    read: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    repeated: int = 0
    """The same account with the same facts, spelt the same, once more in this file."""
    erased: int = 0
    """Accounts that were erased: they stay out."""
    rejected: int = 0
    incomplete: int = 0
    """Imported with country, age or status unknown: out until a later import knows."""
    ignored_columns: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    """Sentences about the file as a whole, without personal data."""


@dataclass
class _Batch:
    """A chunk, understood."""

    read: int
    lines: list[int]
    sealed: list[Sealed]
    facts: list[Facts]
    rejects: list[Reject]
    estimate: int | None

    def split(self, repeated: BitMap) -> "tuple[_Batch, _Batch]":
        """The lines of accounts that come once, and those of accounts that may come again."""
        if not repeated:
            return self, _Batch(0, [], [], [], [], None)
        again = [hash_of(one.key) in repeated for one in self.sealed]
        once = [not one for one in again]
        return (
            _Batch(self.read, *self._those(once), self.rejects, self.estimate),
            _Batch(0, *self._those(again), [], None),
        )

    def _those(self, chosen: Sequence[bool]) -> tuple[list[int], list[Sealed], list[Facts]]:
        return (
            list(compress(self.lines, chosen)),
            list(compress(self.sealed, chosen)),
            list(compress(self.facts, chosen)),
        )

    def add(self, other: "_Batch") -> None:
        self.lines += other.lines
        self.sealed += other.sealed
        self.facts += other.facts

    def pieces(self, size: int) -> "Iterator[_Batch]":
        """The lines in batches of about that size, all lines of an account in one, in the file's order."""
        rows = sorted(
            zip(self.lines, self.sealed, self.facts, strict=True), key=lambda row: row[1].key
        )
        piece: list[tuple[int, Sealed, Facts]] = []
        for _, lines_of_account in groupby(rows, key=lambda row: row[1].key):
            piece += lines_of_account
            if len(piece) >= size:
                yield _batch_of(piece)
                piece = []
        if piece:
            yield _batch_of(piece)


def _batch_of(rows: list[tuple[int, Sealed, Facts]]) -> _Batch:
    lines, sealed, facts = zip(*sorted(rows, key=lambda row: row[0]), strict=True)
    return _Batch(0, list(lines), list(sealed), list(facts), [], None)


def import_members(
    *,
    path: Path,
    actor: open_entry.Actor,
    batch_size: int = BATCH_SIZE,
    sha256: str = "",
    rows: int | None = None,
    dry_run: bool = False,
    expect_new: int | None = None,
    on_reject: Callable[[Reject], None] = lambda reject: None,
    on_progress: Callable[[Summary, int | None], None] = lambda summary, estimate: None,
) -> Summary:
    """Create and change members as the file says; one ledger entry `members.imported` per batch.

    Where the file contradicts itself the later line is rejected, and the stricter facts stand: whatever one of the
    lines keeps out stays out. So the result depends neither on the order of lines nor on the batch size. The same
    holds for a line that spells a reference otherwise than a file has before. Accounts that come more than once are
    written last, in entries of their own.

    Once MANY_KNOWN members are known, more new accounts than IMPORT_MAX_NEW_SHARE of the file stop the import before
    it writes, unless `expect_new` allows as many. A new account whose reference looks like a number that a
    spreadsheet changed is left out, unless `expect_new` is given. A dry run counts the same and writes nothing.
    `sha256` and `rows` are what the sender says of the file: another one is refused before anything is written.
    A birth date becomes the date of majority for the highest age that any row asks for in the line's country; where no
    country is known, in any. `on_progress` hears the counts so far and an estimate of all lines after each batch. Raises ImportStopped.
    """
    summary = Summary()
    # Asked here: the thread that reads ahead has no connection of its own, and must open none.
    today, highest = clock.today(), ages.highest()

    def write(batch: _Batch) -> None:
        plan = writer.write(batch)
        plan.add_to(summary)
        rejects = batch.rejects + plan.rejects
        summary.read += batch.read
        for reject in sorted(rejects, key=lambda reject: reject.line):
            on_reject(reject)
        summary.rejected += len(rejects)
        on_progress(summary, batch.estimate)

    try:
        check_references()
        with _no_collecting():
            survey = _survey(path, batch_size)
            survey.check(expect_new)
            summary.warnings = survey.warnings()
            suspects = survey.suspects if expect_new is None else BitMap()
            writer = (_DryWriter if dry_run else _Writer)(actor=actor, suspects=suspects)
            kept = _Batch(0, [], [], [], [], None)
            stopped: ImportStopped | None = None
            try:
                with member_files.opened(path, batch_size, sha256=sha256, rows=rows) as file:
                    summary.ignored_columns = file.ignored_columns
                    for batch in _ahead(_understood(file, today, highest)):
                        once, again = batch.split(survey.repeated)
                        kept.add(again)
                        write(once)
            except ImportStopped as stop:
                stopped = stop
            # Also where the file cannot be read any further: these lines stood before.
            for piece in kept.pieces(batch_size):
                write(piece)
            if stopped:
                raise stopped
    except ImportStopped as stop:
        raise ImportStopped(f"{stop} {_what_stays(summary, dry_run)}") from stop.__cause__
    if not dry_run:
        bulk.vacuum(Member, Member.history.model, AccountReference)
    return summary


def check_references() -> None:
    """Raises ImportStopped where a member has lost the reference: the file would make a new member of the account."""
    if lost := members.lost_reference():
        raise ImportStopped(f"{lost} See docs/how-to/verification-failed.md.")


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
        " run the import again with the corrected file."
    )


# --- A first look -------------------------------------------------------------------------------

MANY_KNOWN = 1_000
"""Members known from files. From then on most accounts of a file are expected to be known."""
_MAX_NAMED = 10
_EXACT_DIGITS = 15
"""Significant digits that a spreadsheet keeps of a number."""
_AS_POWER = re.compile(r"\d(\.\d+)?E\+\d+", re.ASCII)


def hash_of(key: str) -> int:
    """32 bits: a set of ten million takes 20 MB. Of two accounts with one hash both are written last, no more."""
    return hash(key) & 0xFFFFFFFF


@dataclass
class _Survey:
    """The result of a first pass over the whole file."""

    known: int = 0
    """Members that files have named before."""
    accounts: BitMap = field(default_factory=BitMap)
    """Hashes of the file's keys."""
    repeated: BitMap = field(default_factory=BitMap)
    """Hashes of keys that come more than once."""
    new: BitMap = field(default_factory=BitMap)
    """Hashes of keys that no file has named before."""
    powers: BitMap = field(default_factory=BitMap)
    """Lines with a reference as 1.23E+15 or 12.0."""
    shortened: BitMap = field(default_factory=BitMap)
    """Lines whose number is known with zeros before it."""
    rounded: BitMap = field(default_factory=BitMap)
    """Lines with a number of more than 15 digits that ends in zeros."""
    long_numbers: int = 0

    @property
    def is_rounding(self) -> bool:
        """One in ten numbers of 16 digits ends in a zero. In a file that was rounded all of them do."""
        return 2 * len(self.rounded) > self.long_numbers

    @property
    def suspects(self) -> BitMap:
        """Lines whose reference looks like a number that a spreadsheet changed."""
        return self.powers | self.shortened | (self.rounded if self.is_rounding else BitMap())

    def warnings(self) -> list[str]:
        words = [
            (self.powers, "written as a spreadsheet writes numbers (1.23E+15, 12.0)"),
            (self.shortened, "an account that is known with zeros before it"),
        ]
        if self.is_rounding:
            words.append((self.rounded, f"a number rounded to {_EXACT_DIGITS} digits"))
        return [
            f"{len(lines):,} new accounts look like {what}: {_named(lines)}."
            for lines, what in words
            if lines
        ]

    def check(self, expect_new: int | None) -> None:
        """Raises ImportStopped where more accounts are new than may be."""
        share = settings.IMPORT_MAX_NEW_SHARE
        allowed = max(int(share * len(self.accounts)), expect_new or 0)
        if self.known < MANY_KNOWN or len(self.new) <= allowed:
            return
        limit = f"at most {share:.0%} may be"
        if expect_new is not None:
            limit += f", and --expect-new allows {expect_new:,}"
        raise ImportStopped(
            " ".join(
                [
                    f"{len(self.new):,} of the file's {len(self.accounts):,} accounts are new; {limit}.",
                    *self.warnings(),
                    f"If they are new members, import with --expect-new {len(self.new)}.",
                ]
            )
        )


def _named(lines: BitMap) -> str:
    """The first of the lines, in words."""
    first = ", ".join(f"{line}" for line in lines[:_MAX_NAMED])
    more = ", …" if len(lines) > _MAX_NAMED else ""
    return f"line{'s' if len(lines) > 1 else ''} {first}{more}"


def _survey(path: Path, batch_size: int) -> _Survey:
    """Read the references of the whole file. A file that cannot be read is told when it is imported."""
    found = _Survey(known=AccountReference.objects.filter(is_confirmed=True)[:MANY_KNOWN].count())
    has_members = AccountReference.objects.exists()
    widths = _widths_with_zeros() if has_members else []
    with suppress(ImportStopped), member_files.opened(path, batch_size) as file:
        for lines, keys in _ahead(_keys(file)):
            _look_at(found, lines, keys, widths, has_members=has_members)
    return found


def _keys(file: MemberFile) -> Iterator[tuple[Sequence[int], list[str]]]:
    """Line numbers and keys, a chunk at a time."""
    for chunk in file.chunks:
        yield chunk.lines, [key_of(row[0]) for row in chunk.rows]


def _look_at(
    found: _Survey,
    lines: Sequence[int],
    keys: list[str],
    widths: Sequence[int],
    *,
    has_members: bool,
) -> None:
    hashes = list(map(hash_of, keys))
    here = BitMap(hashes)
    found.repeated |= found.accounts & here
    if len(here) != len(hashes):
        found.repeated |= BitMap(one for one, times in Counter(hashes).items() if times > 1)
    found.accounts |= here
    known = members.referred(keys) if has_members else {}
    named = {key for key, member in known.items() if member.is_confirmed}
    unknown = [(line, key) for line, key in zip(lines, keys, strict=True) if key not in named]
    erased = members.suppressed(key for _, key in unknown) if unknown else set()
    numbers = []
    for line, key in unknown:
        if key[-2:] == ".0" or "E+" in key:
            head = key[:-2]
            if _AS_POWER.fullmatch(key) or (head.isascii() and head.isdecimal()):
                found.powers.add(line)
        elif key.isdecimal() and key.isascii():
            if len(key) > _EXACT_DIGITS:
                found.long_numbers += 1
                if not key[_EXACT_DIGITS:].strip("0"):
                    found.rounded.add(line)
            numbers.append((line, key))
    if has_members:
        found.new |= BitMap(hash_of(key) for _, key in unknown if key not in erased)
        _look_for_lost_zeros(found, numbers, widths)


def _widths_with_zeros() -> list[int]:
    """How many characters known numbers have that begin with a zero; from the first thousand of them."""
    keys = (
        AccountReference.objects.filter(account_key__gte="0", account_key__lt="1")
        .order_by("account_key")
        .values_list("account_key", flat=True)
    )
    return sorted({len(key) for key in keys[:1_000] if key.isdecimal()})


def _look_for_lost_zeros(
    found: _Survey, numbers: Sequence[tuple[int, str]], widths: Sequence[int]
) -> None:
    whole = {
        key.zfill(width): line for line, key in numbers for width in widths if width > len(key)
    }
    found.shortened |= BitMap(whole[key] for key in members.referred(whole))


# --- Writing ------------------------------------------------------------------------------------


@dataclass
class _Plan:
    """The changes that a batch makes to the present members."""

    new: list[Sealed] = field(default_factory=list)
    new_facts: list[Facts] = field(default_factory=list)
    changes: list[tuple[Known, Facts]] = field(default_factory=list)
    spelt: dict[int, Sealed] = field(default_factory=dict)
    """The file's spelling of members that no file had named, by their numbers."""
    rejects: list[Reject] = field(default_factory=list)
    changed: int = 0
    """Accounts that a line of their own changes. A rejected line changes others: to stricter facts."""
    unchanged: int = 0
    repeated: int = 0
    erased: int = 0

    def add_to(self, summary: Summary) -> None:
        summary.new += len(self.new)
        summary.changed += self.changed
        summary.unchanged += self.unchanged
        summary.repeated += self.repeated
        summary.erased += self.erased
        for facts in chain(self.new_facts, (facts for _, facts in self.changes)):
            summary.incomplete += not facts.complete and facts.status != _CLOSED


class _Account:
    """The facts that a batch has about one account."""

    __slots__ = ("before", "facts", "line", "own", "said")

    def __init__(self, line: int, one: Sealed, facts: Facts, before: Known | None) -> None:
        self.line = line
        self.before = before
        self.facts = facts
        self.said = facts
        self.own: Sealed | None = one
        """The spelling that stands; None while only others have come."""
        if before and before.is_confirmed and before.account_ref != one.account_ref:
            self.own = None


class _Writer:
    """Writes batches. All lines of an account are in one."""

    def __init__(self, actor: open_entry.Actor, suspects: BitMap) -> None:
        self.actor = actor
        self.suspects = suspects
        """Lines that make no new member."""

    def write(self, batch: _Batch) -> _Plan:
        """Write the batch in one entry; without anything new there is no entry."""
        with entries.entry("members.imported", actor=self.actor) as opened:
            plan = self.plan(batch)
            members.create_sealed(plan.new, plan.new_facts)
            members.change_known(plan.changes, plan.spelt)
            if not plan.new and not plan.changes:
                opened.abandon()
        return plan

    def plan(self, batch: _Batch) -> _Plan:
        keys = [one.key for one in batch.sealed]
        known = members.known(keys)
        erased = members.suppressed([key for key in keys if key not in known])
        is_clean = not known and not erased and len(set(keys)) == len(keys)
        if is_clean and not self.suspects.intersect(BitMap(batch.lines)):
            # A first import: no member was named before.
            return _Plan(new=batch.sealed, new_facts=batch.facts)
        plan, accounts = _Plan(), dict[str, _Account]()
        for line, one, facts in zip(batch.lines, batch.sealed, batch.facts, strict=True):
            account = accounts.get(one.key)
            if account is not None:
                self.add_line(plan, account, line, one, facts)
                continue
            before = known.get(one.key)
            if one.key in erased:
                plan.erased += 1
            elif line in self.suspects and not (before and before.is_confirmed):
                plan.rejects.append(Reject(line, "account_ref", "", _NOT_A_NUMBER))
            else:
                account = accounts[one.key] = _Account(line, one, facts, before)
                if account.own is None:
                    plan.rejects.append(_spelt_otherwise(line, account))
        for account in accounts.values():
            _decide(plan, account)
        return plan

    def add_line(
        self, plan: _Plan, account: _Account, line: int, one: Sealed, facts: Facts
    ) -> None:
        """A further line of an account: it says the same, or is rejected and can only keep out."""
        is_first_own = (
            account.own is None
            and account.before is not None
            and account.before.account_ref == one.account_ref
        )
        if is_first_own:
            account.own = one
        elif account.own is None or account.own.account_ref != one.account_ref:
            plan.rejects.append(_spelt_otherwise(line, account))
        elif account.said == facts:
            plan.repeated += 1
        else:
            expected = f"{_ONCE}: line {account.line} says other facts, and the stricter ones stand"
            plan.rejects.append(Reject(line, "account_ref", "", expected))
        if is_first_own:
            account.line, account.said = line, facts
        account.facts = account.facts.stricter(facts)


_ONCE = "an account once, or with the same facts"
_NOT_A_NUMBER = (
    "the reference of the account; this looks like a number that a spreadsheet changed. If it is right, import with"
    " --expect-new"
)


def _spelt_otherwise(line: int, account: _Account) -> Reject:
    """It names the account by a line or a number of ours, never by its reference."""
    before = account.before
    whose = f"member {before.number}" if before and before.is_confirmed else f"line {account.line}"
    return Reject(
        line,
        "account_ref",
        "",
        f"the spelling that {whose} has: it is the same account, and the stricter facts stand",
    )


def _decide(plan: _Plan, account: _Account) -> None:
    before, facts = account.before, account.facts
    if before is None:
        assert account.own is not None
        plan.new.append(account.own)
        plan.new_facts.append(facts)
        return
    if account.own is None:
        # Only lines of another spelling: they can exclude members, and admit none.
        if (stricter := facts.stricter(before.facts)) != before.facts:
            plan.changes.append((before, stricter))
        return
    is_heard_of = not before.is_confirmed
    if is_heard_of:
        plan.spelt[before.number] = account.own
    if is_heard_of or facts != before.facts:
        plan.changes.append((before, facts))
        plan.changed += 1
    else:
        plan.unchanged += 1


class _DryWriter(_Writer):
    """Counts as `_Writer` does, and writes nothing."""

    def write(self, batch: _Batch) -> _Plan:
        return self.plan(batch)


# --- Understanding ------------------------------------------------------------------------------


class _Readings(dict[str, Any]):
    """The meaning of each different text; read once, since countries, days and words repeat."""

    def __init__(self, read: Callable[[str], Any]) -> None:
        super().__init__()
        self.read = read

    def __missing__(self, given: str) -> Any:
        meaning = self.read(given)
        if len(self) < _KEPT_READINGS:
            self[given] = meaning
        return meaning


def _understood(file: MemberFile, today: dt.date, highest: Mapping[str, int]) -> Iterator[_Batch]:
    """Chunks as batches: every line checked, every reference sealed.

    Runs in the second thread, so it asks the database nothing.
    """
    country_of = _Readings(_country)
    day_of = {
        age: _Readings(_Days(file.day_column, today, age)) for age in range(MAJORITY, MAX_AGE + 1)
    }
    is_birth = file.day_column == BIRTH_DATE
    age_of = _Readings(_age)
    of_nowhere = max(highest.values(), default=MAJORITY)
    status_of = _Readings(_status)
    make = tuple.__new__  # a third of the time of Facts(...)
    for chunk in file.chunks:
        lines, references, keys, found = [], [], [], []
        rejects = chunk.rejects
        for line, (ref, country, day, status, *said) in zip(chunk.lines, chunk.rows, strict=True):
            try:
                # The plainest first: nearly all references are their own keys.
                is_plain = ref.isascii() and ref.isprintable() and " " not in ref
                key = ref if is_plain else _fit_key(ref)
                if not 1 <= len(ref) <= MAX_LENGTH or key.startswith(members.CANARY_PREFIX):
                    raise Wrong(*_BAD_REFERENCE)
                place = country_of[country]
                if is_birth:
                    age = highest.get(place[0], MAJORITY) if place[0] else of_nowhere
                else:
                    age = age_of[said[0]] if said else MAJORITY
                facts = make(Facts, (*place, day_of[age][day], status_of[status], age))
            except Wrong as wrong:
                rejects.append(Reject(line, *wrong.args))
            else:
                lines.append(line)
                references.append(ref)
                keys.append(key)
                found.append(facts)
        yield _Batch(
            len(lines) + len(rejects),
            lines,
            members.seal_all(references, keys),
            found,
            rejects,
            chunk.estimate,
        )


_BAD_REFERENCE = (
    "account_ref",
    "",
    f"1 to {MAX_LENGTH} characters, no control character among them, not beginning with {members.CANARY_PREFIX}",
)


def _fit_key(account_ref: str) -> str:
    """The key. Raises Wrong where lists cannot carry the reference, or nothing is left of it to look up."""
    key = key_of(account_ref)
    if not 1 <= len(key) <= MAX_LENGTH or not is_fit_for_a_file(account_ref):
        raise Wrong(*_BAD_REFERENCE)
    return key


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


def _age(given: str) -> int:
    text = given.strip()
    if not text:
        return MAJORITY
    if not (text.isascii() and text.isdecimal() and MAJORITY <= int(text[:3]) <= MAX_AGE):
        raise Wrong("adult_at", given, f"an age from {MAJORITY} to {MAX_AGE}, or nothing")
    return int(text)


BIRTH_DATE = "birth_date"


class _Days:
    """Reads a day of the column as the date of majority for an age; empty is unknown. The birth date is not kept."""

    def __init__(self, column: str, today: dt.date, age: int) -> None:
        self.column = column
        self.age = age
        self.is_birth = column == BIRTH_DATE
        # Somewhere it is tomorrow already.
        youngest = today + dt.timedelta(days=1)
        bounds = EARLIEST_BIRTH, youngest
        self.earliest, self.latest = (
            bounds if self.is_birth else (majority(bound, age) for bound in bounds)
        )

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
        return majority(day, self.age) if self.is_birth else day


def majority(born_on: dt.date, age: int = MAJORITY) -> dt.date:
    """The birthday of an age.

    >>> majority(dt.date(2008, 2, 29))
    datetime.date(2026, 3, 1)
    """
    try:
        return born_on.replace(year=born_on.year + age)
    except ValueError:
        # 29 February has a birthday in leap years only. Laws differ between 28 February and 1 March; the later day
        # lets no minor in.
        return dt.date(born_on.year + age, 3, 1)


_Item = TypeVar("_Item")


def _ahead(items: Iterator[_Item]) -> Iterator[_Item]:
    """The items, each made in a second thread while the one before is worked on."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="import") as pool:
        coming = pool.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = pool.submit(next, items, None)
            yield item
