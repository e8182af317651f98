"""The second way: a manifest derived from history alone.

Nothing here reads current state, and nothing is shared with `eligibility` but the words of its reasons and
the archive's format. It reads ledger entries, history rows and decisions up to the cut, a row at a time,
and must arrive at the same bytes.
"""

import datetime as dt
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pyroaring import BitMap

from consent.choices import Choice, ReviewVerdict, RuleKind, Status
from consent.countries import (
    CANARY_EXCLUDED,
    CANARY_NO_NOTICE,
    CANARY_OPEN,
    CANARY_OPT_IN,
    UNKNOWN,
)
from consent.models import (
    AgeRule,
    Decision,
    Member,
    Notice,
    NoticeWithdrawal,
    Policy,
    RegionRule,
    Review,
)
from ledger.merkle.tree import root_of
from ledger.models import Entry
from objections.choices import Effect
from objections.models import Objection
from training_runs.eligibility.calendars import Calendar, everywhere_from, somewhere_from
from training_runs.errors import CannotDerive
from training_runs.manifests import archives, manifest_file
from training_runs.models import Manifest, Run

# What a country lets happen: members are left out, asked, or in unless they say no.
_OUT, _ASK, _IN = "out", "ask", "in"
# What deriving can find; a manifest names those that were rules when it was frozen.
CODES = frozenset(
    {
        "erased",
        "closed",
        "country_unknown",
        "minor",
        "region",
        "no_notice",
        "not_opted_in",
        "opted_out",
        "objection_open",
        "objection_upheld",
    }
)


@dataclass(frozen=True)
class Derived:
    """The members of a run who are in, and those who are out, at a cut and on a day, according to history alone."""

    run: Any
    """The run's row of history by the cut."""
    ledger_root: str
    days: dict[str, Any]
    consents: dict[str, Any]
    population: int
    included: BitMap
    excluded: dict[str, BitMap]
    notices: list[str]
    region_rules: list[int]
    policies: dict[str, int]
    cohorts: dict[dt.date, BitMap]


def derive(manifest: Manifest) -> bytes:
    """The archive's bytes according to history up to the manifest's cut.

    Which reasons there are, and their words, are the manifest's own: a later release may add or reword
    some, and old manifests still verify. Raises CannotDerive for a reason that is not known here.
    """
    texts = manifest.header["reasons"]
    names = [part["name"] for part in manifest.header["parts"]][1:]
    codes = [name for name in names if not name.startswith(manifest_file.COHORT)]
    if unknown := sorted(set(codes) - CODES - {"not_in_parent"}):
        raise CannotDerive(f"This release cannot find {', '.join(unknown)} in history.")
    parent, allowed = None, None
    if manifest.run.parent_id is not None:
        frozen = Manifest.objects.select_related("run").get(run=manifest.run.parent_id)
        parent = {"run": frozen.run.reference, "manifest": frozen.digest}
        allowed = manifest_file.parse(archives.load(frozen.digest)).included
    found = derive_members(
        manifest.run_id, codes, cut=manifest.cut, allowed=allowed, sealed=manifest.header
    )
    sets = found.excluded
    if allowed is not None:
        sets["not_in_parent"] = BitMap(range(1, found.population + 1)) - allowed
    _, data = manifest_file.build(
        {
            "run": found.run.reference,
            "purpose": found.run.purpose,
            "data_categories": found.run.data_categories,
            "parent": parent,
            "as_of": found.run.as_of,
            "days": found.days,
            "consents": found.consents,
            "cut": manifest.cut,
            "ledger_root": found.ledger_root,
            "notices": found.notices,
            "region_rules": found.region_rules,
            "policies": found.policies,
            "reasons": {code: texts[code] for code in sets},
        },
        found.population,
        found.included,
        sets,
        found.cohorts,
    )
    return data


