"""A race to freeze in: writers of every kind, and an oracle that knows every acknowledged write.

The oracle shares nothing with the portal but its words: plain dictionaries, and rules of its own, small
enough to be read at a glance. It learns of a write from its acknowledgement alone.
"""

import datetime as dt
import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from common.errors import StaleEdit
from consent import accounts, countries, members
from consent import decisions as consent
from consent.choices import Choice, Purpose, ReviewVerdict, RuleKind
from consent.members import Facts
from consent.models import AccountReference, Member
from consent.rulebook import proposing
from ledger import entries
from objections.choices import Effect
from objections.errors import PersonalDataErased
from objections.intake import receiving
from objections.letters import outbox
from tools import factories
from training_runs.models import Manifest
from training_runs.runs import freezing
from training_runs.runs import registering as runs

PURPOSE = Purpose.GENERATIVE_AI
ADULT = dt.date(1990, 1, 1)
OPT_IN, WITHOUT_NOTICE = "HK", "BR"
NOTICE = "race"
DAY = dt.timedelta(days=1)
BEGINNING = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
RULED = ("CA", "GB")
"""Countries whose rule changes during the race, each by a writer of its own."""
COUNTRIES = ("US", "US", "IN", *RULED, OPT_IN, WITHOUT_NOTICE, countries.UNKNOWN)


# --- The oracle ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Act:
    """An acknowledged write: its entry, when it was asked for and answered, what it did."""

    entry: int
    asked: float
    answered: float
    facts: tuple[tuple[Any, ...], ...]


@dataclass
class Oracle:
    """Who must be in and out at any cut, from acknowledgements alone."""

    acts: list[Act] = field(default_factory=list)
    asks_since: dt.datetime = BEGINNING
    """The moment since when a yes can be consent: the rule that asks and the notice were known."""

    def heard(self, entry: int, asked: float, *facts: tuple[Any, ...]) -> None:
        # Appending to a list is atomic; order comes from the entries.
        self.acts.append(Act(entry, asked, time.monotonic(), facts))

    def reasons_at(self, cut: int, as_of: dt.datetime) -> dict[int, set[str]]:
        """For every member known at the cut the reasons to be out; an empty set is in."""
        people: dict[int, Facts] = {}
        chosen: dict[int, tuple[dt.datetime, bool]] = {}
        excluded: set[str] = set()
        tickets: dict[int, tuple[int, str]] = {}
        for act in sorted(self.acts, key=lambda act: act.entry):
            if act.entry > cut:
                break
            for kind, key, *value in act.facts:
                if kind == "member":
                    people[key] = value[0]
                elif kind == "erased":
                    people[key] = people[key]._replace(status="erased")
                elif kind == "choice":
                    # The newest choice counts; of two equally new ones the denial (True > False).
                    chosen[key] = max(chosen.get(key, value[0]), value[0])
                elif kind == "country":
                    excluded = excluded | {key} if value[0] else excluded - {key}
                elif kind == "ticket":
                    tickets[key] = (value[0], value[1])
        effects: dict[int, set[str]] = {}
        for number, effect in tickets.values():
            effects.setdefault(number, set()).add(effect)
        found: dict[int, set[str]] = {}
        for number, facts in people.items():
            decided_at, denies = chosen.get(number, (self.asks_since, None))
            found[number] = {
                reason
                for reason, holds in {
                    "erased": facts.status == "erased",
                    "closed": facts.status in ("closed", "unknown"),
                    "country_unknown": facts.country == "",
                    "minor": facts.adult_on is None or facts.adult_on > as_of.date(),
                    "region": facts.country in excluded,
                    "no_notice": facts.country == WITHOUT_NOTICE,
                    "not_opted_in": facts.country == OPT_IN
                    and (denies is not False or decided_at < self.asks_since),
                    "opted_out": denies is True,
                    "objection_open": "restricting" in effects.get(number, ()),
                    "objection_upheld": "upheld" in effects.get(number, ()),
                }.items()
                if holds
            }
        return found

    def objections_to(self, cut: int, as_of: dt.datetime, included: set[int]) -> list[str]:
        """What is wrong with an included set that claims a cut; empty when nothing is."""
        must = {number for number, reasons in self.reasons_at(cut, as_of).items() if not reasons}
        return [
            f"cut {cut}: member {number} is wrongly in" for number in sorted(included - must)
        ] + [f"cut {cut}: member {number} is wrongly out" for number in sorted(must - included)]

    def missing_before(self, moment: float, cut: int) -> list[int]:
        """Entries acknowledged before a moment that the cut leaves out."""
        return [act.entry for act in self.acts if act.answered < moment and act.entry > cut]


