"""The naive evaluator: who was in at each cut and why, and which incidents are owed. Member by member, act by act.

It sees the plain data alone and uses nothing of the portal; the rules are those of docs/reference/proof-format.md. A
manifest asks at an act, with what was recorded up to it. An incident asks the manifest's question again, with what was
recorded up to a later act: a reason that is there then and was not is owed, once, with that act as its cause.
"""

import datetime as dt
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from tools.worlds import histories as acts

_ZONES = {
    "US": ("America/New_York", "Pacific/Honolulu"),
    "CA": ("America/St_Johns", "America/Vancouver"),
    "HK": ("Asia/Hong_Kong",),
    "KR": ("Asia/Seoul",),
    "NZ": ("Pacific/Auckland", "Pacific/Chatham"),
    "DE": ("Europe/Berlin",),
    "PT": ("Atlantic/Azores", "Europe/Lisbon"),
    "XK": ("Etc/GMT-14", "Etc/GMT+12"),
}
"""The zones where a day begins first and last; XK has none."""
_STRICT = {"default-on": 0, "opt-in": 1, "excluded": 2}

Manifests = dict[int, dict[int, list[str]]]
"""By the act that froze: each member's reasons, sorted; none for a member who is in."""
Incidents = dict[tuple[int, int, str], list[int]]
"""By the act that froze, the act that is the cause, and the reason: the members."""


def judge(world: acts.World) -> tuple[Manifests, Incidents]:
    """The manifests and the incidents that a world owes."""
    judging = _Judge(world)
    manifests: Manifests = {}
    incidents: Incidents = {}
    for frozen, act in enumerate(world.acts):
        if not isinstance(act, acts.Frozen):
            continue
        found = {n: judging.reasons(n, frozen, frozen) for n in range(len(world.members))}
        manifests[frozen] = found
        for number in range(len(world.members)):
            if found[number]:
                continue
            told: set[str] = set()
            for later in range(frozen + 1, len(world.acts)):
                for code in judging.reasons(number, frozen, later):
                    if code not in told:
                        told.add(code)
                        incidents.setdefault((frozen, later, code), []).append(number)
    return manifests, incidents


@dataclass
class _Listed:
    """A rule, an age or a notice that counts, with its place among the acts and the place and moment since which it counts."""

    what: acts.Rule | acts.Age | acts.Notice
    place: int
    known: int
    known_at: dt.datetime
    is_approved: bool


@dataclass
class _Place:
    """The answers of a country for a manifest's question."""

    reason: str = ""
    asks: bool = False
    windows: list[tuple[str, dt.datetime, dt.datetime | None]] = field(default_factory=list)
    age: int = 18
    today: dt.date = dt.date.min