def derive_members(
    run_id: int,
    codes: Iterable[str],
    *,
    cut: int,
    as_of: dt.datetime | None = None,
    allowed: BitMap | None = None,
    sealed: Mapping[str, Any] | None = None,
) -> Derived:
    """Apply reasons to every member at a cut, as of an instant (the run's own, if none is given).

    Only members of `allowed` are included, if it is given. `sealed` is the header of the time: its days are used where
    they come from another release of the time zone database than this one's.
    """
    run = (
        Run.history.filter(id=run_id, entry_id__gte=1, entry_id__lte=cut)
        .order_by("-history_id")
        .first()
    )
    assert run is not None
    as_of = as_of or run.as_of
    assert as_of is not None
    calendar = Calendar.at(as_of, sealed and sealed["days"])
    rules, since, rule_ids = _rules(run.purpose, calendar, cut)
    notices, covered = _coverage(run.purpose, calendar, run.data_categories, rules, cut)
    consents = _consents(run.purpose, run.data_categories, since, cut)
    ages = _ages(calendar, cut)
    rules |= {CANARY_OPEN: _IN, CANARY_NO_NOTICE: _IN, CANARY_OPT_IN: _ASK, CANARY_EXCLUDED: _OUT}
    covered |= {CANARY_OPEN, CANARY_OPT_IN, CANARY_EXCLUDED}
    root, latest = _ledger(cut)
    choices = _choices(run.purpose, cut, latest)
    objections = _objections(run.purpose, cut)

    out = {code: array("I") for code in codes}
    included = array("I")
    population = 0
    for number, country, adult_on, status, adult_at in _members(cut):
        population += 1
        choice, decided_at, shown = choices.get(number, (None, None, ""))
        is_for_the_age = adult_at >= ages.get(country, 18)
        reasons = _facts_against(status, adult_on, calendar.everywhere(country), is_for_the_age)
        reasons += _country_against(country, rules, covered)
        if rules.get(country) == _ASK and not (
            choice == Choice.ALLOW
            and decided_at
            and any(
                version == shown and begins <= decided_at and (ends is None or decided_at < ends)
                for version, begins, ends in consents.get(country, [])
            )
        ):
            reasons.append("not_opted_in")
        if choice == Choice.DENY:
            reasons.append("opted_out")
        reasons += objections.get(number, ())
        reasons = [code for code in reasons if code in out]
        for code in reasons:
            out[code].append(number)
        if not reasons:
            included.append(number)

    members = BitMap(included)
    if allowed is not None:
        members &= allowed
    applied = {
        kind: max(_policy(kind, run.purpose, day, cut) for day in calendar.world_days)
        for kind in _POLICIES
    }
    return Derived(
        run=run,
        ledger_root=root,
        population=population,
        included=members,
        excluded={code: BitMap(numbers) for code, numbers in out.items()},
        days=calendar.plain(),
        consents={country: [list(one) for one in found] for country, found in consents.items()},
        notices=notices,
        region_rules=sorted(rule_ids),
        policies=applied,
        cohorts=_cohorts(
            run.purpose,
            calendar,
            rules=rules,
            covered=covered,
            choices=choices,
            included=members,
            applied=applied,
            cut=cut,
        ),
    )


def _ledger(cut: int) -> tuple[str, dict[int, dt.datetime]]:
    """The root over the stored leaves, and the latest time so far of each entry that is not itself the latest.

    That the leaves are right is for `verify_ledger` to say.
    """
    latest: dict[int, dt.datetime] = {}

    def leaves() -> Iterable[bytes]:
        so_far = dt.datetime.min.replace(tzinfo=dt.UTC)
        rows = Entry.objects.filter(sequence__range=(1, cut)).order_by("sequence")
        for sequence, at, leaf in rows.values_list("sequence", "recorded_at", "leaf").iterator(
            10_000
        ):
            so_far = max(so_far, at)
            if at != so_far:
                latest[sequence] = so_far
            yield bytes.fromhex(leaf)

    return root_of(leaves()).hex(), latest


def _day(moment: dt.datetime) -> dt.date:
    return moment.astimezone(dt.UTC).date()


def _facts_against(
    status: str, adult_on: dt.date | None, day: dt.date, is_for_the_age: bool
) -> list[str]:
    """`adult_on` says something only where it is the date of the age that the country asks for."""
    reasons = []
    if status == Status.ERASED:
        reasons.append("erased")
    elif status != Status.OPEN:
        reasons.append("closed")
    if adult_on is None or adult_on > day or not is_for_the_age:
        reasons.append("minor")
    return reasons