# --- The race -----------------------------------------------------------------------------------


@dataclass
class Race:
    """Writers that write while the freezer freezes: `acts_each` acts a round, a round for each freeze."""

    oracle: Oracle
    actor: User
    reviewer: User
    acts_each: int
    numbers: dict[str, int]
    faults: list[BaseException] = field(default_factory=list)
    references: list[str] = field(init=False)
    _allowed: int = 0
    _written: int = 0
    _over: bool = False
    _moved: threading.Condition = field(default_factory=threading.Condition)

    def __post_init__(self) -> None:
        self.references = list(self.numbers)

    def next_round(self) -> None:
        """Let every writer go on."""
        with self._moved:
            self._allowed += self.acts_each
            self._moved.notify_all()

    def wait_for_acts(self, count: int) -> None:
        """Return once the writers have had `count` more acts acknowledged: what a slow reader would see."""
        with self._moved:
            goal = self._written + count
            self._allowed += count
            self._moved.notify_all()
            while self._written < goal and not self.faults:
                self._moved.wait(0.1)

    def _may_go_on(self, done: int) -> bool:
        with self._moved:
            while done >= self._allowed and not self._over:
                self._moved.wait(0.1)
            return not self._over

    def _write(self, act: Callable[[random.Random], None], seed: int) -> None:
        chance, done = random.Random(seed), 0
        try:
            while self._may_go_on(done):
                act(chance)
                done += 1
                with self._moved:
                    self._written += 1
                    self._moved.notify_all()
        except BaseException as fault:  # whatever it is, the test must see it
            self.faults.append(fault)
        finally:
            connection.close()


@contextmanager
def race(oracle: Oracle, actor: User, reviewer: User, *, acts_each: int = 1) -> Iterator[Race]:
    """Ten writers, each with a connection of its own, until the block ends."""
    numbers = dict(
        AccountReference.objects.filter(account_ref__startswith="acc-").values_list(
            "account_ref", "member_id"
        )
    )
    running = Race(oracle, actor, reviewer, acts_each, numbers)
    writers = [
        _single_decisions(running, "a"),
        _single_decisions(running, "b"),
        _single_decisions(running, "c"),
        _bulk_decisions(running),
        _imports(running, "d"),
        _imports(running, "e"),
        *(_rule_changes(running, country) for country in RULED),
        _objections(running),
        _erasures(running),
    ]
    threads = [
        threading.Thread(target=running._write, args=(writer, seed))
        for seed, writer in enumerate(writers)
    ]
    for thread in threads:
        thread.start()
    try:
        yield running
    finally:
        with running._moved:
            running._over = True
            running._moved.notify_all()
        for thread in threads:
            thread.join()


def world(actor: User, reviewer: User, *, size: int = 300) -> Oracle:
    """Rules and notices in force, and members of every kind; the oracle that knows them."""
    factories.allow(actor, reviewer, purposes=[PURPOSE])
    factories.allow(actor, reviewer, purposes=[PURPOSE], codes=[OPT_IN], rule=RuleKind.OPT_IN)
    covered = [code for code in countries.NAMES if code != WITHOUT_NOTICE]
    factories.publish(actor, reviewer, codes=covered, version=NOTICE)
    oracle, chance = Oracle(asks_since=entries.last_recorded_at()), random.Random(2024)
    asked = time.monotonic()
    everybody = [_facts(chance) for _ in range(size)]
    with entries.entry("test.members", actor=actor) as opened:
        numbers = members.create([(f"acc-{i}", facts) for i, facts in enumerate(everybody)])
    oracle.heard(
        opened.sequence,
        asked,
        *(("member", number, facts) for number, facts in zip(numbers, everybody, strict=True)),
    )
    return oracle


