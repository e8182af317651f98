"""The daily digest: once a day to whom something waits for, about tickets and never about people."""

import datetime as dt

import pytest
import time_machine
from django.conf import settings
from django.contrib.auth.models import User
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.core.management import call_command
from django.core.management.base import CommandError
from django.urls import reverse
from django.utils import timezone

from ledger import entries
from objections import acts
from objections.choices import LetterState
from objections.clock.days import day_of
from objections.clock.days import today as this_day
from objections.letters.texts import date_in_words
from objections.models import Digest, Ticket
from objections.reports import digest
from objections.ticket.clocks import clock_of
from tools import factories

pytestmark = pytest.mark.django_db


class OneIsRefused(EmailBackend):
    """A mail server that takes mail to everybody but one."""

    def send_messages(self, messages):
        if "olga@example.org" in messages[0].to:
            raise OSError("olga@example.org: connection reset")
        return super().send_messages(messages)


@pytest.fixture
def olga(officer: User) -> User:
    officer.email = "olga@example.org"
    officer.save()
    return officer


@pytest.fixture
def otto(second_officer: User) -> User:
    second_officer.email = "otto@example.org"
    second_officer.save()
    return second_officer


@pytest.fixture
def ticket(olga) -> Ticket:
    """Olga's ticket, of a requester with a name."""
    filed = factories.objection(
        name="Petra Muster", email="petra@example.net", statement="My words.", channel="email"
    )
    factories.send_letters(filed)
    mail.outbox.clear()
    return factories.reviewed(filed, olga)


def weekday(day: dt.date) -> dt.date:
    """That day, or the Monday after."""
    return day + dt.timedelta(days=(7 - day.weekday()) % 7 if day.weekday() > 4 else 0)


def on_a_weekday(ticket: Ticket) -> dt.date:
    return weekday(day_of(ticket.received_at))


def sections(officer: User, day: dt.date) -> dict[str, int]:
    return {section.title: section.count for section in digest.what_waits(officer, day)}


def test_an_officer_for_whom_nothing_waits_gets_no_mail(olga):
    assert digest.send_all() == 0
    assert mail.outbox == []


def test_a_digest_says_what_waits_with_links_and_nothing_of_the_person(ticket):
    day = weekday(ticket.due_on)

    sent = digest.send_all(day)

    (message,) = mail.outbox
    page = settings.PUBLIC_URL + reverse("admin:objections_ticket_change", args=[ticket.pk])
    said = f"{message.subject}\n{message.body}"
    assert (sent, message.to) == (1, ["olga@example.org"])
    assert ticket.reference in message.body
    assert page in message.body.split()
    assert [word for word in ("Petra", "Muster", "petra@", "My words") if word in said] == []


def test_a_day_has_one_digest_however_often_it_is_asked_for(ticket):
    day = on_a_weekday(ticket) + dt.timedelta(days=28)
    day = weekday(day)

    counts = [digest.send_all(day) for _ in range(3)]
    next_week = digest.send_all(day + dt.timedelta(days=7))

    assert (counts, next_week, len(mail.outbox)) == ([1, 0, 0], 1, 2)


def test_a_worker_that_comes_second_sends_nothing(ticket, olga):
    day = weekday(ticket.due_on)
    what_waits = digest.what_waits(olga, day)
    Digest.objects.create(officer=olga, day=day, sent_at=ticket.received_at)

    # It looked before the first one had claimed the day.
    sent = digest._claimed(olga, day)

    assert (bool(what_waits), sent) == (True, None)


def test_a_mail_that_fails_keeps_no_other_and_is_tried_again(ticket, otto, settings, caplog):
    day = weekday(ticket.due_on)
    factories.objection()
    settings.EMAIL_BACKEND = f"{__name__}.OneIsRefused"

    first = digest.send_all(day)
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    second = digest.send_all(day)

    assert (first, second) == (1, 1)
    assert [message.to for message in mail.outbox] == [["otto@example.org"], ["olga@example.org"]]
    assert "digest not sent" in caplog.text
    assert "@example.org" not in caplog.text


def test_every_kind_of_thing_that_waits_is_counted(ticket, olga, otto):
    factories.objection()
    failed = factories.objection(channel="email").letters.get()
    with entries.entry("test.failed", actor="test"):
        failed.state = LetterState.FAILED
        failed.save()
    asked = factories.reviewed(factories.objection(channel="email"), otto)
    acts.withdraw.do(ticket=asked, evidence=factories.EVIDENCE, version=asked.version, actor=otto)

    early = sections(olga, ticket.due_on - dt.timedelta(days=7))
    late = sections(olga, ticket.due_on + dt.timedelta(days=1))
    his = sections(otto, day_of(ticket.received_at))

    team = {"letters that could not be sent": 1, "unassigned in the team": 2}
    hers = {"waiting for a second person": 1, **team}
    assert early == {"due in the next 7 days": 1, **hers}
    assert late == {"overdue": 1, "overdue and unassigned": 2, **hers}
    # His own proposal waits for a colleague.
    assert his == team


def test_overdue_unassigned_tickets_are_in_every_digest(ticket, olga, otto):
    day = ticket.due_on + dt.timedelta(days=1)
    before = sections(otto, day)
    olga.is_active = False
    olga.save()

    after = sections(otto, day)

    assert (before, after) == ({}, {"overdue and unassigned": 1, "unassigned in the team": 1})


