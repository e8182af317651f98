"""The objection desk of the played past: who files, who works, and when each ticket goes on.

Every act goes through the services that the portal's pages call; only the time is played (`demo.clock`).
"""

import datetime as dt
import heapq
import random
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User

from consent.models import AccountReference, Member
from demo import mail_server, wording
from demo.clock import PlayedClock
from demo.population import Person
from objections import acts
from objections.acts import on_letters
from objections.choices import (
    ENDINGS,
    OPEN_STATES,
    ChangeVerdict,
    Channel,
    Delivery,
    Outcome,
    Regime,
)
from objections.clock import deadlines
from objections.clock.days import day_of
from objections.intake import receiving
from objections.letters import composing, effects, outbox
from objections.models import Letter, Proposal, Ticket
from objections.ticket import uploads
from training_runs.models import Incident

Life = Iterator[dt.datetime]
"""The course of one ticket. Between two acts it yields the time of the next one."""

_SATURDAY = 5
_WEIGHED = ("personalisation", "safety")


@dataclass(frozen=True)
class Who:
    """A person who objects. `member` is the account they have, whether or not we can know that."""

    name: str
    email: str
    country: str
    region: str = ""
    member: Member | None = None
    account_ref: str = ""


class Desk:
    def __init__(
        self, people: Collection[Person], *, clock: PlayedClock, until: dt.datetime, seed: int
    ) -> None:
        self.clock = clock
        self.until = until
        self.chance = random.Random(seed)
        self.olga = User.objects.get(username="olga")
        self.otto = User.objects.get(username="otto")
        self._product = User.objects.get(username="product")
        self._known = 0
        self._accounts: dict[str, list[str]] = defaultdict(list)
        for person in people:
            self._accounts[person.country].append(person.account_ref)

    # --- Time -----------------------------------------------------------------------------------

    def play(self, lives: Iterable[Life]) -> None:
        """All lives in the order of time; whatever would happen later than `until` does not happen."""
        agenda = [(next(life), number, life) for number, life in enumerate(lives)]
        heapq.heapify(agenda)
        while agenda and agenda[0][0] < self.until:
            moment, number, life = heapq.heappop(agenda)
            self.clock.move_on_to(moment)
            goes_on = next(life, None)
            self.clock.wait(seconds=4)
            self.send_letters()
            if goes_on is not None:
                heapq.heappush(agenda, (max(goes_on, moment), number, life))

    def send_letters(self) -> None:
        """Send letters and let restrictions end, as the worker does seconds after each act."""
        outbox.send_due()
        effects.count_delivered()

    def ago(self, days: float) -> dt.datetime:
        """Some time of that day, at which people may write."""
        return self.until - dt.timedelta(days=days, minutes=self.chance.randrange(15, 600))

    def at_work(self, moment: dt.datetime, days: float = 0) -> dt.datetime:
        """So many days after a moment, in office hours."""
        day = (moment + dt.timedelta(days=days)).date()
        while day.weekday() >= _SATURDAY:
            day += dt.timedelta(days=1)
        minute = self.chance.randrange(8 * 60, 17 * 60)
        return dt.datetime.combine(day, dt.time(), dt.UTC) + dt.timedelta(minutes=minute)

    def filed_to_be_due(self, in_days: int, regime: Regime) -> dt.datetime:
        """The filing time of an objection whose answer is due in so many days: at the latest then if that is past, else at the
        earliest then. (Not every day is one on which an answer can be due.)
        """
        due_on = day_of(self.until) + dt.timedelta(days=in_days)
        day = due_on - dt.timedelta(days=45)
        while _due(day, regime) < due_on:
            day += dt.timedelta(days=1)
        if in_days < 0 and _due(day, regime) > due_on:
            day -= dt.timedelta(days=1)
        return dt.datetime.combine(day, dt.time(9), dt.UTC)

    # --- People ---------------------------------------------------------------------------------

    def a_requester(self, country: str, region: str = "", *, has_account: bool = True) -> Who:
        """A new person; one without an account where no member of that country is left."""
        self._known += 1
        name = wording.name_of(self._known, country, self.chance)
        account_ref = (
            self._accounts[country].pop() if has_account and self._accounts[country] else ""
        )
        member = None
        if account_ref:
            found = AccountReference.objects.select_related("member")
            member = found.get(account_ref=account_ref).member
        return Who(name.full, name.email, country, region, member, account_ref)

    # --- Acts of the person ---------------------------------------------------------------------

    def file(self, who: Who, channel: str, purposes: Iterable[str], **more: Any) -> Ticket:
        """An objection, the way the channel takes it."""
        purposes = sorted(purposes)
        facts: dict[str, Any] = {
            "purposes": purposes,
            "channel": channel,
            "country": who.country,
            "region": who.region,
            "name": who.name,
            "email": who.email,
            "statement": wording.statement(purposes, self.chance),
        }
        actor: User | str = "system:form"
        if channel == Channel.PRODUCT:
            facts["member"] = who.member
            actor = self._product
        else:
            facts["account_ref"] = who.account_ref
        if channel == Channel.PAPER:
            facts |= {"email": "", "postal_address": f"1 Example Road\n{who.country}"}
        if channel in (Channel.PAPER, Channel.EMAIL):
            actor = self.chance.choice([self.olga, self.otto])
        return receiving.receive(receiving.Filing(**{**facts, **more}), actor=actor)

    def confirm(self, ticket: Ticket) -> None:
        """The person follows the link in our mail."""
        link = composing.confirmation_link(ticket)["link"]
        receiving.confirm(link.rstrip("/").rpartition("/")[2])

    def close_mailbox(self, who: Who) -> None:
        mail_server.closed_mailboxes.add(who.email)

    # --- Acts of staff --------------------------------------------------------------------------

    def assign(self, ticket: Ticket, officer: User) -> None:
        acts.assign.do(ticket=ticket, officer=officer, version=_version(ticket), actor=officer)

    def begin_review(self, ticket: Ticket, officer: User) -> None:
        acts.begin_review.do(ticket=ticket, version=_version(ticket), actor=officer)

    def note(self, ticket: Ticket, officer: User) -> None:
        acts.note.do(
            ticket=ticket,
            version=_version(ticket),
            text=self.chance.choice(wording.NOTES),
            actor=officer,
        )

    def attach(self, ticket: Ticket, officer: User, name: str, data: bytes) -> None:
        acts.attach.do(
            ticket=ticket,
            version=_version(ticket),
            files=[uploads.check(name, data)],
            actor=officer,
        )

    def ask_identity(self, ticket: Ticket, officer: User) -> None:
        acts.ask_identity.do(
            ticket=ticket,
            doubt=wording.DOUBT,
            question=wording.QUESTION,
            version=_version(ticket),
            actor=officer,
        )

    def record_identity(self, ticket: Ticket, officer: User) -> None:
        acts.record_identity.do(
            ticket=ticket,
            answered_on=day_of(self.clock.now()),
            how="Answered from the address of the account.",
            version=_version(ticket),
            actor=officer,
        )

    def extend(self, ticket: Ticket, officer: User, ground: str) -> None:
        acts.extend.do(
            ticket=ticket,
            ground=ground,
            explanation="You name several purposes and years of posts; we go through all of them.",
            version=_version(ticket),
            actor=officer,
        )

    def decide(
        self,
        ticket: Ticket,
        officer: User,
        outcomes: Mapping[str, str],
        also: Iterable[Ticket] = (),
    ) -> Proposal | None:
        """Everything upheld is done at once; anything else comes back as a proposal."""
        refused = [one for one in outcomes if outcomes[one] == Outcome.REFUSED]
        done = acts.decide.do(
            ticket=ticket,
            outcomes=outcomes,
            version=_version(ticket),
            actor=officer,
            ground=" ".join(wording.GROUND[one] for one in refused),
            balancing=wording.BALANCING if refused else "",
            reasons=wording.REASONS if refused else "",
            also={one.reference: _version(one) for one in also},
        )
        return done if isinstance(done, Proposal) else None

    def uphold(self, ticket: Ticket, officer: User, also: Iterable[Ticket] = ()) -> None:
        self.decide(ticket, officer, dict.fromkeys(purposes_of(ticket), Outcome.UPHELD), also)

    def refuse(self, ticket: Ticket, officer: User) -> Proposal:
        """Refused where the law lets us weigh, upheld elsewhere."""
        outcomes = {
            one: Outcome.REFUSED if one in _WEIGHED else Outcome.UPHELD
            for one in purposes_of(ticket)
        }
        self.make_sure_of_address(ticket, officer)
        proposal = self.decide(ticket, officer, outcomes)
        assert proposal is not None
        return proposal

    def make_sure_of_address(self, ticket: Ticket, officer: User) -> None:
        """A letter that ends an exclusion goes to a confirmed address only."""
        ticket.refresh_from_db()
        if not composing.is_proven(ticket):
            acts.confirm_address.do(
                ticket=ticket,
                reason="The person wrote to us from it.",
                version=_version(ticket),
                actor=officer,
            )

    def propose_withdrawal(self, ticket: Ticket, officer: User) -> Proposal:
        self.make_sure_of_address(ticket, officer)
        return acts.withdraw.do(
            ticket=ticket,
            evidence="The person took it back by an answer to our acknowledgement.",
            version=_version(ticket),
            actor=officer,
        )

    def propose_unidentified(self, ticket: Ticket, officer: User) -> Proposal:
        ticket.refresh_from_db()
        return acts.close_unidentified.do(
            ticket=ticket,
            evidence="We asked for the month of joining by letter, and nothing came back.",
            version=_version(ticket),
            actor=officer,
        )

    def review(
        self, proposal: Proposal, reviewer: User, verdict: ChangeVerdict = ChangeVerdict.APPROVED
    ) -> None:
        said = {
            ChangeVerdict.APPROVED: "Read the request, the ground and the letter.",
            ChangeVerdict.RETURNED: "The balancing does not answer what the person fears. Please add it.",
        }
        acts.review.do(
            ticket=proposal.ticket,
            verdict=verdict,
            version=_version(proposal.ticket),
            actor=reviewer,
            reason=said[verdict],
        )

    def colleague_of(self, officer: User) -> User:
        return self.otto if officer == self.olga else self.olga

    def post_letters(self, ticket: Ticket, officer: User) -> None:
        """Put into an envelope what has no e-mail address to go to."""
        for letter in ticket.letters.waiting().filter(delivery=Delivery.POST).order_by("pk"):
            on_letters.record_posted.do(
                letter=letter, posted_on=day_of(self.clock.now()), actor=officer
            )

    def correct_address(self, ticket: Ticket, officer: User, email: str) -> None:
        acts.correct_address.do(
            ticket=ticket,
            email=email,
            postal_address="",
            reason="The person wrote to us from it.",
            version=_version(ticket),
            actor=officer,
        )
        for letter in ticket.letters.failed().order_by("pk"):
            on_letters.try_again.do(letter=letter, actor=officer)

    def correct_receipt(self, ticket: Ticket, officer: User, received_at: dt.datetime) -> None:
        acts.correct_receipt.do(
            ticket=ticket,
            received_at=received_at,
            reason="The post room's stamp on the envelope.",
            version=_version(ticket),
            actor=officer,
        )

    def match(self, ticket: Ticket, officer: User, account_ref: str) -> None:
        acts.match.do(
            ticket=ticket,
            account_ref=account_ref,
            reason="The answer names the account.",
            version=_version(ticket),
            actor=officer,
        )

    def link(self, ticket: Ticket, other: Ticket, officer: User) -> None:
        acts.link.do(
            ticket=ticket,
            other=other,
            reason="Both messages say so.",
            version=_version(ticket),
            actor=officer,
        )

    def release(self, ticket: Ticket, officer: User) -> None:
        acts.release.do(ticket=ticket, version=_version(ticket), actor=officer)


