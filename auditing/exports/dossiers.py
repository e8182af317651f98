"""A member's dossier and a run's: everything the record says of one of them, on one page.

Each is a fixed number of queries, whatever there is to tell. Nothing here knows who a member or a requester is.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import BooleanField, ExpressionWrapper, OuterRef, Q, Subquery
from django.urls import reverse

from consent import countries
from consent.choices import Channel, Choice, Purpose, Status
from consent.models import MAJORITY, AgeRule, Decision, Member, Notice, RegionRule
from consent.rulebook.days import Days
from consent.rulebook.rules import Book
from ledger.models import AccessRecord, Checkpoint, Entry
from objections.choices import Effect, Outcome
from objections.models import Objection
from training_runs.choices import RunState
from training_runs.eligibility.exclusions import (
    BY_CODE,
    NOT_IN_PARENT,
    UNKNOWN_AT_CUT,
    ask,
    reasons_of,
)
from training_runs.errors import ManifestDamaged
from training_runs.incidents import access
from training_runs.manifests import roaring_lookup
from training_runs.models import Finding, Incident, Manifest, Run, Verification

MAX_ROWS = 1_000
"""Rows of one kind that a time line holds, the newest of them; the list of entries has all."""
MAX_READS = 50


@dataclass(frozen=True)
class Event:
    """Something that decided, told from the entry that recorded it."""

    entry: Entry
    what: str
    details: Sequence[str] = ()
    link: tuple[str, str] | None = None
    """(text, address) of what it is about."""


@dataclass(frozen=True)
class TimeLine:
    events: Sequence[Event]
    """The latest first."""
    is_cut: bool
    """Whether there are older ones."""


# --- A member: what decided ---------------------------------------------------------------------


def place(country: str) -> str:
    """A country in words."""
    if country == countries.UNKNOWN:
        return "not known"
    return f"{countries.name(country)} ({country})"


def _newest(rows: Any) -> tuple[list[Any], bool]:
    found = list(rows[: MAX_ROWS + 1])
    return found[:MAX_ROWS], len(found) > MAX_ROWS


def _facts(rows: Sequence[Any], *, is_cut: bool) -> Iterator[Event]:
    """Changes to the facts that the product reported about the account. `rows` are of the member's history, the latest first."""
    for row, before in zip(rows, [*rows[1:], None], strict=True):
        if before is None and is_cut:
            return
        details = [
            f"{name}: {was} → {new}" if before else f"{name}: {new}"
            for name, was, new in zip(
                ("country", "of age on", "account"), _told(before), _told(row), strict=True
            )
            if was != new
        ]
        is_erased = row.status == Status.ERASED and (before is None or before.status != row.status)
        what = "Erased" if is_erased else "Facts changed" if before else "First known"
        yield Event(row.entry, what, details or ["nothing that decides"])


def _told(row: Any) -> tuple[str, str, str]:
    if row is None:
        return "", "", ""
    age = f"{row.adult_on:%Y-%m-%d}" if row.adult_on else "not known"
    if row.adult_at != MAJORITY:
        age += f" (for the age of {row.adult_at})"
    return place(row.country), age, Status(row.status).label


def _decisions(rows: Iterable[Decision]) -> Iterator[Event]:
    for row in rows:
        details = [
            f"by {Channel(row.channel).label}, decided {row.decided_at:%Y-%m-%d %H:%M:%S} UTC"
        ]
        if row.counts_at != row.decided_at:
            details.append(f"counts as decided {row.counts_at:%Y-%m-%d %H:%M:%S} UTC")
        if row.notice_version:
            details.append(f"under the notice {row.notice_version}")
        if row.privacy_signal is not None:
            details.append(f"privacy signal: {'sent' if row.privacy_signal else 'not sent'}")
        if row.evidence_only:
            details.append("kept as evidence only: it does not change the choice")
        what = f"Decided {Choice(row.choice).label}: {Purpose(row.purpose).label}"
        yield Event(row.entry, what, details)