def _country_against(country: str, rules: dict[str, str], covered: set[str]) -> list[str]:
    if country == UNKNOWN:
        return ["country_unknown"]
    if rules.get(country, _OUT) == _OUT:
        return ["region"]
    return [] if country in covered else ["no_notice"]


def _members(cut: int) -> Iterable[tuple[int, str, dt.date | None, str, int]]:
    """Each member's last row up to the cut."""
    rows = (
        Member.history.filter(entry_id__gte=1, entry_id__lte=cut)
        .order_by("id", "history_id")
        .values_list("id", "country", "adult_on", "status", "adult_at")
        .iterator(10_000)
    )
    last = None
    for row in rows:
        if last is not None and row[0] != last[0]:
            yield last
        last = row
    if last is not None:
        yield last


def _choices(
    purpose: str, cut: int, latest: dict[int, dt.datetime]
) -> dict[int, tuple[str, dt.datetime, str]]:
    """Each member's choice, when, and under which notice: the last in time, and among equally late ones a *deny*.

    Received in the order of the entries. No decision is later than its receipt; a *deny* is not made earlier by
    a clock that stepped back, nor by one that was never set; an *allow* from after a *deny* was received is none, and
    one from a clock ahead of ours is none either once a *deny* follows. Whole seconds are a *deny*'s last moment.
    """
    chosen: dict[int, tuple[str, dt.datetime, str]] = {}
    ahead: set[int] = set()
    rows = Decision.objects.filter(
        purpose=purpose, evidence_only=False, entry_id__gte=1, entry_id__lte=cut
    ).order_by("entry_id", "id")
    for entry, received, number, choice, sent, shown in rows.values_list(
        "entry_id", "entry__recorded_at", "member_id", "choice", "decided_at", "notice_version"
    ).iterator(10_000):
        known = chosen.get(number)
        if choice == Choice.DENY:
            bound = latest.get(entry, received)
            at = bound if sent.year < 2000 or sent > bound else sent
            wins = known is None or at >= known[1]
            if known is not None and known[0] != choice:
                same_second = at.microsecond == 0 and known[1] - at < dt.timedelta(seconds=1)
                wins = wins or same_second or number in ahead or known[1] > received
        else:
            at = min(sent, received)
            wins = known is None or at > known[1]
        if wins:
            chosen[number] = (choice, at, shown)
            ahead.discard(number)
            if choice != Choice.DENY and sent > received:
                ahead.add(number)
    return chosen


def _objections(purpose: str, cut: int) -> dict[int, list[str]]:
    effects: dict[int, tuple[int | None, str]] = {}
    rows = Objection.history.filter(purpose=purpose, entry_id__gte=1, entry_id__lte=cut).order_by(
        "history_id"
    )
    for objection, number, effect in rows.values_list("id", "member_id", "effect"):
        effects[objection] = (number, effect)
    found: dict[int, list[str]] = {}
    for number, effect in effects.values():
        code = {Effect.RESTRICTING: "objection_open", Effect.UPHELD: "objection_upheld"}.get(
            Effect(effect)
        )
        if number is not None and code and code not in found.setdefault(number, []):
            found[number].append(code)
    return found


def _rules(
    purpose: str, calendar: Calendar, cut: int
) -> tuple[dict[str, str], dict[str, dt.datetime], set[int]]:
    """The rule of each country, since when it asks for consent, and the rows they follow from.

    The strictest of the days that it is in the country holds.
    """
    order = [_IN, _ASK, _OUT]
    by_day = {day: _rules_on(purpose, day, cut) for day in calendar.world_days}
    known = dict(
        Entry.objects.filter(
            sequence__in={
                entry for found in by_day.values() for held in found.values() for _, entry in held
            }
        ).values_list("sequence", "recorded_at")
    )
    meaning = {RuleKind.EXCLUDED: _OUT, RuleKind.OPT_IN: _ASK, RuleKind.DEFAULT_ON: _IN}
    rules: dict[str, str] = {}
    since: dict[str, dt.datetime] = {}
    used: set[int] = set()
    for country in {code for found in by_day.values() for code in found}:
        said: list[str | None] = []
        for day in calendar.days_in(country):
            held = by_day[day].get(country, [])
            said.append(meaning[RuleKind(held[-1][0].rule)] if held else None)
            if held:
                used.add(held[-1][0].pk)
            if not held or held[-1][0].rule != RuleKind.OPT_IN:
                continue
            asked = None
            for row, entry in held[::-1]:
                if row.rule != RuleKind.OPT_IN:
                    break
                both = max(known[entry], everywhere_from(row.effective_from, country))
                asked = both if asked is None else min(asked, both)
            assert asked is not None
            since[country] = max(since.get(country, asked), asked)
        if None not in said:
            rules[country] = order[max(order.index(word) for word in said if word)]
    since = {country: moment for country, moment in since.items() if rules.get(country) == _ASK}
    return rules, since, used


