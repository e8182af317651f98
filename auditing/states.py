"""How something stood at an entry of the ledger, beside how it stands now: read from history, row for row."""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import models
from django.urls import reverse

from common.staff.changes import ChangedColumn, Teller, Value, in_words
from common.staff.list_forms import end_of
from consent import countries
from consent.choices import Choice, Purpose
from consent.counting import Counted
from consent.models import Decision, Member, Notice, RegionRule
from consent.rulebook import rules
from consent.rulebook.rules import Book
from ledger import entries
from ledger.errors import InvalidInput
from ledger.models import Entry
from objections.models import Objection, Ticket
from training_runs.models import Run, Verification

May = Callable[[str], bool]


def entry_numbered(sequence: int) -> Entry:
    """Raises InvalidInput where there is none."""
    entry = Entry.objects.filter(pk=sequence).first() if 0 < sequence < 2**63 else None
    if entry is None:
        raise InvalidInput(
            f"There is no entry {sequence}: the last one is {entries.read_head().size}.",
            field="entry",
        )
    return entry


def last_entry_of(day: dt.date) -> Entry:
    """The last entry recorded by the end of a day, UTC. Raises InvalidInput where there is none."""
    by_then = Entry.objects.filter(recorded_at__lt=end_of(day))
    entry = by_then.order_by("-recorded_at", "-sequence").first()
    if entry is None:
        first = Entry.objects.order_by("sequence").first()
        said = f"the first entry is of {first.recorded_at:%Y-%m-%d}" if first else "it is empty"
        raise InvalidInput(f"Nothing was in the ledger by the end of {day}: {said}.", field="day")
    return entry


@dataclass(frozen=True)
class Compared:
    """One thing as it was and as it is: a line for each fact, those that differ are marked."""

    name: str
    lines: Sequence[ChangedColumn]
    missing: str = ""
    """The sentence shown when the thing did not exist then."""

    @property
    def rows(self) -> list[tuple[ChangedColumn, bool]]:
        """Each line, and whether it is another now: those that are stand first."""
        marked = [(line, line.before.text != line.after.text) for line in self.lines]
        return sorted(marked, key=lambda row: not row[1])

    @property
    def changed(self) -> int:
        return sum(1 for _, is_other in self.rows if is_other)


@dataclass(frozen=True)
class PastState:
    subject: str
    """The subject that the record of the read names."""
    title: str
    parts: Sequence[Compared]


def _tracked(
    model: type[models.Model],
    wanted: dict[str, Any],
    upto: int,
    may: May,
    name: Callable[[Teller, Any], str] = Teller.name,
) -> list[Compared]:
    """The rows of a tracked model that history knows under `wanted`, then and now."""
    history = model.history.filter(**wanted)  # type: ignore[attr-defined]
    every = list(history.order_by("history_id"))
    # In the order of history, so that the last one stays.
    now = {row.id: row for row in every}
    then = {row.id: row for row in every if row.entry_id <= upto}
    teller = Teller(model.history.model, every, may)  # type: ignore[attr-defined]
    return [
        Compared(
            name(teller, row),
            teller.lines(then[key], row, also_same=True) if key in then else [],
            "" if key in then else f"It was not known yet at entry {upto}.",
        )
        for key, row in now.items()
    ]


def _objections(wanted: dict[str, Any], upto: int, may: May) -> list[Compared]:
    def name(teller: Teller, row: Any) -> str:
        return f"objection to {Purpose(row.purpose).label}, {teller.named('ticket', row)}"

    return _tracked(Objection, wanted, upto, may, name)


def member_then(reference: str, entry: Entry, may: May) -> PastState:
    """Facts, choices and objections of a member. Raises InvalidInput for a number that does not exist."""
    number = reference.removeprefix("member:")
    known = number.isascii() and number.isdecimal() and len(number) <= 10
    parts = _tracked(Member, {"id": int(number)}, entry.sequence, may) if known else []
    if not parts:
        raise InvalidInput(f"There is no member {number}.", field="which")
    # Of tickets that were matched later, what they did before as well.
    theirs = Objection.history.filter(member_id=int(number)).values("id")
    objections = _objections({"id__in": theirs}, entry.sequence, may)
    return PastState(
        f"member:{int(number)}",
        f"Member {int(number)}",
        [*parts, _choices(int(number), entry.sequence), *objections],
    )