def _objections(rows: Sequence[Any]) -> Iterator[Event]:
    """The effects of tickets on purposes. `rows` are of objections' history, the latest first."""
    earlier: dict[int, Any] = {}
    events = []
    for row in reversed(rows):
        before = earlier.get(row.id)
        earlier[row.id] = row
        purpose = Purpose(row.purpose).label
        effect = Effect(row.effect).label
        details = []
        if before is None:
            what = f"Objection: {purpose}"
            details.append(f"effect: {effect}")
        else:
            what = f"Objection to {purpose} changed"
            if before.effect != row.effect:
                details.append(f"effect: {Effect(before.effect).label} → {effect}")
        if row.outcome != (before.outcome if before else None):
            details.append(f"outcome: {Outcome(row.outcome).label if row.outcome else 'none'}")
        if row.member_id is None:
            details.append("no account is matched yet, so no member is excluded")
        elif before is not None and before.member_id != row.member_id:
            details.append("matched to this member")
        if details:
            ticket = reverse("admin:objections_ticket_change", args=[row.ticket_id])
            events.append(Event(row.entry, what, details, (row.ticket.reference, ticket)))
    yield from reversed(events)


def _recorded(row: Any) -> tuple[Entry, list[str]]:
    """The entry from which a rule or notice counts, and who stood behind it."""
    proposed = f"recorded by {row.entry.actor_name} in entry #{row.entry_id}"
    if not row.needs_approval:
        return row.entry, [f"{proposed}; it admits no member, so it needs no approval"]
    approved = row.review.entry
    return approved, [f"{proposed}, approved by {approved.actor_name}: {approved.reason}"]


def _rules(rows: Iterable[RegionRule], lived_in: Collection[str]) -> Iterator[Event]:
    for row in rows:
        here = [place(country) for country in row.countries if country in lived_in]
        if here:
            entry, details = _recorded(row)
            yield Event(
                entry,
                f"Region rule: {Purpose(row.purpose).label} is {row.rule} in {', '.join(here)}"
                f" from {row.effective_from}",
                [*details, f"source: {row.source}"],
                (f"rule no. {row.pk}", reverse("admin:consent_regionrule_change", args=[row.pk])),
            )


def _notices(rows: Iterable[Notice], lived_in: Collection[str]) -> Iterator[Event]:
    for row in rows:
        here = [place(country) for country in row.countries if country in lived_in]
        if here:
            entry, details = _recorded(row)
            purposes = ", ".join(Purpose(one).label for one in row.purposes)
            yield Event(
                entry,
                f"Notice {row.version} in {', '.join(here)}, in force from {row.in_force_from}",
                [f"covers {', '.join(row.data_categories)} for {purposes}", *details],
                (f"notice {row.version}", reverse("admin:consent_notice_change", args=[row.pk])),
            )


def _ages(rows: Iterable[AgeRule], lived_in: Collection[str]) -> Iterator[Event]:
    for row in rows:
        here = [place(country) for country in row.countries if country in lived_in]
        if here:
            entry, details = _recorded(row)
            yield Event(
                entry,
                f"Age: {row.age} in {', '.join(here)} from {row.effective_from}",
                [*details, f"source: {row.source}"],
                (f"age no. {row.pk}", reverse("admin:consent_agerule_change", args=[row.pk])),
            )


def _time_line(member: Member, book: Book) -> TimeLine:
    facts, facts_cut = _newest(
        Member.history.filter(id=member.pk).select_related("entry").order_by("-history_id")
    )
    decisions, decisions_cut = _newest(
        Decision.objects.filter(member=member).select_related("entry").order_by("-pk")
    )
    # Of tickets that were matched later, what they did before as well.
    theirs = Objection.history.filter(member_id=member.pk).values("id")
    objections, objections_cut = _newest(
        Objection.history.filter(id__in=theirs)
        .select_related("entry", "ticket")
        .order_by("-history_id")
    )
    lived_in = {row.country for row in facts} | {member.country}
    events = [
        *_facts(facts, is_cut=facts_cut),
        *_decisions(decisions),
        *_objections(objections),
        *_rules(book.rules, lived_in),
        *_notices(book.notices, lived_in),
        *_ages(book.ages, lived_in),
    ]
    return TimeLine(
        sorted(events, key=lambda event: -event.entry.sequence),
        facts_cut or decisions_cut or objections_cut,
    )


