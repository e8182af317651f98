"""The player: performs a history through the portal's services, and reads what the portal made of it."""

import datetime as dt
from typing import Any

import time_machine
from django.contrib.auth.models import User

from consent import decisions, members
from consent import models as consent
from consent.choices import Channel, ReviewVerdict, Status
from consent.countries import NAMES
from consent.members import Facts
from consent.rulebook import notices, proposing
from ledger import entries
from objections.choices import Effect
from objections.models import Objection, Ticket
from tools import factories
from tools.worlds import histories as acts
from tools.worlds.naive import Incidents, Manifests
from training_runs import teams
from training_runs.errors import StartRefused
from training_runs.incidents import archive, finding
from training_runs.manifests import archives, manifest_file
from training_runs.models import Incident, Manifest
from training_runs.runs import freezing, registering, verifying

EFFECTS = {
    "lifted": Effect.RESTRICTION_LIFTED,
    "upheld": Effect.UPHELD,
    "restricting": Effect.RESTRICTING,
}


class Player:
    """One world, played in an empty database."""

    def __init__(self, world: acts.World, *, officer: User, second: User, engineer: User) -> None:
        self.world = world
        self.officer, self.second, self.engineer = officer, second, engineer
        self.rows: dict[int, Any] = {}
        """By act what it made: a rule, a notice, an age, a ticket, a manifest."""
        self.upto: list[int] = []
        """The size of the ledger after each act."""
        self.numbers: list[int] = []

    def play(self) -> None:
        with time_machine.travel(acts.BEGINNING, tick=False):
            factories.allow(self.officer, self.second, effective_from=acts.LONG_AGO)
            self.first = factories.publish(self.officer, self.second, version="n0")
            self.team = teams.create(name="worlds", responsible=self.engineer, actor="test")
            with entries.entry("test.members", actor="test"):
                self.numbers = members.create(
                    [(f"world-{n}", _facts(one)) for n, one in enumerate(self.world.members)]
                )
        for place, act in enumerate(self.world.acts):
            with time_machine.travel(act.at, tick=False):
                self.rows[place] = getattr(self, f"_{type(act).__name__.lower()}")(act, place)
            self.upto.append(entries.read_head().size)
        with time_machine.travel(self.world.acts[-1].at + dt.timedelta(days=1), tick=False):
            finding.look()

    def manifests(self) -> Manifests:
        found: Manifests = {}
        for place, row in self.rows.items():
            if isinstance(row, Manifest):
                file = manifest_file.parse(archives.load(row.digest))
                found[place] = {
                    n: sorted(file.reasons(number)) for n, number in enumerate(self.numbers)
                }
                for n, number in enumerate(self.numbers):
                    assert (number in file.included) == (not found[place][n])
        return found

    def incidents(self) -> Incidents:
        places = {row.run_id: n for n, row in self.rows.items() if isinstance(row, Manifest)}
        members_of = {number: n for n, number in enumerate(self.numbers)}
        return {
            (places[one.run_id], self._act_of(one.cause), code): [members_of[n] for n in numbers]
            for one in Incident.objects.order_by("pk")
            for code, numbers in archive.load(one).items()
        }

    def _act_of(self, entry: int) -> int:
        return next(place for place, size in enumerate(self.upto) if entry <= size)

    # --- Acts ---

    def _decided(self, act: acts.Decided, place: int) -> None:
        decisions.record_decisions(
            [
                decisions.DecisionInput(
                    account_ref=f"world-{one.member}",
                    purpose=acts.BY_SETTING,
                    choice=one.choice,
                    channel=Channel.PRODUCT,
                    source_id=f"s-{place}-{n}",
                    decided_at=one.decided_at,
                    notice_version=one.notice,
                )
                for n, one in enumerate(act.decisions)
            ],
            actor="test",
        )

    def _rule(self, act: acts.Rule, place: int) -> Any:
        return proposing.propose_rule(
            purpose=act.purpose, countries=act.countries, rule=act.rule,
            effective_from=act.effective_from, source=f"act {place}", actor=self.officer,
        )  # fmt: skip

    def _notice(self, act: acts.Notice, place: int) -> Any:
        return proposing.propose_notice(
            version=act.version, purposes=act.purposes, data_categories=act.categories,
            countries=act.countries, published_on=act.in_force_from - dt.timedelta(days=60),
            in_force_from=act.in_force_from, texts=factories.TEXTS, source=f"act {place}",
            supersedes=self._known(act.supersedes), actor=self.officer,
        )  # fmt: skip

    def _known(self, version: str) -> consent.Notice | None:
        return consent.Notice.objects.get(version=version) if version else None

    def _age(self, act: acts.Age, place: int) -> Any:
        return proposing.propose_age(
            countries=act.countries, age=act.age, effective_from=act.effective_from,
            source=f"act {place}", actor=self.officer,
        )  # fmt: skip

    def _approved(self, act: acts.Approved, place: int) -> None:
        row = self.rows[act.of]
        if row.needs_approval:
            proposing.review(
                proposal=row, verdict=ReviewVerdict.APPROVED, reason="test", actor=self.second
            )

    def _withdrawn(self, act: acts.Withdrawn, place: int) -> None:
        notice = consent.Notice.objects.get(version=act.notice)
        notices.withdraw(
            notice=notice, withdrawn_from=act.withdrawn_from, source="test", actor=self.officer
        )

    def _reported(self, act: acts.Reported, place: int) -> None:
        with entries.entry("test.moved", actor="test"):
            rows = consent.Member.objects.in_bulk([self.numbers[n] for n, _ in act.members])
            members.change([(rows[self.numbers[n]], _facts(said)) for n, said in act.members])

    def _objected(self, act: acts.Objected, place: int) -> Ticket:
        return factories.objection(
            f"world-{act.member}", purposes=act.purposes, received_at=act.received_at
        )

    def _effect(self, act: acts.Effect, place: int) -> None:
        """Give the row what a letter that was delivered, or came back, gives it (`objections.letters.effects`)."""
        lifted = [
            one.at
            for one in self.world.acts[:place]
            if isinstance(one, acts.Effect) and one.of == act.of and one.effect == "lifted"
        ]
        with entries.entry("test.moved", actor="test"):
            for row in Objection.objects.filter(ticket=self.rows[act.of]):
                row.effect = EFFECTS[act.effect]
                if act.effect == "restricting":
                    row.restricts_since = lifted[-1]
                row.save()

    def _frozen(self, act: acts.Frozen, place: int) -> Manifest | None:
        """The manifest; None for a run that the portal does not start, because no member would be in."""
        run, _ = registering.register(
            tracker_run_id=f"world-{place}", purpose=act.purpose,
            data_categories=list(act.categories), actor=self.engineer, team=self.team,
        )  # fmt: skip
        try:
            run = registering.start(run=run, actor=self.engineer, accept_unmatched=True)
        except StartRefused:
            return None
        manifest = freezing.freeze(run.pk)
        assert manifest is not None
        if self.world.seed % 4 == 0:
            assert verifying.verify(manifest).agreement == "agrees"
        return manifest

    def _looked(self, act: acts.Looked, place: int) -> None:
        finding.look()


def _facts(member: acts.Member) -> Facts:
    assert member.country in NAMES or not member.country
    status = Status.OPEN if member.is_open else Status.CLOSED
    return Facts(member.country, "", member.adult_on, status.value, member.adult_at)
