"""Random histories as plain data: acts with the moment of their recording, and the moments from which their facts hold."""

import datetime as dt
import random
from dataclasses import dataclass
from zoneinfo import ZoneInfo

BEGINNING = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
LONG_AGO = dt.date(2024, 9, 18)
PURPOSES = ("generative-ai", "personalisation", "safety")
BY_SETTING = "generative-ai"
"""The one purpose with a setting; an objection rules the others."""
CATEGORIES = ("posts", "profile", "feedback")
COUNTRIES = ("US", "CA", "HK", "KR", "NZ", "DE", "PT", "XK")
ZONES = ("America/New_York", "Pacific/Honolulu", "America/St_Johns", "America/Vancouver",
    "Asia/Hong_Kong", "Asia/Seoul", "Pacific/Auckland", "Pacific/Chatham", "Europe/Berlin",
    "Atlantic/Azores", "Europe/Lisbon", "Etc/GMT-14", "Etc/GMT+12")  # fmt: skip
MEMBERS = 85


@dataclass(frozen=True)
class Act:
    """An act, recorded at a moment."""

    at: dt.datetime


@dataclass(frozen=True)
class Member:
    """The facts of a member, as a file of the product says them."""

    country: str
    adult_on: dt.date | None
    adult_at: int = 18
    is_open: bool = True


@dataclass(frozen=True)
class Decision:
    member: int
    choice: str
    decided_at: dt.datetime
    notice: str


@dataclass(frozen=True)
class Decided(Act):
    """Decisions on the purpose with a setting, recorded in one entry in this order."""

    decisions: tuple[Decision, ...]


@dataclass(frozen=True)
class Rule(Act):
    purpose: str
    countries: tuple[str, ...]
    rule: str
    effective_from: dt.date


@dataclass(frozen=True)
class Notice(Act):
    version: str
    purposes: tuple[str, ...]
    categories: tuple[str, ...]
    countries: tuple[str, ...]
    in_force_from: dt.date
    supersedes: str


@dataclass(frozen=True)
class Age(Act):
    countries: tuple[str, ...]
    age: int
    effective_from: dt.date


@dataclass(frozen=True)
class Approved(Act):
    """A second person's approval of the rule, notice or age of another act; nothing where none is needed."""

    of: int


@dataclass(frozen=True)
class Withdrawn(Act):
    notice: str
    withdrawn_from: dt.date


@dataclass(frozen=True)
class Reported(Act):
    """The product's file says other facts about some members."""

    members: tuple[tuple[int, Member], ...]


@dataclass(frozen=True)
class Objected(Act):
    member: int
    purposes: tuple[str, ...]
    received_at: dt.datetime


@dataclass(frozen=True)
class Effect(Act):
    """The effect of another act's objection becomes another one: lifted, upheld, or restricting again."""

    of: int
    effect: str


@dataclass(frozen=True)
class Frozen(Act):
    purpose: str
    categories: tuple[str, ...]


@dataclass(frozen=True)
class Looked(Act):
    """A look at late facts, which must find the same whenever it is."""


@dataclass(frozen=True)
class World:
    seed: int
    members: tuple[Member, ...]
    acts: tuple[Act, ...]


def world(seed: int) -> World:
    """The world of a seed."""
    return _Maker(seed).make()