# --- A member: in and out of runs ---------------------------------------------------------------


@dataclass(frozen=True)
class Standing:
    """In or out of a purpose now, and why."""

    purpose: str
    rule: str
    reasons: Sequence[str]


@dataclass(frozen=True)
class InRun:
    """The member in a frozen run: at that time, and if it were frozen now."""

    run: dict[str, Any]
    then: Sequence[str] | None
    """Why out, empty when in; None when the archive cannot be read."""
    now: Sequence[str]

    @property
    def state(self) -> str:
        return str(RunState(self.run["run__state"]).label)

    @property
    def is_cancelled(self) -> bool:
        return self.run["run__state"] == RunState.CANCELLED

    @property
    def purpose(self) -> str:
        return Purpose(self.run["run__purpose"]).label

    @property
    def is_other_now(self) -> bool:
        return self.then is not None and bool(self.then) != bool(self.now)


@dataclass(frozen=True)
class MemberDossier:
    member: Member
    line: TimeLine
    standings: Sequence[Standing]
    runs: Sequence[InRun]
    """Those of the page that was asked for, the latest first."""
    chosen: int
    """How many there are on all pages."""
    frozen: int
    included: int
    unreadable: int


def find_member(number: int) -> Member | None:
    return Member.objects.select_related("canary", "suppression").filter(pk=number).first()


def member_dossier(
    member: Member, *, when: Days, first: int, limit: int, only_in: bool = False
) -> MemberDossier:
    """Everything that ever decided about a member, and every run. Of the runs those from place `first` (from 0) on."""
    book = Book.read()
    line = _time_line(member, book)
    manifests = list(_manifests(member))
    included = {one["pk"]: _is_in(one["digest"], one["population"], member) for one in manifests}
    chosen = [one for one in manifests if included[one["pk"]] or not only_in]
    shown = chosen[first : first + limit]
    questions = [ask(purpose, when, [], book) for purpose in Purpose.values]
    questions += [
        ask(one["run__purpose"], when, one["run__data_categories"], book) for one in shown
    ]
    reasons = reasons_of(member, questions)
    purposes = len(Purpose.values)
    return MemberDossier(
        member=member,
        line=line,
        standings=[
            Standing(
                Purpose(question.purpose).label,
                question.ruling.rule_of.get(member.country, "no rule, so excluded"),
                [BY_CODE[code].sentence for code in codes],
            )
            for question, codes in zip(questions[:purposes], reasons[:purposes], strict=True)
        ],
        runs=[
            _in_run(one, member, codes)
            for one, codes in zip(shown, reasons[purposes:], strict=True)
        ],
        chosen=len(chosen),
        frozen=len(manifests),
        included=sum(1 for found in included.values() if found),
        unreadable=sum(1 for found in included.values() if found is None),
    )


def _manifests(member: Member) -> Any:
    """Every manifest, the latest first, with what a line about it shows."""
    incidents = access.runs_with(member.pk)
    return (
        Manifest.objects.with_agreement()
        .annotate(
            is_incident=ExpressionWrapper(
                Q(run__in=incidents), output_field=BooleanField()
            )
        )
        .order_by("-pk")
        .values(
            "pk", "digest", "population", "frozen_at", "agrees", "differs", "is_incident", "run_id",
            "run__reference", "run__purpose", "run__data_categories", "run__state",
            "run__parent__reference", "run__parent__manifest__digest",
            "run__parent__manifest__population",
        )
    )  # fmt: skip