def _due(day: dt.date, regime: Regime) -> dt.date:
    return deadlines.start(day, regime, time_zone=settings.CONTROLLER_TIME_ZONE).base_due


def _version(ticket: Ticket) -> int:
    return Ticket.objects.values_list("version", flat=True).get(pk=ticket.pk) or 0


def purposes_of(ticket: Ticket) -> list[str]:
    return list(ticket.objections.order_by("purpose").values_list("purpose", flat=True))


# --- What the portal says of it -----------------------------------------------------------------


def table(today: dt.date) -> list[str]:
    """How many tickets stand where, in lines."""
    tickets = Ticket.objects.worked()
    in_state = {state.label: tickets.ended_as(state).count() for state in OPEN_STATES} | {
        words: tickets.ended_as(ending).count() for ending, words in ENDINGS.items()
    }
    rows = [
        ("tickets", tickets.count()),
        *((f"  {words}", count) for words, count in in_state.items()),
        ("open and overdue", tickets.overdue(today).count()),
        ("open and due in the next 7 days", _due_soon(today)),
        ("open and unassigned", tickets.open().unassigned().count()),
        ("waiting for the person", tickets.waiting_for_the_person().count()),
        ("waiting for a second person", Proposal.objects.waiting().count()),
        ("incidents", Incident.objects.count()),
        ("letters sent", Letter.objects.filter(sent_at__isnull=False).count()),
        ("letters waiting for the post", Letter.objects.waiting().count()),
        ("letters that could not be sent", Letter.objects.failed().count()),
    ]
    width = max(len(words) for words, _ in rows)
    return [f"{words:<{width}}  {count:>5,}" for words, count in rows]


def _due_soon(today: dt.date) -> int:
    return Ticket.objects.due_between(today, today + dt.timedelta(days=7)).count()
