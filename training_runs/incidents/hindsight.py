"""Hindsight: the reasons that kept a member out of a manifest, as known at a later entry.

The question is the manifest's own: its purpose and data, the days of its instant, and the moment at which it was frozen.
The answer counts every entry up to the later one, and of what these entries say only what held by then: a *no* that was
decided by that moment, a restriction since before it, the rules of its days in the country of its cut, the age as it is
known now.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from django.db.models import Q, QuerySet
from pyroaring import BitMap

from consent.choices import Choice
from consent.counting import Counted
from consent.models import Decision, Member
from consent.rulebook import days
from consent.rulebook.rules import Book
from objections.choices import Effect
from objections.models import Objection
from training_runs.eligibility.exclusions import EXCLUSIONS, Question, ask
from training_runs.models import Manifest

_CHUNK = 5_000
"""Members asked about in one statement."""

Sets = dict[str, BitMap]


class _Life(NamedTuple):
    entry: int
    country: str
    adult_on: dt.date | None
    adult_at: int


class _Said(NamedTuple):
    entry: int
    received_at: dt.datetime
    counted: Counted
    notice: str


class _Effect(NamedTuple):
    entry: int
    recorded_at: dt.datetime
    member: int | None
    effect: str
    since: dt.datetime


class Hindsight:
    """One manifest, seen from later entries."""

    def __init__(self, manifest: Manifest) -> None:
        run = manifest.run
        assert run.as_of is not None
        self._purpose = run.purpose
        self._categories = run.data_categories
        self._days = days.at(run.as_of)
        self._frozen_at = manifest.frozen_at
        self._cut = manifest.cut
        self._questions: dict[int, Question] = {}

    def question(self, entry: int) -> Question:
        """The rules and notices of the manifest's days, as known at an entry."""
        if entry not in self._questions:
            book = Book.read(upto=entry)
            self._questions[entry] = ask(self._purpose, self._days, self._categories, book)
        return self._questions[entry]

    def reasons(
        self, asked: dict[int, BitMap], rules_at: dict[int, int]
    ) -> Iterator[tuple[int, Sets]]:
        """For each entry the members out, by reason.

        `asked` are the members to ask about at each entry, `rules_at` the newest entry up to it that wrote a rule.
        """
        found: dict[int, Sets] = {entry: {} for entry in asked}
        everybody = list(BitMap.union(BitMap(), *asked.values()))
        for start in range(0, len(everybody), _CHUNK):
            chunk = BitMap(everybody[start : start + _CHUNK])
            facts = _Facts(self._purpose, chunk)
            for entry, members in asked.items():
                question = self.question(rules_at[entry])
                for number in members & chunk:
                    for code in self._of_member(facts, number, entry, question):
                        found[entry].setdefault(code, BitMap()).add(number)
        order = [exclusion.code for exclusion in EXCLUSIONS]
        for entry in sorted(found):
            yield entry, {code: found[entry][code] for code in order if code in found[entry]}

    def by_rules(self, entry: int, included: BitMap, changed: BitMap) -> Sets:
        """Those of the included whose country's rules alone keep them out, by reason, as known at an entry.

        Without the `changed`, about whom something was recorded since the cut: they are asked about one by one. Where a
        rule asks for consent, those without any *yes*.
        """
        question = self.question(entry)
        asking = [code for codes in question.opt_in.values() for code in codes]
        too_young = Q(pk__in=[])
        for age, codes in question.ages.items():
            too_young |= Q(country__in=codes, adult_at__lt=age)
        sources: dict[str, QuerySet[Any]] = {
            "minor": Member.objects.filter(too_young),
            "region": Member.objects.in_countries(question.excluded),
            "no_notice": Member.objects.in_countries(question.uncovered),
            "not_opted_in": Member.objects.in_countries(asking).exclude(
                pk__in=self._said_yes().values("member")
            ),
        }
        found = {}
        for code, rows in sources.items():
            numbers = rows.order_by().values_list("pk", flat=True).iterator(50_000)
            if members := (BitMap(numbers) & included) - changed:
                found[code] = members
        return found

    def consenting(self, entry: int, included: BitMap) -> BitMap:
        """Those of the included in countries that ask, who have ever said yes: their *yes* is looked at one by one."""
        asking = [code for codes in self.question(entry).opt_in.values() for code in codes]
        said = self._said_yes().filter(member__country__in=asking)
        return (
            BitMap(said.order_by().values_list("member_id", flat=True).iterator(50_000)) & included
        )

    def _said_yes(self) -> QuerySet[Decision]:
        """Every *yes* there ever was: a *no* that was decided after the freeze does not undo one from before it."""
        return Decision.objects.filter(
            purpose=self._purpose, choice=Choice.ALLOW, evidence_only=False
        ).order_by()

    def _of_member(
        self, facts: "_Facts", number: int, entry: int, question: Question
    ) -> Iterable[str]:
        life = next((one for one in facts.lives[number] if one.entry <= entry), None)
        if life is None:
            return
        # A move holds from the moment at which it was recorded: the rules are those of where the member was.
        country = next(one for one in facts.lives[number] if one.entry <= self._cut).country
        is_below = any(
            life.adult_at < age and country in codes for age, codes in question.ages.items()
        )
        if life.adult_on is None or is_below or life.adult_on > self._days.of(country).last:
            yield "minor"
        if country in question.excluded:
            yield "region"
        elif country in question.uncovered:
            yield "no_notice"
        chosen = self._choice(facts.said[number], entry)
        for windows, codes in question.opt_in.items():
            if country in codes and not (
                chosen
                and chosen.counted.choice == Choice.ALLOW
                and any(window.takes(chosen.notice, chosen.counted.at) for window in windows)
            ):
                yield "not_opted_in"
        if chosen and chosen.counted.choice == Choice.DENY:
            yield "opted_out"
        yield from sorted(
            {code for rows in facts.effects[number] if (code := self._effect(rows, number, entry))}
        )

    def _choice(self, said: Iterable[_Said], entry: int) -> _Said | None:
        """The member's choice at the moment of the freeze, of what had been received by the entry."""
        chosen: _Said | None = None
        for one in said:
            if one.entry > entry or one.counted.at > self._frozen_at:
                continue
            before = chosen.counted if chosen else None
            if one.counted.takes_over_from(before, received_at=one.received_at):
                chosen = one
        return chosen

    def _effect(self, rows: list[_Effect], number: int, entry: int) -> str | None:
        """The reason that an objection was at the moment of the freeze, if it was the member's."""
        known = [one for one in rows if one.entry <= entry]
        if not known or known[-1].member != number or known[-1].since > self._frozen_at:
            return None
        last = known[-1]
        if last.effect == Effect.UPHELD:
            return "objection_upheld"
        if last.effect == Effect.RESTRICTING:
            return "objection_open"
        # It was lifted since: it held until then.
        lifted_at = last.recorded_at
        for one in reversed(known):
            if one.effect != Effect.RESTRICTION_LIFTED:
                break
            lifted_at = one.recorded_at
        return "objection_open" if self._frozen_at < lifted_at else None