class _Maker:
    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311  a seed repeats it
        self.seed = seed
        self.now = dt.datetime(2026, 5, 26, 3, tzinfo=dt.UTC)
        self.acts: list[Act] = []
        self.notices = ["n0"]
        self.superseded: set[str] = set()
        self.ended: dict[str, dt.date] = {}
        self.objections: dict[int, str] = {}
        self.objecting: set[int] = set()
        self.members = [self._member() for _ in range(MEMBERS)]

    def make(self) -> World:
        chances = {
            self._decided: 6, self._rule: 4, self._notice: 2, self._age: 1, self._withdrawn: 1,
            self._reported: 3, self._objected: 3, self._effect: 2, self._looked: 1,
        }  # fmt: skip
        first = dict(self._begin())
        before = tuple(self.members)
        self.members = [first.get(number, member) for number, member in enumerate(before)]
        acts = self.random.choices(list(chances), list(chances.values()), k=16)
        for place in sorted(self.random.sample(range(1, 15), self.random.randint(1, 3))):
            acts.insert(place, self._frozen)
        for act in acts:
            self._wait()
            act()
        return World(self.seed, before, tuple(self.acts))

    def _begin(self) -> tuple[tuple[int, Member], ...]:
        return ()

    def _wait(self) -> None:
        """On to the next moment: some are at a midnight of some zone, or a second before it."""
        self.now += dt.timedelta(minutes=self.random.randint(1, 60 * 40))
        if self.random.random() < 0.4:
            zone = ZoneInfo(self.random.choice(ZONES))
            day = self.now.astimezone(zone).date() + dt.timedelta(days=1)
            midnight = dt.datetime.combine(day, dt.time(), zone).astimezone(dt.UTC)
            self.now = midnight + dt.timedelta(seconds=self.random.choice((-900, -1, 0, 1, 900)))

    def _member(self) -> Member:
        adult_on = self.random.choice(
            [dt.date(1990, 1, 1)] * 8 + [None, dt.date(2028, 1, 1), self._day(), self._day()]
        )
        country = self.random.choice((*COUNTRIES, *COUNTRIES, ""))
        adult_at = self.random.choice((18, 19))
        return Member(country, adult_on, adult_at, self.random.random() > 0.05)

    def _day(self) -> dt.date:
        """A day near to now, before or after it."""
        return (self.now + dt.timedelta(days=self.random.randint(-8, 8))).date()

    def _some(self, words: tuple[str, ...], most: int) -> tuple[str, ...]:
        return tuple(sorted(self.random.sample(words, self.random.randint(1, most))))

    def _late(self) -> dt.datetime:
        """A moment up to some days before now."""
        back = self.random.choice((0, 1, 60, 3600 * 5, 3600 * 24, 3600 * 24 * 6))
        micro = self.random.choice((0, 0, 250_000))
        return self.now - dt.timedelta(seconds=self.random.randint(0, back), microseconds=micro)

    def _decided(self) -> None:
        found = []
        for member in self.random.choices(range(MEMBERS), k=self.random.randint(1, 12)):
            moment = self._late()
            if self.random.random() < 0.05:
                moment = self.now + dt.timedelta(hours=5)
            notice = self.random.choice(("", *self.notices))
            found.append(Decision(member, self.random.choice(("allow", "deny")), moment, notice))
        self.acts.append(Decided(self.now, tuple(found)))

    def _approved(self) -> None:
        """The last act is approved at once, or later, or never."""
        of = len(self.acts) - 1
        chance = self.random.random()
        if chance < 0.1:
            return
        if chance < 0.5:
            self._wait()
            self.random.choice((self._decided, self._rule_alone, self._reported))()
            self._wait()
        self.acts.append(Approved(self.now, of))

    def _rule_alone(self) -> None:
        purpose = self.random.choice((BY_SETTING, BY_SETTING, *PURPOSES))
        rule = self.random.choice(("excluded", "opt-in", "opt-in", "default-on"))
        countries = self._some(COUNTRIES, 3)
        self.acts.append(Rule(self.now, purpose, countries, rule, self._day()))

    def _rule(self) -> None:
        last = [one for one in self.acts if isinstance(one, Rule)]
        self._rule_alone()
        if last and self.random.random() < 0.3:
            # Listed again.
            again = self.random.choice(last)
            day = self.random.choice((again.effective_from, self._day()))
            self.acts[-1] = Rule(self.now, again.purpose, again.countries, again.rule, day)
        self._approved()

    def _notice(self) -> None:
        version = f"n{len(self.notices)}"
        free = [one for one in self.notices if one not in self.superseded]
        supersedes = self.random.choice((*free, ""))
        self.superseded.add(supersedes)
        self.notices.append(version)
        self.acts.append(
            Notice(
                self.now,
                version,
                self._some(PURPOSES, 3),
                self._some(CATEGORIES, 3),
                self.random.choice((COUNTRIES, self._some(COUNTRIES, 6))),
                self._day(),
                supersedes,
            )
        )
        self._approved()

    def _age(self) -> None:
        age = self.random.choice((18, 19, 19))
        self.acts.append(Age(self.now, self._some(COUNTRIES, 2), age, self._day()))
        self._approved()

    def _withdrawn(self) -> None:
        notice, day = self.random.choice(self.notices), self._day()
        if day < self.ended.get(notice, dt.date.max):
            self.ended[notice] = day
            self.acts.append(Withdrawn(self.now, notice, day))

    def _reported(self) -> None:
        found = {}
        for number in self.random.sample(range(MEMBERS), self.random.randint(1, 6)):
            before, new = self.members[number], self._member()
            found[number] = self.random.choice(
                (
                    Member(new.country, before.adult_on, before.adult_at, before.is_open),
                    Member(before.country, new.adult_on, new.adult_at, before.is_open),
                    Member(before.country, before.adult_on, before.adult_at, new.is_open),
                )
            )
            self.members[number] = found[number]
        self.acts.append(Reported(self.now, tuple(found.items())))

    def _objected(self) -> None:
        member = self.random.randrange(MEMBERS)
        if member in self.objecting:
            return
        self.objecting.add(member)
        self.objections[len(self.acts)] = "restricting"
        received = self._late().replace(microsecond=0)
        self.acts.append(Objected(self.now, member, self._some(PURPOSES, 3), received))

    def _effect(self) -> None:
        if not self.objections:
            return
        of = self.random.choice(list(self.objections))
        if self.objections[of] == "upheld":
            return
        is_open = self.objections[of] == "restricting"
        effect = self.random.choice(("lifted", "upheld")) if is_open else "restricting"
        self.objections[of] = effect
        self.acts.append(Effect(self.now, of, effect))

    def _looked(self) -> None:
        self.acts.append(Looked(self.now))

    def _frozen(self) -> None:
        purpose = self.random.choice((BY_SETTING, BY_SETTING, *PURPOSES))
        self.acts.append(Frozen(self.now, purpose, self._some(CATEGORIES, 2)))