def _rules_on(purpose: str, day: dt.date, cut: int) -> dict[str, list[tuple[RegionRule, int]]]:
    """The rows that hold in each country one after the other on a day of the calendar, and the entries that made them count.

    A row that lets more happen than the one before it counts only if it was approved after every earlier
    row that lets less happen.
    """
    approvals = _verdicts("region_rule_id", cut)
    weight = {RuleKind.EXCLUDED: 2, RuleKind.OPT_IN: 1, RuleKind.DEFAULT_ON: 0}
    rows = [
        (row, approvals.get(row.pk, 0))
        for row in RegionRule.objects.filter(
            purpose=purpose, entry_id__gte=1, entry_id__lte=cut, effective_from__lte=day
        )
        if row.pk in approvals or not row.needs_approval
    ]
    rows.sort(key=lambda item: (item[0].effective_from, item[0].entry_id, item[0].pk))
    found: dict[str, list[tuple[RegionRule, int]]] = {}
    for place, (row, approved_at) in enumerate(rows):
        for country in row.countries:
            held = weight[RuleKind(found[country][-1][0].rule)] if country in found else 2
            unknown = any(
                country in earlier.countries
                and weight[RuleKind(earlier.rule)] > weight[RuleKind(row.rule)]
                and (earlier_approved or earlier.entry_id) >= approved_at
                for earlier, earlier_approved in rows[:place]
            )
            if weight[RuleKind(row.rule)] >= held or (approved_at and not unknown):
                entry = approvals[row.pk] if row.needs_approval else row.entry_id
                found.setdefault(country, []).append((row, entry))
    return found


def _known_notices(cut: int) -> list[tuple[Notice, int]]:
    """The notices that count by a cut, with the entries from which on they do."""
    approvals = _verdicts("notice_id", cut)
    return [
        (row, approvals[row.pk] if row.needs_approval else row.entry_id)
        for row in Notice.objects.filter(entry_id__gte=1, entry_id__lte=cut)
        if row.pk in approvals or not row.needs_approval
    ]


def _notices_on(purpose: str, day: dt.date, cut: int) -> list[Notice]:
    in_force = [row for row, _ in _known_notices(cut) if row.in_force_from <= day]
    gone = {row.supersedes_id for row in in_force}
    gone |= {number for number, ended in _ends_of_notices(cut) if ended <= day}
    return [row for row in in_force if row.pk not in gone and purpose in row.purposes]


def _ends_of_notices(cut: int) -> list[tuple[int, dt.date]]:
    """The notices that were withdrawn by a cut, each with a first day on which it covers nothing."""
    return list(
        NoticeWithdrawal.objects.filter(entry_id__gte=1, entry_id__lte=cut).values_list(
            "notice_id", "withdrawn_from"
        )
    )


def _coverage(
    purpose: str, calendar: Calendar, categories: list[str], rules: Iterable[str], cut: int
) -> tuple[list[str], set[str]]:
    """The notices in force, and the countries that they cover on each day that it is there."""
    by_day = {day: _notices_on(purpose, day, cut) for day in calendar.world_days}
    covered = {day: _covered(rules, notices, categories) for day, notices in by_day.items()}
    return (
        sorted({row.version for notices in by_day.values() for row in notices}),
        {
            country
            for country in rules
            if all(country in covered[day] for day in calendar.days_in(country))
        },
    )


def _ages(calendar: Calendar, cut: int) -> dict[str, int]:
    """The age that each country asks for: the highest of the days that it is there."""
    by_day = {day: _ages_on(day, cut) for day in calendar.world_days}
    return {
        country: max(by_day[day].get(country, 18) for day in calendar.days_in(country))
        for country in set().union(*by_day.values())
    }


