"""Cohorts: from when on the content of a member may be used, as one set of members for each distinct day.

Most members are in none. A member's day is the latest of four: the limit of the country's rule, the day of majority,
the day after a move from a country where the purpose is not allowed, and the day after a *yes* that follows a *no*.
The first two are days of the calendar in the member's country; content carries moments in UTC, so where the day begins
later than in UTC the day after counts (`consent.rulebook.days.Days.content_from`). The last two are moments: the day
after is the first whole day behind them. Policies may turn three of them off.
"""

import datetime as dt
from typing import Any

from django.db.models import Max
from pyroaring import BitMap

from consent.choices import Choice, PolicyKind
from consent.countries import CANARIES
from consent.models import FIRST_DAY, Consent, Decision, Member
from consent.rulebook import policies
from ledger.models import Entry
from training_runs.eligibility.exclusions import Eligibility, Question
from training_runs.manifests.packing import pack_by

_DAY = dt.timedelta(days=1)
_CHUNK = 5_000
"""Members asked about in one statement."""

Days = dict[dt.date, BitMap]


def policies_for(question: Question) -> dict[str, int]:
    """The policies that apply to a question, by kind."""
    return {
        kind.value: policies.in_force_at(kind, question.purpose, question.days)
        for kind in policies.USE_FROM
    }


def cohorts(answer: Eligibility, applied: dict[str, int]) -> Days:
    """The included members by the oldest content that may be used. Call it inside the snapshot of the answer."""
    question = answer.question
    found = [_limits(question, answer.included)]
    if applied[PolicyKind.OF_AGE]:
        found.append(_of_age(question, answer))
    if applied[PolicyKind.MOVED]:
        found.append(_moved(question, answer.included))
    if applied[PolicyKind.YES]:
        found.append(_after_no(question, answer.included))
    return latest(found)


def latest(found: list[Days]) -> Days:
    """Each member at the latest of their days; days without a member are left out, in the order of time."""
    placed = BitMap()
    result: Days = {}
    for day in sorted({day for days in found for day in days}, reverse=True):
        members = BitMap.union(BitMap(), *(days[day] for days in found if day in days)) - placed
        if members:
            result[day] = members
            placed |= members
    return dict(sorted(result.items()))


def _limits(question: Question, included: BitMap) -> Days:
    by_day: dict[dt.date, list[str]] = {}
    for country, day in question.ruling.data_from.items():
        by_day.setdefault(day, []).append(country)
    found: Days = {}
    for day, codes in by_day.items():
        numbers = Member.objects.in_countries(codes).values_list("id", flat=True)
        found[day] = BitMap(numbers.iterator(50_000)) & included
    return found


def _of_age(question: Question, answer: Eligibility) -> Days:
    """Members who came of age since the first day of any run: the index of minors holds them all."""
    rows = Member.objects.filter(adult_on__gt=FIRST_DAY, adult_on__lte=question.days.world.first)
    ahead = question.days.ahead
    found: Days = {}
    # Where the day begins later than in UTC, so does the content that may be used.
    for chosen, late in ((rows.in_countries(ahead), 0), (rows.exclude(country__in=ahead), 1)):
        packed = pack_by(chosen.values_list("adult_on", "id"), answer.population)
        for value, members in packed.items():
            day = _as_day(value) + late * _DAY
            found[day] = found.get(day, BitMap()) | (members & answer.included)
    return found


def _as_day(value: Any) -> dt.date:
    """SQLite gives a date as text."""
    return value if isinstance(value, dt.date) else dt.date.fromisoformat(value)


def _moved(question: Question, included: BitMap) -> Days:
    """Members whose country changed from one where the purpose is not allowed. Few rows of history are changes."""
    closed = (question.excluded | question.uncovered) - CANARIES
    history = Member.history
    changed = history.filter(history_type="~").values("id")
    last_out = (
        history.filter(id__in=changed, country__in=closed)
        .order_by()
        .values_list("id")
        .annotate(last=Max("history_id"))
    )
    left = {number: last for number, last in last_out if number in included}
    found: Days = {}
    numbers = list(left)
    for start in range(0, len(numbers), _CHUNK):
        chunk = numbers[start : start + _CHUNK]
        rows = history.filter(id__in=chunk).order_by().values_list("id", "history_id", "entry_id")
        first: dict[int, tuple[int, int]] = {}
        for number, key, entry in rows:
            if key > left[number]:
                first[number] = min(first.get(number, (key, entry)), (key, entry))
        entries = {entry for _, entry in first.values()}
        times = dict(
            Entry.objects.filter(pk__in=entries).order_by().values_list("pk", "recorded_at")
        )
        for number, (_, entry) in first.items():
            found.setdefault(_after(times[entry]), BitMap()).add(number)
    return found


def _after_no(question: Question, included: BitMap) -> Days:
    """Members whose choice is a *yes* and who said *no* before."""
    denied = Decision.objects.filter(
        purpose=question.purpose, choice=Choice.DENY, evidence_only=False
    ).values("member")
    rows = (
        Consent.objects.filter(purpose=question.purpose, choice=Choice.ALLOW, member__in=denied)
        .order_by()
        .values_list("member_id", "decided_at")
    )
    found: Days = {}
    for number, moment in rows.iterator(10_000):
        if number in included:
            found.setdefault(_after(moment), BitMap()).add(number)
    return found


def _after(moment: dt.datetime) -> dt.date:
    return moment.astimezone(dt.UTC).date() + _DAY
