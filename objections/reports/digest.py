"""The daily digest: a mail to each officer about their open work. It holds references and counts, no personal data."""

import datetime as dt
import smtplib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog
from django.conf import settings
from django.contrib.auth.models import User
from django.core.mail import EmailMessage
from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.text import capfirst

from common import registry
from common.staff import start_page
from objections.acts import sent_back
from objections.choices import Delivery, Regime
from objections.clock.days import today as this_day
from objections.letters.texts import date_in_words
from objections.models import Digest, Letter, Proposal, ProposedChange, Ticket
from objections.querysets import paused, working_officers
from objections.ticket.clocks import clock_of

logger = structlog.get_logger(__name__)

DAYS_AHEAD = 7
POST_DAYS = 3
"""A letter on paper that is not in the post by then is forgotten rather than on its way."""
MAX_ROWS = 10
"""A section names so many and counts the rest."""
_SATURDAY = 5


@dataclass(frozen=True)
class Row:
    text: str
    url: str


@dataclass(frozen=True)
class Section:
    """One kind of thing that waits: how many, and the first of them."""

    title: str
    count: int
    rows: list[Row]

    @property
    def hidden(self) -> int:
        return self.count - len(self.rows)


def officers() -> QuerySet[User]:
    """All officers who work tickets."""
    return working_officers().order_by("pk")


def without_digest() -> QuerySet[User]:
    """Officers without an e-mail address."""
    return officers().filter(email="")


def send_all(today: dt.date | None = None) -> int:
    """Mail each officer for whom something waits, once a day however often it is called; returns how many now.

    A mail that fails keeps no other from its officer; the next call tries it again.
    """
    today = today or this_day()
    return sum(_send(officer, today) for officer in officers().exclude(email=""))


def _send(officer: User, today: dt.date) -> bool:
    if Digest.objects.filter(officer=officer, day=today).exists():
        return False
    sections = what_waits(officer, today)
    if not sections or (today.weekday() >= _SATURDAY and not _presses(officer, today)):
        return False
    claim = _claimed(officer, today)
    if claim is None:
        return False
    try:
        mail_for(officer, sections, today).send()
    except (OSError, smtplib.SMTPException, ValueError) as error:
        claim.delete()
        # The server's own words may repeat the address.
        logger.error("digest not sent", officer=officer.pk, error=type(error).__name__)
        return False
    return True


def _claimed(officer: User, today: dt.date) -> Digest | None:
    """The officer's day, None when another worker has it.

    Committed before the mail leaves: no lock is held while a mail server thinks. Who dies in between leaves
    out one digest; the queue shows the same all day.
    """
    try:
        with transaction.atomic():
            return Digest.objects.create(officer=officer, day=today, sent_at=timezone.now())
    except IntegrityError:
        return None


def _presses(officer: User, today: dt.date) -> bool:
    """Whether the weekend cannot wait for Monday: something is overdue, or due before it."""
    sunday = today + dt.timedelta(days=6 - today.weekday())
    tomorrow = sunday + dt.timedelta(days=1)
    mine = Ticket.objects.of(officer).overdue(tomorrow)
    return (mine | Ticket.objects.unassigned().overdue(tomorrow)).exists()


def mail_for(officer: User, sections: list[Section], today: dt.date) -> EmailMessage:
    in_short = ", ".join(f"{section.count} {section.title}" for section in sections)
    return EmailMessage(
        f"Objection desk, {date_in_words(today)}: {in_short}",
        render_to_string(
            "letters/digest.txt",
            {
                "sections": sections,
                "day": date_in_words(today),
                "queue": _address("admin:objections_ticket_changelist"),
            },
        ),
        to=[officer.email],
        headers={"Auto-Submitted": "auto-generated"},
    )