def _facts(chance: random.Random) -> Facts:
    today = timezone.now().date()
    # Two days from today it is the same in every country.
    ages = [ADULT] * 6 + [today - 2 * DAY, today + 2 * DAY, dt.date(2040, 1, 1), None]
    status = chance.choice(["open"] * 8 + ["closed", "unknown"])
    return Facts(chance.choice(COUNTRIES), "", chance.choice(ages), status)


# --- Writers ------------------------------------------------------------------------------------
# Each returns one act; every act tells the oracle what was acknowledged.

Writer = Callable[[random.Random], None]


def _decision(chance: random.Random, account_ref: str, source_id: str) -> consent.DecisionInput:
    # A choice of seconds out of the last minute: late, out of order, and often at the same time.
    decided_at = timezone.now().replace(microsecond=0) - dt.timedelta(seconds=chance.randrange(60))
    return consent.DecisionInput(
        account_ref=account_ref,
        purpose=PURPOSE,
        choice=chance.choice(Choice.values),
        channel="product",
        source_id=source_id,
        decided_at=decided_at,
        notice_version=NOTICE,
    )


def _decide(race: Race, sent: list[consent.DecisionInput]) -> None:
    asked = time.monotonic()
    answers = consent.record_decisions(sent, actor=race.actor)
    facts: list[tuple[Any, ...]] = []
    entries = set()
    for item, answer in zip(sent, answers, strict=True):
        if not isinstance(answer, consent.Recorded):
            continue  # an erased account: nothing was kept, nothing may change
        entries.add(answer.entry)
        number = race.numbers.get(item.account_ref)
        if number is None:
            # Heard of for the first time: a member of whom nothing is known.
            number = AccountReference.objects.get(account_ref=item.account_ref).member_id
            facts.append(("member", number, Facts()))
        facts.append(("choice", number, (item.decided_at, item.choice == Choice.DENY)))
    for entry in entries:
        race.oracle.heard(entry, asked, *facts)


def _single_decisions(race: Race, name: str) -> Writer:
    count = itertools.count()

    def act(chance: random.Random) -> None:
        number = next(count)
        is_stranger = chance.random() < 0.05
        account_ref = f"stranger-{name}-{number}" if is_stranger else chance.choice(race.references)
        _decide(race, [_decision(chance, account_ref, f"{name}-{number}")])

    return act


def _bulk_decisions(race: Race) -> Writer:
    count = itertools.count()

    def act(chance: random.Random) -> None:
        chosen = chance.sample(race.references, 20)
        _decide(race, [_decision(chance, ref, f"bulk-{next(count)}") for ref in chosen])

    return act


def _imports(race: Race, name: str) -> Writer:
    """As an import does: some new members and some with other facts, in one entry."""
    count = itertools.count()

    def act(chance: random.Random) -> None:
        new = [(f"{name}-{next(count)}", _facts(chance)) for _ in range(chance.randrange(2))]
        chosen = [race.numbers[ref] for ref in chance.sample(race.references, 8)]
        asked = time.monotonic()
        with entries.entry("test.batch", actor=race.actor) as opened:
            rows = Member.objects.filter(pk__in=chosen).exclude(status="erased")
            changes = [(member, _facts(chance)) for member in rows]
            members.change(changes)
            numbers = members.create(new)
        race.oracle.heard(
            opened.sequence,
            asked,
            *(("member", member.pk, facts) for member, facts in changes),
            *(("member", number, facts) for number, (_, facts) in zip(numbers, new, strict=True)),
        )

    return act


