"""Four months of the objection desk at high speed, before the story: one ledger, in order of time.

The ledger's times run with its numbers. So the past is played first, the import of the members included, and the
story follows in the present. Everything is synthetic and drawn from a seed; only the days are counted from today.
"""

import datetime as dt
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from django.contrib.auth.models import User
from django.db import connection
from django.test import override_settings
from django.utils import timezone

from consent.choices import Purpose
from demo import lives, wording
from demo.clock import PlayedClock, played
from demo.desk import Desk
from demo.population import Person
from objections.choices import Channel
from objections.intake import receiving
from objections.models import Ticket
from objections.ticket import incidents
from training_runs.choices import Measure
from training_runs.incidents import cases
from training_runs.models import Incident

SEED = 1
MAX_ORDINARY = 240
"""On a large population; on a small one, a ticket for every hundred members."""


def play(people: Sequence[Person], *, import_members: Callable[[], object]) -> int:
    """Import the members and live through the desk's days since; returns the number of tickets."""
    now = timezone.now()
    clock = PlayedClock(now - dt.timedelta(days=lives.PAST_DAYS))
    with (
        played(clock),
        _quick_database(),
        _quiet_letters(),
        override_settings(EMAIL_BACKEND=_MAIL_SERVER),
    ):
        import_members()
        desk = Desk(
            # In the first half are those who play a part in the story.
            [person for person in people[len(people) // 2 :] if _is_adult(person, now.date())],
            clock=clock,
            until=now - dt.timedelta(minutes=5),
            seed=SEED,
        )
        ordinary = min(MAX_ORDINARY, len(people) // 100)
        desk.play([*lives.of_all_kinds(desk), *lives.stream(desk, ordinary)])
    return Ticket.objects.worked().count()


_MAIL_SERVER = "demo.mail_server.MailServer"


def late_post(account_ref: str) -> Ticket:
    """In the present: a letter that arrived before the runs were frozen, and is keyed in only now."""
    purposes = [Purpose.GENERATIVE_AI]
    objection = receiving.Filing(
        purposes=purposes,
        channel=Channel.PAPER,
        country="US",
        name="Ruth Specimen",
        postal_address="1 Example Road\nUS",
        statement=wording.STATEMENTS[purposes[0]][0],
        account_ref=account_ref,
        received_at=timezone.now() - dt.timedelta(days=3),
    )
    return receiving.receive(objection, actor=User.objects.get(username="olga"))


def work_incidents(ticket: Ticket) -> Iterator[str]:
    """In the present: the incidents of a ticket from finding to closing, by the people whose work it is; a line for each."""
    people = {name: User.objects.get(username=name) for name in ("emil", "olga", "otto")}
    for found in incidents.incidents_of([ticket.reference]).get(ticket.reference, []):
        incident = Incident.objects.select_related("run").get(reference=found.reference)
        cases.acknowledge(incident=incident, actor=people["emil"])
        measures = [Measure.SUBTRACTED if incident.delivered else Measure.NOTHING]
        assessment = cases.assess(
            incident=incident,
            measures=measures,
            tell_authority=False,
            tell_members=bool(incident.delivered),
            reasons="One member's data; the objection had lain on paper. The risk is low.",
            actor=people["olga"],
        )
        cases.review(
            assessment=assessment, verdict="approved", reason="Agreed.", actor=people["otto"]
        )
        incident.refresh_from_db()
        cases.close(
            incident=incident,
            reason="The next delivery leaves the member out.",
            version=incident.version,
            actor=people["olga"],
        )
        yield (
            f"{incident.reference} of {incident.run.reference}: {incident.members} member, {incident.delivered} delivered,"
            f" {incident.used} used; acknowledged by emil, assessed by olga and otto, closed"
        )


def _is_adult(person: Person, today: dt.date) -> bool:
    return person.status == "open" and "" < person.birth_date < f"{today.year - 19}"


@contextmanager
def _quick_database() -> Iterator[None]:
    """Do not wait for the disk: a machine that stops loses a demo, which is played again."""
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA synchronous=OFF")
        try:
            yield
        finally:
            cursor.execute("PRAGMA synchronous=FULL")


@contextmanager
def _quiet_letters() -> Iterator[None]:
    """Two letters are meant not to arrive: no errors to worry about between the demo's own lines."""
    logger = logging.getLogger("objections.letters.outbox")
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = False