class _Facts:
    """The history of some members."""

    def __init__(self, purpose: str, members: BitMap) -> None:
        numbers = list(members)
        self.lives: dict[int, list[_Life]] = defaultdict(list)
        """The newest first."""
        rows = Member.history.filter(id__in=numbers).order_by("id", "-history_id")
        for number, *life in rows.values_list("id", "entry_id", "country", "adult_on", "adult_at"):
            self.lives[number].append(_Life(*life))
        self.said: dict[int, list[_Said]] = defaultdict(list)
        """In the order of their receipt."""
        for row in (
            Decision.objects.filter(member__in=numbers, purpose=purpose, evidence_only=False)
            .select_related("entry")
            .order_by("entry_id", "id")
        ):
            is_ahead = row.choice == Choice.ALLOW and row.decided_at > row.counts_at
            counted = Counted(row.choice, row.counts_at, is_ahead)
            self.said[row.member_id].append(
                _Said(row.entry_id, row.entry.recorded_at, counted, row.notice_version)
            )
        self.effects: dict[int, list[list[_Effect]]] = defaultdict(list)
        """By member the rows of each objection that was ever theirs, the oldest first."""
        history = Objection.history.filter(purpose=purpose)
        theirs = history.filter(member_id__in=numbers).order_by().values("id").distinct()
        by_objection: dict[int, list[_Effect]] = defaultdict(list)
        for key, entry, recorded_at, member, effect, since in (
            history.filter(id__in=theirs)
            .order_by("history_id")
            .values_list(
                "id", "entry_id", "entry__recorded_at", "member_id", "effect", "restricts_since"
            )
        ):
            by_objection[key].append(_Effect(entry, recorded_at, member, effect, since))
        for found in by_objection.values():
            for number in {one.member for one in found if one.member is not None}:
                self.effects[number].append(found)


def rules_at(entries: Iterable[int], rulebook: Iterable[int], cut: int) -> dict[int, int]:
    """For each entry the newest one up to it that wrote a rule, a notice or a review; the cut where there is none since."""
    written = sorted({cut, *rulebook})
    found = {}
    for entry in sorted(entries):
        found[entry] = max((one for one in written if one <= entry), default=cut)
    return found