def _rule_changes(race: Race, country: str) -> Writer:
    """Exclude the country, lift it again with a colleague's approval, and so on; decisions in between."""
    turn = itertools.cycle([RuleKind.EXCLUDED, RuleKind.DEFAULT_ON])
    decide = _single_decisions(race, country)

    def act(chance: random.Random) -> None:
        if chance.random() < 0.7:
            decide(chance)
            return
        rule = next(turn)
        asked = time.monotonic()
        row = proposing.propose_rule(
            purpose=PURPOSE,
            countries=[country],
            rule=rule,
            effective_from=factories.LONG_AGO,
            source="test",
            actor=race.actor,
        )
        if rule == RuleKind.EXCLUDED:
            race.oracle.heard(row.entry_id, asked, ("country", country, True))
            return
        race.oracle.heard(row.entry_id, asked)
        asked = time.monotonic()
        word = proposing.review(
            proposal=row, verdict=ReviewVerdict.APPROVED, actor=race.reviewer, reason="test"
        )
        race.oracle.heard(word.entry_id, asked, ("country", country, False))

    return act


def _objections(race: Race) -> Writer:
    """Receive two, settle one: upheld or lifted."""
    open_tickets: list[Any] = []

    def act(chance: random.Random) -> None:
        asked = time.monotonic()
        if len(open_tickets) < 2:
            number = race.numbers[chance.choice(race.references)]
            # A vouched-for member of the product, or a visitor's form that names the account.
            account_ref = chance.choice(race.references)
            number = race.numbers[account_ref]
            facts = chance.choice(
                [{"account_ref": account_ref}, {"member": Member.objects.get(pk=number)}]
            )
            ticket = receiving.receive(
                receiving.Filing(
                    purposes=[PURPOSE],
                    channel="product",
                    email=f"{chance.getrandbits(32)}@example.org",
                    **facts,
                ),
                actor=race.actor,
            )
            entry = ticket.history.get().entry_id
            if ticket.member_id is None:
                # Erased in the meantime, hence out already: no form can name them any more.
                race.oracle.heard(entry, asked)
                return
            race.oracle.heard(entry, asked, ("ticket", ticket.pk, number, "restricting"))
            open_tickets.append((ticket, number))
            return
        ticket, number = open_tickets.pop(0)
        ticket.refresh_from_db()
        try:
            if chance.random() < 1 / 3:
                factories.uphold(ticket, race.actor)
                effect = Effect.UPHELD
            else:
                factories.withdraw(ticket, race.actor, race.reviewer)
                asked = time.monotonic()
                letter = ticket.letters.get(kind="withdrawn")
                outbox.record_sent(letter, sent_at=timezone.now(), actor="test")
                effect = Effect.RESTRICTION_LIFTED
        except (StaleEdit, PersonalDataErased):
            # The member was erased meanwhile, and the words went along.
            return
        changed = ticket.objections.get().history.filter(effect=effect).order_by("history_id")
        if changed:
            race.oracle.heard(
                changed[0].entry_id, asked, ("ticket", ticket.pk, number, effect.value)
            )

    return act


def _erasures(race: Race) -> Writer:
    """One erasure now and then, of an account that is erased only once; a single decision otherwise."""
    left = iter(random.Random(7).sample(race.references, 40))
    decide = _single_decisions(race, "f")

    def act(chance: random.Random) -> None:
        account_ref = next(left, None) if chance.random() < 0.1 else None
        if account_ref is None:
            decide(chance)
            return
        asked = time.monotonic()
        member = accounts.erase_member(account_ref=account_ref, actor=race.actor, reason="test")
        entry = member.history.latest("history_id").entry_id
        race.oracle.heard(entry, asked, ("erased", member.pk))

    return act


# --- Freezing in the race -----------------------------------------------------------------------


@dataclass(frozen=True)
class Frozen:
    """A freeze of the race: its manifest, when its start was asked for, and the entry of the request."""

    manifest: Manifest
    start_asked: float
    requested: int


def freeze(race: Race, owner: User, *, after_acts: int = 0) -> Frozen:
    """Register, start and freeze a run while every writer writes.

    The freeze begins once `after_acts` of them were acknowledged after its request: on SQLite, where a waiting writer
    only looks now and then whether it is its turn, few would come between by chance.
    """
    run = factories.register(owner, purpose=PURPOSE)
    start_asked = time.monotonic()
    run = runs.start(run=run, actor=owner)
    requested = run.history.latest("history_id").entry_id
    race.next_round()
    race.wait_for_acts(after_acts)
    manifest = freezing.freeze(run.pk)
    assert manifest is not None
    return Frozen(manifest, start_asked, requested)