class _Judge:
    def __init__(self, world: acts.World) -> None:
        self.world = world
        self.places: dict[tuple[int, int, str], _Place] = {}
        self.listed: list[_Listed] = []
        for number, purpose in enumerate(acts.PURPOSES):
            first = acts.Rule(acts.BEGINNING, purpose, acts.COUNTRIES, "default-on", acts.LONG_AGO)
            self.listed.append(_Listed(first, number - 10, number - 9, acts.BEGINNING, True))
        notice = acts.Notice(acts.BEGINNING, "n0", acts.PURPOSES, acts.CATEGORIES, acts.COUNTRIES,
            acts.LONG_AGO, "")  # fmt: skip
        self.listed.append(_Listed(notice, -2, -1, acts.BEGINNING, True))
        for place, act in enumerate(world.acts):
            if isinstance(act, acts.Notice | acts.Rule | acts.Age):
                self._list(act, place)

    def _list(self, act: acts.Rule | acts.Age | acts.Notice, place: int) -> None:
        if self._waits(act, place):
            for later, one in enumerate(self.world.acts):
                if isinstance(one, acts.Approved) and one.of == place:
                    self.listed.append(_Listed(act, place, later, one.at, True))
        else:
            self.listed.append(_Listed(act, place, place, act.at, False))

    def _waits(self, act: acts.Rule | acts.Age | acts.Notice, place: int) -> bool:
        """Whether a second person must approve it: every notice, and what loosens on its day."""
        if isinstance(act, acts.Notice):
            return True
        for country in act.countries:
            if isinstance(act, acts.Age):
                if act.age < self._age(country, act.effective_from, place):
                    return True
            else:
                held = self._rules(act.purpose, country, act.effective_from, place)
                before = held[-1].what.rule if held else "excluded"  # type: ignore[union-attr]
                if _STRICT[act.rule] < _STRICT[before]:
                    return True
        return False

    # --- Members ---

    def reasons(self, number: int, frozen: int, upto: int) -> list[str]:
        """The reasons that keep a member out of a manifest, as known at an act."""
        run = self.world.acts[frozen]
        assert isinstance(run, acts.Frozen)
        # A move and a closing hold from their recording, so those of the manifest's cut count.
        country = self._facts(number, frozen).country
        facts = self._facts(number, upto)
        place = self._place(frozen, upto, country)
        found = set()
        if not self._facts(number, frozen).is_open:
            found.add("closed")
        if not country:
            found.add("country_unknown")
        if facts.adult_on is None or facts.adult_on > place.today or facts.adult_at < place.age:
            found.add("minor")
        if place.reason:
            found.add(place.reason)
        chosen = self._chosen(number, run, upto)
        if chosen and chosen[0] == "deny":
            found.add("opted_out")
        if place.asks and not (
            chosen
            and chosen[0] == "allow"
            and any(
                version == chosen[2] and begins <= chosen[1] and (not ends or chosen[1] < ends)
                for version, begins, ends in place.windows
            )
        ):
            found.add("not_opted_in")
        return sorted(found | self._objected(number, run, upto))

    def _facts(self, number: int, upto: int) -> acts.Member:
        facts = self.world.members[number]
        for act in self.world.acts[: upto + 1]:
            if isinstance(act, acts.Reported):
                for member, said in act.members:
                    if member == number:
                        facts = said
        return facts

    def _chosen(
        self, number: int, run: acts.Frozen, upto: int
    ) -> tuple[str, dt.datetime, str] | None:
        """The choice in force when the manifest was frozen: the last one decided by then, of those received by an act."""
        holds: tuple[str, dt.datetime, str] | None = None
        is_ahead = False
        if run.purpose != acts.BY_SETTING:
            return None
        for act in self.world.acts[: upto + 1]:
            if not isinstance(act, acts.Decided):
                continue
            for one in act.decisions:
                at = min(one.decided_at, act.at)
                if one.member != number or at > run.at:
                    continue
                if holds is None or at > holds[1]:
                    wins = True
                elif one.choice == "allow" or holds[0] == "deny":
                    wins = False
                else:
                    same_second = at.microsecond == 0 and holds[1].replace(microsecond=0) == at
                    wins = at == holds[1] or same_second or is_ahead or holds[1] > act.at
                if wins:
                    holds = (one.choice, at, one.notice)
                    is_ahead = one.choice == "allow" and one.decided_at > act.at
        return holds

    def _objected(self, number: int, run: acts.Frozen, upto: int) -> set[str]:
        found = set()
        for place, act in enumerate(self.world.acts[: upto + 1]):
            if not (
                isinstance(act, acts.Objected)
                and act.member == number
                and run.purpose in act.purposes
            ):
                continue
            state, since, until = "objection_open", act.received_at, None
            for later in self.world.acts[: upto + 1]:
                if isinstance(later, acts.Effect) and later.of == place:
                    if later.effect == "upheld":
                        state, until = "objection_upheld", None
                    elif later.effect == "lifted":
                        until = later.at
                    else:
                        # The letter came back: it has lifted nothing.
                        since, until = until or since, None
            if since <= run.at and (until is None or run.at < until):
                found.add(state)
        return found

    # --- Countries ---

    def _place(self, frozen: int, upto: int, country: str) -> _Place:
        if (frozen, upto, country) not in self.places:
            self.places[frozen, upto, country] = self._ask(frozen, upto, country)
        return self.places[frozen, upto, country]

    def _ask(self, frozen: int, upto: int, country: str) -> _Place:
        run = self.world.acts[frozen]
        assert isinstance(run, acts.Frozen)
        zones = [ZoneInfo(name) for name in _ZONES.get(country, _ZONES["XK"])]
        days = sorted({run.at.astimezone(zone).date() for zone in zones})
        days = [days[0] + dt.timedelta(days=n) for n in range((days[-1] - days[0]).days + 1)]
        found = _Place(today=days[0])
        if not country:
            return found
        found.age = max(self._age(country, day, upto + 1) for day in days)
        held = [self._rules(run.purpose, country, day, upto + 1) for day in days]
        rules = [one[-1].what.rule if one else "excluded" for one in held]  # type: ignore[union-attr]
        strictest = max(rules, key=lambda rule: _STRICT[rule])
        if strictest == "excluded":
            found.reason = "region"
        elif any(not self._is_covered(run, country, day, upto) for day in days):
            found.reason = "no_notice"
        if strictest == "opt-in":
            found.asks = True
            since = []
            for rows, rule in zip(held, rules, strict=True):
                if rule == "opt-in":
                    asking = []
                    for row in reversed(rows):
                        assert isinstance(row.what, acts.Rule)
                        if row.what.rule != "opt-in":
                            break
                        day_begins = max(_midnights(row.what.effective_from, country))
                        asking.append(max(day_begins, row.known_at))
                    since.append(min(asking))
            found.windows = self._windows(run, country, max(since), upto)
        return found

    def _rules(self, purpose: str, country: str, day: dt.date, before: int) -> list[_Listed]:
        """The rules that held one after the other, of those that counted before an act."""
        rows = [
            row
            for row in self.listed
            if isinstance(row.what, acts.Rule) and row.known < before
            and row.what.purpose == purpose and country in row.what.countries
            and row.what.effective_from <= day
        ]  # fmt: skip
        rows.sort(key=lambda row: (row.what.effective_from, row.place))  # type: ignore[union-attr]
        held: list[_Listed] = []
        for n, row in enumerate(rows):
            assert isinstance(row.what, acts.Rule)
            holds = held[-1].what.rule if held else "excluded"  # type: ignore[union-attr]
            stricter = [
                one.known
                for one in rows[:n]
                if _STRICT[one.what.rule] > _STRICT[row.what.rule]  # type: ignore[union-attr]
            ]
            if _STRICT[row.what.rule] >= _STRICT[holds] or (
                row.is_approved and all(row.known > known for known in stricter)
            ):
                held.append(row)
        return held

    def _age(self, country: str, day: dt.date, before: int) -> int:
        rows = [
            row
            for row in self.listed
            if isinstance(row.what, acts.Age) and row.known < before
            and country in row.what.countries and row.what.effective_from <= day
        ]  # fmt: skip
        rows.sort(key=lambda row: (row.what.effective_from, row.place))  # type: ignore[union-attr]
        holds = 18
        for n, row in enumerate(rows):
            assert isinstance(row.what, acts.Age)
            higher = [one.known for one in rows[:n] if one.what.age > row.what.age]  # type: ignore[union-attr]
            if row.what.age >= holds or (row.is_approved and all(row.known > k for k in higher)):
                holds = row.what.age
        return holds

    def _notices(self, upto: int) -> list[tuple[acts.Notice, dt.datetime]]:
        return [
            (row.what, row.known_at)
            for row in self.listed
            if isinstance(row.what, acts.Notice) and row.known <= upto
        ]

    def _ends(self, version: str, upto: int) -> list[dt.date]:
        """The days on which a notice ends: those of its successors, and of its withdrawals."""
        ends = [one.in_force_from for one, _ in self._notices(upto) if one.supersedes == version]
        for act in self.world.acts[: upto + 1]:
            if isinstance(act, acts.Withdrawn) and act.notice == version:
                ends.append(act.withdrawn_from)
        return ends

    def _is_covered(self, run: acts.Frozen, country: str, day: dt.date, upto: int) -> bool:
        covered: set[str] = set()
        for notice, _ in self._notices(upto):
            is_over = any(end <= day for end in self._ends(notice.version, upto))
            if (
                notice.in_force_from <= day
                and not is_over
                and run.purpose in notice.purposes
                and country in notice.countries
            ):
                covered |= set(notice.categories)
        return set(run.categories) <= covered

    def _windows(
        self, run: acts.Frozen, country: str, since: dt.datetime, upto: int
    ) -> list[tuple[str, dt.datetime, dt.datetime | None]]:
        found = []
        for notice, known_at in self._notices(upto):
            if (
                run.purpose in notice.purposes
                and country in notice.countries
                and set(run.categories) <= set(notice.categories)
            ):
                begins = max(since, *_midnights(notice.in_force_from, country), known_at)
                ends = [min(_midnights(day, country)) for day in self._ends(notice.version, upto)]
                found.append((notice.version, begins, min(ends, default=None)))
        return found


def _midnights(day: dt.date, country: str) -> list[dt.datetime]:
    return [
        dt.datetime.combine(day, dt.time(), ZoneInfo(name)).astimezone(dt.UTC)
        for name in _ZONES[country]
    ]