def what_waits(officer: User, today: dt.date) -> list[Section]:
    """The sections that have something in them, the most pressing first.

    Unassigned tickets stand in every digest, and so do the days that the law sets besides the due day.
    """
    mine = Ticket.objects.of(officer)
    last = today + dt.timedelta(days=DAYS_AHEAD)
    running = Ticket.objects.open().exclude(paused())
    in_post = Letter.objects.waiting().filter(
        delivery=Delivery.POST, queued_at__lt=timezone.now() - dt.timedelta(days=POST_DAYS)
    )
    incidents = [
        Row(words, _address("admin:training_runs_incident_change", key))
        for source in registry.hooks("objections.new_incidents")
        for words, key in source(_last_heard(officer, today))
    ]
    others = Proposal.objects.waiting().exclude(proposed_by=officer).select_related("ticket")
    failed = Letter.objects.failed().select_related("ticket").order_by("pk")
    came_back = [
        Row(one.text, settings.PUBLIC_URL + one.url) for one in start_page.sent_back_to(officer)
    ]
    found = [
        Section("sent back to you", len(came_back), came_back[:MAX_ROWS]),
        _tickets("overdue", mine.overdue(today)),
        _tickets("overdue and unassigned", Ticket.objects.unassigned().overdue(today)),
        _tickets(f"due in the next {DAYS_AHEAD} days", mine.due_between(today, last)),
        _section(
            f"to be refused in the next {DAYS_AHEAD} days, if at all",
            running.filter(refuse_by__range=(today, last), refuse_by__lt=F("due_on")).order_by(
                "refuse_by", "pk"
            ),
            lambda row: _dated(row, "refuse by", row.refuse_by),
        ),
        _section(
            f"to be answered in the next {DAYS_AHEAD} days by the strictest reading",
            running.filter(
                regime=Regime.UK,
                extended_on=None,
                # ISO 8601, so that text sorts as days do.
                clock__alarm__gte=today.isoformat(),
                clock__alarm__lte=last.isoformat(),
            ).order_by("due_on", "pk"),
            lambda row: _dated(row, "by the strictest reading", clock_of(row).alarm),
        ),
        _section(
            "waiting for a second person",
            others.order_by("pk"),
            lambda row: Row(
                f"{row.ticket}: {row.get_state_display()} proposed",
                _address("admin:objections_ticket_review", row.ticket_id),
            ),
        ),
        _section(
            "texts and erasures waiting for a second person",
            ProposedChange.objects.waiting().exclude(proposed_by=officer).order_by("pk"),
            lambda row: Row(
                capfirst(str(row)), settings.PUBLIC_URL + sent_back.review_address(row)
            ),
        ),
        _section(
            "letters that could not be sent",
            failed,
            lambda row: Row(str(row), _address("admin:objections_letter_change", row.pk)),
        ),
        _section(
            f"letters that have waited for the post for more than {POST_DAYS} days",
            in_post.select_related("ticket").order_by("queued_at", "pk"),
            lambda row: Row(str(row), _address("admin:objections_letter_change", row.pk)),
        ),
        Section("new incidents", len(incidents), incidents[:MAX_ROWS]),
        _tickets("unassigned in the team", Ticket.objects.open().unassigned()),
        _tickets("waiting for the person", mine.waiting_for_the_person()),
    ]
    return [section for section in found if section.count]


def _last_heard(officer: User, today: dt.date) -> dt.datetime:
    """The time of the officer's last digest; later items are new."""
    before = Digest.objects.filter(officer=officer, day__lt=today).order_by("-day").first()
    return before.sent_at if before else timezone.now() - dt.timedelta(days=DAYS_AHEAD)


def _dated(row: Ticket, what: str, day: dt.date | None) -> Row:
    assert day is not None
    return Row(
        f"{row}, {what} {date_in_words(day)}", _address("admin:objections_ticket_change", row.pk)
    )


def _tickets(title: str, tickets: QuerySet[Ticket]) -> Section:
    return _section(
        title,
        tickets.order_by("due_on", "pk"),
        lambda row: Row(
            f"{row}, due {date_in_words(row.due_on)}",
            _address("admin:objections_ticket_change", row.pk),
        ),
    )


def _section(title: str, found: QuerySet[Any], as_row: Callable[[Any], Row]) -> Section:
    return Section(title, found.count(), [as_row(row) for row in found[:MAX_ROWS]])


def _address(name: str, *args: int) -> str:
    return settings.PUBLIC_URL + reverse(name, args=args)