def test_a_digest_is_sent_at_the_weekend_for_overdue_unassigned_tickets(ticket, olga, otto):
    saturday = ticket.due_on + dt.timedelta(days=12 - ticket.due_on.weekday())
    olga.is_active = False
    olga.save()

    assert (saturday.weekday(), digest.send_all(saturday)) == (5, 1)


def test_a_letter_that_no_officer_posts_is_in_the_digest(olga):
    with time_machine.travel(timezone.now() - dt.timedelta(days=4)):
        factories.objection(channel="paper", email="", postal_address="Here")
    factories.objection(channel="paper", email="", postal_address="There")

    found = sections(olga, this_day())

    assert found["letters that have waited for the post for more than 3 days"] == 1


def test_an_incident_is_new_until_an_officer_heard_of_it(ticket, olga, otto):
    day = on_a_weekday(ticket)
    Digest.objects.create(
        officer=otto, day=day - dt.timedelta(days=1), sent_at=timezone.now() - dt.timedelta(days=1)
    )
    factories.incident(factories.register(factories.person("emil")))

    heard = [sections(officer, day).get("new incidents") for officer in (olga, otto)]
    Digest.objects.filter(officer=otto).update(sent_at=timezone.now())

    assert heard == [1, 1]
    assert "new incidents" not in sections(otto, day)


@pytest.mark.parametrize(("days", "is_said"), [(8, False), (7, True), (0, True), (-1, False)])
def test_the_strictest_reading_of_british_law_is_announced_to_everybody(olga, days, is_said):
    # The alarm is a day before the month is over: 4 May.
    with time_machine.travel(dt.datetime(2026, 4, 6, 12, tzinfo=dt.UTC), tick=False):
        ticket = factories.objection(country="GB", channel="email")
    alarm = clock_of(ticket).alarm
    title = "to be answered in the next 7 days by the strictest reading"

    found = sections(olga, alarm - dt.timedelta(days=days))

    assert alarm < ticket.due_on
    assert found.get(title) == (1 if is_said else None)


def test_the_day_of_a_refusal_is_announced_where_it_is_not_the_day_of_the_answer(ticket, olga):
    acts.extend.do(
        ticket=ticket,
        ground="number",
        explanation=factories.MORE_TIME,
        version=ticket.version,
        actor=olga,
    )
    factories.send_letters(ticket)
    ticket.refresh_from_db()
    assert ticket.refuse_by < ticket.due_on

    title = "to be refused in the next 7 days, if at all"
    days = [ticket.refuse_by + dt.timedelta(days=days) for days in (-8, -7, 0, 1)]
    found = [sections(olga, day).get(title) for day in days]

    assert found == [None, 1, 1, None]


def test_a_digest_names_the_day_that_comes_first(olga):
    with time_machine.travel(dt.datetime(2026, 4, 6, 12, tzinfo=dt.UTC), tick=False):
        ticket = factories.objection(country="GB", channel="email")
    alarm = clock_of(ticket).alarm

    digest.send_all(alarm)

    assert f"{ticket}, by the strictest reading {date_in_words(alarm)}" in mail.outbox[-1].body


@pytest.mark.parametrize(
    ("weeks", "is_sent"), [(0, False), (1, True)], ids=["due on Monday or later", "overdue"]
)
def test_a_weekend_is_disturbed_only_by_what_cannot_wait(ticket, olga, weeks, is_sent):
    # Under the EU rule a ticket is due on a working day.
    saturday = ticket.due_on - dt.timedelta(days=ticket.due_on.weekday() + 2 - 7 * weeks)

    sent = digest.send_all(saturday)

    assert (saturday.weekday(), bool(digest.what_waits(olga, saturday))) == (5, True)
    assert bool(sent) is is_sent


def test_only_officers_get_a_digest(ticket, auditor, olga):
    auditor.email = "ada@example.org"
    auditor.save()
    olga.is_active = False
    olga.save()

    assert digest.send_all(weekday(ticket.due_on)) == 0


def test_officers_without_an_address_are_named_to_administrators(
    olga, second_officer, administrator, client_of
):
    page = client_of(administrator).get(reverse("admin:index")).text
    own = client_of(second_officer).get(reverse("admin:index")).text

    assert list(digest.without_digest()) == [second_officer]
    assert "otto gets none" in page
    assert "olga gets none" not in page
    assert "You get no daily digest" in own


def test_an_administrator_keeps_an_address_with_a_person(officer, administrator, client_of):
    client_of(administrator).post(
        reverse("admin:auth_user_change", args=[officer.pk]),
        {"username": "olga", "email": "olga@example.org", "is_active": "on", "is_staff": "on"},
    )

    officer.refresh_from_db()
    assert officer.email == "olga@example.org"


def test_a_person_is_made_with_an_address_or_not_at_all():
    call_command("create_person", "nora", role="Privacy officer", email="nora@example.org")
    with pytest.raises(CommandError, match="no e-mail address"):
        call_command("create_person", "nils", role="Privacy officer", email="nils")

    assert list(User.objects.values_list("username", "email")) == [("nora", "nora@example.org")]