def _is_in(digest: str, population: int, member: Member) -> bool | None:
    """Whether the archive has the member in it; None when it cannot be read."""
    if member.pk > population:
        return False
    try:
        with roaring_lookup.opened(digest) as archive:
            return archive.includes(member.pk)
    except (ManifestDamaged, OSError):
        return None


def _in_run(one: dict[str, Any], member: Member, now: Sequence[str]) -> InRun:
    then: list[str] | None
    if member.pk > one["population"]:
        then = [UNKNOWN_AT_CUT.sentence]
    else:
        try:
            with roaring_lookup.opened(one["digest"]) as archive:
                # In the wording of that time.
                words = archive.header["reasons"]
                then = [str(words[code]["sentence"]) for code in archive.reasons(member.pk)]
                if not then and not archive.includes(member.pk):
                    then = None
        except (ManifestDamaged, OSError, KeyError, TypeError):
            then = None
    sentences = [BY_CODE[code].sentence for code in now]
    if one["run__parent__reference"] and not _is_in(
        one["run__parent__manifest__digest"], one["run__parent__manifest__population"], member
    ):
        sentences.append(NOT_IN_PARENT.sentence)
    return InRun(one, then, sentences)


# --- A run --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RunDossier:
    run: Run
    manifest: Manifest | None
    entries: Sequence[Entry]
    rules: Sequence[Event]
    notices: Sequence[Event]
    verifications: Sequence[Verification]
    children: Sequence[Run]
    findings: Sequence[Finding]
    incidents: Sequence[Incident]
    reads: Sequence[AccessRecord]
    has_more_reads: bool


def find_run(key: int) -> Run | None:
    """A run with its manifest; `covered_by` and `covered_at` are of the first checkpoint that covers that."""
    covering = Checkpoint.objects.filter(size__gte=OuterRef("manifest__entry")).order_by("size")
    return (
        Run.objects.select_related("team__responsible", "parent", "manifest__checkpoint")
        .annotate(
            covered_by=Subquery(covering.values("size")[:1]),
            covered_at=Subquery(covering.values("signed_at")[:1]),
        )
        .filter(pk=key)
        .first()
    )


def run_dossier(run: Run) -> RunDossier:
    """Everything the record says of a run."""
    manifest = getattr(run, "manifest", None)
    header = manifest.header if manifest else {"region_rules": [], "notices": []}
    rules = RegionRule.objects.filter(pk__in=header["region_rules"]).order_by("pk")
    notices = Notice.objects.filter(version__in=header["notices"]).order_by("pk")
    reads = list(AccessRecord.objects.filter(subject=run.reference)[: MAX_READS + 1])
    return RunDossier(
        run=run,
        manifest=manifest,
        entries=list(Entry.objects.filter(subject=run.reference)[:MAX_ROWS]),
        rules=[
            _of_run(
                row,
                f"{Purpose(row.purpose).label} is {row.rule} in {len(row.countries)} countries"
                f" from {row.effective_from}",
            )
            for row in _with_entries(rules)
        ],
        notices=[
            _of_run(row, f"Notice {row.version}, in force from {row.in_force_from}")
            for row in _with_entries(notices)
        ],
        verifications=list(Verification.objects.filter(manifest__run=run).select_related("entry")),
        children=list(run.children.all()),
        findings=list(run.findings.all()),
        incidents=list(run.incidents.all()),
        reads=reads[:MAX_READS],
        has_more_reads=len(reads) > MAX_READS,
    )


def _with_entries(rows: Any) -> Any:
    return rows.select_related("entry", "review__entry")


def _of_run(row: Any, what: str) -> Event:
    entry, details = _recorded(row)
    page = f"admin:consent_{row._meta.model_name}_change"
    return Event(
        entry, what, [*details, f"source: {row.source}"], ("", reverse(page, args=[row.pk]))
    )