def _ages_on(day: dt.date, cut: int) -> dict[str, int]:
    """The age of each country that some row names.

    A row with a lower age than the one before it counts only if it was approved after every earlier row with a higher.
    """
    approvals = _verdicts("age_rule_id", cut)
    rows = [
        (row, approvals.get(row.pk, 0))
        for row in AgeRule.objects.filter(
            entry_id__gte=1, entry_id__lte=cut, effective_from__lte=day
        )
        if row.pk in approvals or not row.needs_approval
    ]
    rows.sort(key=lambda item: (item[0].effective_from, item[0].entry_id, item[0].pk))
    found: dict[str, int] = {}
    for place, (row, approved_at) in enumerate(rows):
        for country in row.countries:
            unknown = any(
                country in earlier.countries
                and earlier.age > row.age
                and (earlier_approved or earlier.entry_id) >= approved_at
                for earlier, earlier_approved in rows[:place]
            )
            if row.age >= found.get(country, 18) or (approved_at and not unknown):
                found[country] = row.age
    return found


def _consents(
    purpose: str, categories: list[str], since: dict[str, dt.datetime], cut: int
) -> dict[str, list[tuple[str, dt.datetime, dt.datetime | None]]]:
    """For each country that asks: under which notice, and from when until when, a *yes* is consent to this use."""
    notices = _known_notices(cut)
    known = dict(
        Entry.objects.filter(sequence__in={entry for _, entry in notices}).values_list(
            "sequence", "recorded_at"
        )
    )
    withdrawn = _ends_of_notices(cut)
    found: dict[str, list[tuple[str, dt.datetime, dt.datetime | None]]] = {}
    for country, asked in since.items():
        for row, entry in notices:
            if purpose in row.purposes and country in row.countries:
                if set(categories) - set(row.data_categories):
                    continue
                ends = [
                    somewhere_from(later.in_force_from, country)
                    for later, _ in notices
                    if later.supersedes_id == row.pk
                ]
                ends += [
                    somewhere_from(day, country) for number, day in withdrawn if number == row.pk
                ]
                begins = [asked, known[entry], everywhere_from(row.in_force_from, country)]
                if not ends or max(begins) < min(ends):
                    found.setdefault(country, []).append(
                        (row.version, max(begins), min(ends) if ends else None)
                    )
    return {country: sorted(windows) for country, windows in found.items()}


def _verdicts(field: str, cut: int) -> dict[int, int]:
    """Approved proposals, and the entry that approved them."""
    rows = Review.objects.filter(entry_id__gte=1, entry_id__lte=cut, verdict=ReviewVerdict.APPROVED)
    return {key: entry for key, entry in rows.values_list(field, "entry_id") if key is not None}


def _covered(countries: Iterable[str], notices: list[Notice], categories: list[str]) -> set[str]:
    covered = set()
    for country in countries:
        here = [set(row.data_categories) for row in notices if country in row.countries]
        if here and set(categories) <= set().union(*here):
            covered.add(country)
    return covered


# --- From when ----------------------------------------------------------------------------------

_POLICIES = ("use-from-of-age", "use-from-moved", "use-from-yes")
_FIRST_DAY = dt.date(2024, 9, 18)
"""Majority on this day or before it says nothing: no run is as of an earlier day."""


def _policy(kind: str, purpose: str, day: dt.date, cut: int) -> int:
    """Whether a policy of content is on (1): it is, until a row that was approved knowing every row before says 0."""
    approvals = _verdicts("policy_id", cut)
    rows = sorted(
        Policy.objects.filter(
            kind=kind, entry_id__gte=1, entry_id__lte=cut, effective_from__lte=day
        ),
        key=lambda row: (row.effective_from, row.entry_id, row.pk),
    )
    holds, last_on = 1, 0
    for row in rows:
        if row.purpose not in ("", purpose) or (row.needs_approval and row.pk not in approvals):
            continue
        known = approvals[row.pk] if row.needs_approval else row.entry_id
        if row.value:
            holds, last_on = 1, max(last_on, known)
        elif not holds or (row.needs_approval and known > last_on):
            holds = 0
    return holds