def _choices(number: int, upto: int) -> Compared:
    """The choices that follow from the decisions, in the order they were received."""
    rows = list(
        Decision.objects.filter(member=number, evidence_only=False)
        .order_by("entry_id", "pk")
        .values_list(
            "purpose", "choice", "counts_at", "decided_at", "entry_id", "entry__recorded_at"
        )
    )

    def choice(purpose: str, entries: int | None) -> Value:
        chosen = None
        for of_purpose, word, at, sent, entry, received_at in rows:
            if of_purpose != purpose or (entries is not None and entry > entries):
                continue
            said = Counted(word, at, is_ahead=word == Choice.ALLOW and sent > at)
            if said.takes_over_from(chosen, received_at=received_at):
                chosen = said
        if chosen is None:
            return Value("the default: no decision is recorded")
        return Value(f"{chosen.choice}, decided {in_words(chosen.at)}")

    return Compared(
        "choices",
        [
            ChangedColumn(purpose.label, choice(purpose, upto), choice(purpose, None))
            for purpose in map(Purpose, Purpose.values)
        ],
    )


def ticket_then(reference: str, entry: Entry, may: May) -> PastState:
    """A ticket and its effect on each purpose; nothing of who wrote. Raises InvalidInput."""
    key = Ticket.objects.filter(reference=reference.upper()).values_list("pk", flat=True).first()
    if key is None:
        raise InvalidInput(f"There is no ticket {reference}.", field="which")
    parts = _tracked(Ticket, {"id": key}, entry.sequence, may)
    objections = _objections({"ticket_id": key}, entry.sequence, may)
    return PastState(reference.upper(), f"Ticket {reference.upper()}", [*parts, *objections])


def run_then(reference: str, entry: Entry, may: May) -> PastState:
    """A run and its manifest. Raises InvalidInput."""
    run = Run.objects.select_related("manifest").filter(reference=reference.upper()).first()
    if run is None:
        raise InvalidInput(f"There is no run {reference}.", field="which")
    parts = _tracked(Run, {"id": run.pk}, entry.sequence, may)
    manifest = getattr(run, "manifest", None)
    if manifest is None:
        return PastState(run.reference, f"Run {run.reference}", parts)
    verdicts = list(
        Verification.objects.filter(manifest=manifest)
        .order_by("pk")
        .values_list("entry_id", "agreement")
    )
    was_there = manifest.entry_id <= entry.sequence
    then = [word for sequence, word in verdicts if sequence <= entry.sequence]
    lines = [
        ChangedColumn(
            "archive's SHA-256", Value(manifest.digest if was_there else ""), Value(manifest.digest)
        ),
        ChangedColumn(
            "verifications",
            Value(", ".join(then)),
            Value(", ".join(word for _, word in verdicts)),
        ),
    ]
    return PastState(run.reference, f"Run {run.reference}", [*parts, Compared("manifest", lines)])


def rules_then(purpose: str, entry: Entry, day: dt.date, today: dt.date) -> PastState:
    """The rule of each country for a purpose: by what was recorded up to the entry and effective by the day."""
    then = rules.rules_in_force(purpose, day, Book.read(entry.sequence))
    now = rules.rules_in_force(purpose, today, Book.read())
    lines = [
        ChangedColumn(f"{name} ({code})", _rule(then.get(code)), _rule(now.get(code)))
        for name, code in sorted((name, code) for code, name in countries.NAMES.items())
    ]
    return PastState(
        f"rules:{purpose}",
        f"Region rules of {Purpose(purpose).label}",
        [Compared("rule in each country", lines)],
    )


def _rule(row: RegionRule | None) -> Value:
    if row is None:
        return Value("no rule, so excluded")
    address = reverse("admin:consent_regionrule_change", args=[row.pk])
    return Value(f"{row.rule} since {row.effective_from} (no. {row.pk})", address)


def notices_then(entry: Entry, day: dt.date, today: dt.date) -> PastState:
    """Which notices could be relied on."""
    then = {row.version for row in rules.notices_in_force(day, Book.read(entry.sequence))}
    book = Book.read()
    now = {row.version for row in rules.notices_in_force(today, book)}
    lines = [
        ChangedColumn(
            f"notice {row.version}",
            Value("in force" if row.version in then else "not in force", _page_of(row)),
            Value("in force" if row.version in now else "not in force"),
        )
        for row in book.notices
    ]
    return PastState("notices", "Notices", [Compared("notices that were ever approved", lines)])


def _page_of(row: Notice) -> str:
    return reverse("admin:consent_notice_change", args=[row.pk])
