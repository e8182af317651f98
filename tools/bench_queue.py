"""The queue at a hundred thousand tickets: its page as a multiple of an empty list of the admin, and a burst."""

import datetime as dt
import os
import random
import time
from typing import Any

from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from common.identity import roles
from consent.choices import Purpose
from objections.choices import FINAL_STATES, OPEN_STATES, Channel, Effect, Kind, Regime
from objections.clock import deadlines
from objections.clock.days import day_of
from objections.intake import receiving
from objections.models import Objection, Requester, Ticket
from tools.timing import medians

BURST = int(os.environ.get("BENCH_BURST", "500"))
_MODELS = 2_000
_OPEN_SHARE = 0.2
_COUNTRIES = ["DE", "FR", "IT", "IE", "GB", "CH", "US", "ES", "PL", ""]


def report(tickets: int, rounds: int) -> None:
    """Fill the desk, which stays filled, and print the times."""
    officers = [_officer(f"bench-officer-{number}") for number in range(3)]
    seconds = _burst()
    print(
        f"a burst of {BURST:,} objections, one after the other: {BURST / seconds:,.0f} a second"
        "   (2,500 in an hour are 0.7)"
    )
    print("  all of them are there, each restricting")
    _fill(tickets - BURST, officers)
    client = Client()
    client.force_login(officers[0])
    queue = reverse("admin:objections_ticket_changelist")
    empty = reverse("admin:consent_notice_changelist")
    pages = {
        "an empty list of the admin": empty,
        "the queue": queue,
        "its tab of overdue tickets": f"{queue}?queue=overdue",
        "its tab of closed tickets": f"{queue}?queue=closed",
        "one country of it": f"{queue}?country=DE",
        "the search for a reference": f"{queue}?q=431",
    }
    times = medians(rounds, {name: _opens(client, page) for name, page in pages.items()})
    bare = times.pop("an empty list of the admin")
    print(
        f"the queue over {Ticket.objects.count():,} tickets, {Ticket.objects.open().count():,} of them open"
    )
    print(f"  {'an empty list of the admin':30} {bare * 1000:6.0f} ms")
    for name, taken in times.items():
        print(
            f"  {name:30} {taken * 1000:6.0f} ms, {_queries(client, pages[name]):2} queries"
            f"   page ÷ empty list = {taken / bare:.1f}"
        )
    print("  (aim: under 300 ms and under 12 queries)")


def _opens(client: Client, page: str) -> Any:
    def open_page() -> None:
        response = client.get(page)
        if response.status_code != 200:
            raise SystemExit(f"{page} answered {response.status_code}.")

    return open_page


def _queries(client: Client, page: str) -> int:
    with CaptureQueriesContext(connection) as queries:
        client.get(page)
    return len(queries)


def _officer(username: str) -> User:
    officer = User.objects.create_user(username, is_staff=True)
    officer.groups.add(Group.objects.get(name=roles.PRIVACY_OFFICER))
    return officer


def _burst() -> float:
    """Seconds to take in a burst of forms. None may be lost, and each keeps its person out at once."""
    started = time.perf_counter()
    for number in range(BURST):
        receiving.receive(
            receiving.Filing(
                purposes=[Purpose.GENERATIVE_AI],
                channel=Channel.FORM,
                country=_COUNTRIES[number % len(_COUNTRIES)],
                email=f"person-{number}@example.org",
                statement="I object.",
            ),
            actor="system:form",
        )
    seconds = time.perf_counter() - started
    there = Requester.objects.filter(
        ticket__objections__effect=Effect.RESTRICTING, ticket__state__isnull=False
    ).count()
    if there != BURST:
        raise SystemExit(f"{there:,} of {BURST:,} objections are there.")
    return seconds


def _fill(count: int, officers: list[User]) -> None:
    """Tickets of the last year: some made here, the rest copied from them inside the database.

    Outside the ledger and without history: only how they are read is measured.
    """
    draw = random.Random(20240918)  # noqa: S311  nothing secret
    now = timezone.now()
    made = Ticket._base_manager.bulk_create(
        _ticket(f"OBJ-{now.year - 1}-{number:06d}", draw, now, officers)
        for number in range(1, min(_MODELS, count) + 1)
    )
    copied = ", ".join(
        f'"{field.column}"'
        for field in Ticket._meta.concrete_fields
        if field.name not in ("id", "reference")
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO objections_ticket (reference, {copied})"
            f" SELECT reference || '-' || n, {copied}"
            " FROM objections_ticket, generate_series(1, %s) AS n"
            " WHERE reference LIKE %s ORDER BY n, id LIMIT %s",
            [count // len(made), f"OBJ-{now.year - 1}-%", count - len(made)],
        )
        for purpose, part in ((Purpose.GENERATIVE_AI, 1), (Purpose.SAFETY, 2)):
            cursor.execute(
                "INSERT INTO objections_objection (ticket_id, purpose, effect)"
                " SELECT id, %s, CASE WHEN closed_at IS NULL THEN 'restricting' ELSE 'upheld' END"
                " FROM objections_ticket WHERE reference LIKE %s AND id %% %s = 0",
                [purpose, f"OBJ-{now.year - 1}-%", part],
            )
        cursor.execute(
            "INSERT INTO objections_requester (ticket_id, name, email, postal_address,"
            " account_named, statement, language, sender_hash, filed_at, files_refused)"
            " SELECT id, '', lower(reference) || '@example.org', '', '', repeat('I object. ', 20),"
            " 'en', '', recorded_at, 0 FROM objections_ticket WHERE reference LIKE %s",
            [f"OBJ-{now.year - 1}-%"],
        )
        for model in (Ticket, Objection, Requester):
            cursor.execute(f'VACUUM (ANALYZE) "{model._meta.db_table}"')


def _ticket(reference: str, draw: random.Random, now: dt.datetime, officers: list[User]) -> Ticket:
    is_open = draw.random() < _OPEN_SHARE
    received_at = now - dt.timedelta(days=draw.uniform(0, 45 if is_open else 365))
    country = draw.choice(_COUNTRIES)
    regime = deadlines.regime_for(country)
    clock = deadlines.start(day_of(received_at), regime, time_zone="Europe/Dublin")
    closed_at = None if is_open else min(now, received_at + dt.timedelta(days=draw.uniform(1, 30)))
    state = draw.choice(OPEN_STATES if is_open else FINAL_STATES)
    return Ticket(
        reference=reference,
        state=state,
        kind=Kind.OBJECTION,
        channel=draw.choice([Channel.FORM, Channel.EMAIL, Channel.PRODUCT]),
        country=country,
        received_at=received_at,
        recorded_at=received_at,
        is_authenticated=draw.random() < 0.5,
        is_set_aside=draw.random() < 0.01,
        identity_asked_on=received_at.date() if state == "identity_check" else None,
        regime=Regime(regime),
        clock=clock.as_json(),
        due_on=clock.base_due,
        refuse_by=clock.refuse_by,
        target_on=clock.target,
        assignee=draw.choice([*officers, None]),
        closed_at=closed_at,
        answered_at=closed_at,
        version=1,
    )