def _cohorts(
    purpose: str,
    calendar: Calendar,
    *,
    rules: dict[str, str],
    covered: set[str],
    choices: dict[int, tuple[str, dt.datetime, str]],
    included: BitMap,
    applied: dict[str, int],
    cut: int,
) -> dict[dt.date, BitMap]:
    """The included by the oldest content that may be used: each member's latest day, a member at a time."""
    by_day = {day: _data_limits(purpose, day, cut) for day in calendar.world_days}
    refused = set(
        Decision.objects.filter(
            purpose=purpose, choice=Choice.DENY, evidence_only=False, entry_id__gte=1,
            entry_id__lte=cut,
        ).values_list("member_id", flat=True)
    )  # fmt: skip
    found: dict[dt.date, BitMap] = {}
    for number, country, adult_on, moved_at in _lives(cut, rules, covered):
        if number not in included:
            continue
        days = [
            calendar.content_from(by_day[day][country], country)
            for day in calendar.days_in(country)
            if country in by_day[day]
        ]
        if applied["use-from-of-age"] and adult_on is not None and adult_on > _FIRST_DAY:
            days.append(calendar.content_from(adult_on, country))
        if applied["use-from-moved"] and moved_at is not None:
            days.append(_day(moved_at) + dt.timedelta(days=1))
        choice, chosen_at, _ = choices.get(number, (None, None, ""))
        if applied["use-from-yes"] and number in refused and choice == Choice.ALLOW and chosen_at:
            days.append(_day(chosen_at) + dt.timedelta(days=1))
        if days:
            found.setdefault(max(days), BitMap()).add(number)
    return found


def _lives(
    cut: int, rules: dict[str, str], covered: set[str]
) -> Iterable[tuple[int, str, dt.date | None, dt.datetime | None]]:
    """Each member's country and majority, and when they last left a country where the purpose is not allowed."""
    rows = (
        Member.history.filter(entry_id__gte=1, entry_id__lte=cut)
        .order_by("id", "history_id")
        .values_list("id", "country", "adult_on", "entry__recorded_at")
        .iterator(10_000)
    )
    number: int | None = None
    country, adult_on, moved_at, was_closed = "", None, None, False
    for row_number, row_country, row_adult_on, recorded_at in rows:
        if number is not None and row_number != number:
            yield number, country, adult_on, moved_at
        if row_number != number:
            moved_at, was_closed = None, False
        number, country, adult_on = row_number, row_country, row_adult_on
        is_closed = _is_closed(country, rules, covered)
        if is_closed:
            moved_at = None
        elif was_closed:
            moved_at = recorded_at
        was_closed = is_closed
    if number is not None:
        yield number, country, adult_on, moved_at


def _is_closed(country: str, rules: dict[str, str], covered: set[str]) -> bool:
    """Whether the purpose is not allowed in a known country; no person lives in the test countries."""
    if country == UNKNOWN or country in (
        CANARY_OPEN, CANARY_EXCLUDED, CANARY_NO_NOTICE, CANARY_OPT_IN,
    ):  # fmt: skip
        return False
    return rules.get(country, _OUT) == _OUT or country not in covered


def _data_limits(purpose: str, day: dt.date, cut: int) -> dict[str, dt.date]:
    """The oldest content of each country: only an approval that knew every later limit lowers one."""
    approvals = _verdicts("region_rule_id", cut)
    rows = sorted(
        RegionRule.objects.filter(
            purpose=purpose, entry_id__gte=1, entry_id__lte=cut, effective_from__lte=day
        ).exclude(rule=RuleKind.EXCLUDED),
        key=lambda row: (row.effective_from, row.entry_id, row.pk),
    )
    counted: dict[str, list[tuple[dt.date, int, int]]] = {}
    for row in rows:
        if row.needs_approval and row.pk not in approvals:
            continue
        approved_at = approvals[row.pk] if row.needs_approval else 0
        for country in row.countries:
            counted.setdefault(country, []).append(
                (row.data_from or dt.date.min, approved_at, approved_at or row.entry_id)
            )
    limits = {}
    for country, found in counted.items():
        holds = dt.date.min
        for place, (limit, approved_at, _) in enumerate(found):
            knows_all = all(
                approved_at > known for later, _, known in found[:place] if later > limit
            )
            if limit >= holds or (approved_at and knows_all):
                holds = limit
        if holds > dt.date.min:
            limits[country] = holds
    return limits
