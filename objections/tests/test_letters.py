"""A letter's row is its queue: sent once, tried again, never lost, and in effect only when it is out."""

import datetime as dt
import smtplib

import pytest
import time_machine
from django.core import mail
from django.core.mail.backends.base import BaseEmailBackend
from django.db import OperationalError
from django.utils import timezone

from common.errors import StaleEdit
from ledger.errors import InvalidInput
from ledger.models import Entry
from objections import acts, tasks
from objections.acts import on_letters
from objections.choices import LetterState, TicketState
from objections.errors import LetterNotSent
from objections.letters import composing, effects, outbox
from objections.letters.texts import Text, built_in
from objections.models import Letter, LetterTemplate, LetterText, Ticket
from objections.ticket import clocks
from objections.ticket.case import case_of
from tools import factories

pytestmark = pytest.mark.django_db


class Unreachable(BaseEmailBackend):
    """A mail server that is down."""

    def send_messages(self, messages):
        raise OSError("connection refused for person-1@example.org")


class NoSuchMailbox(BaseEmailBackend):
    """A mail server that knows the address is wrong."""

    def send_messages(self, messages):
        raise smtplib.SMTPRecipientsRefused({messages[0].to[0]: (550, b"unknown")})


class ComeBackLater(BaseEmailBackend):
    """A mail server that asks everybody to try again (greylisting)."""

    def send_messages(self, messages):
        raise smtplib.SMTPRecipientsRefused({messages[0].to[0]: (451, b"later")})


@pytest.fixture
def ticket() -> Ticket:
    factories.add_members(1)
    return factories.objection("acc-0", email="person@example.org")


def the_letter(ticket: Ticket) -> Letter:
    return ticket.letters.select_related("text").get()


def use(settings, backend) -> None:
    settings.EMAIL_BACKEND = f"{backend.__module__}.{backend.__qualname__}"


def test_a_letter_is_sent_once_however_often_it_is_tried(ticket):
    for _ in range(3):
        outbox.send(the_letter(ticket).pk)
        tasks.send_letters()

    (message,) = mail.outbox
    assert (message.to, message.subject) == (
        ["person@example.org"],
        the_letter(ticket).text.subject,
    )
    assert message.extra_headers["Auto-Submitted"] == "auto-generated"
    assert the_letter(ticket).state == LetterState.SENT
    assert Entry.objects.filter(kind="letter.sent", subject=ticket.reference).count() == 1


def test_a_process_that_sends_a_letter_has_it_alone_for_a_while(ticket):
    claimed = LetterText.objects.filter(letter__ticket=ticket).update(
        attempts=1, not_before=timezone.now() + outbox.CLAIM
    )
    assert claimed == 1

    tasks.send_letters()
    assert mail.outbox == []

    # Its process died: the letter is not lost.
    with time_machine.travel(timezone.now() + outbox.CLAIM + dt.timedelta(seconds=1)):
        tasks.send_letters()
    assert len(mail.outbox) == 1


class TakesItsTime(BaseEmailBackend):
    """A mail server at whose slowness other workers try the same letters."""

    meanwhile: list[object]

    def send_messages(self, messages):
        for letter in Letter.objects.order_by("pk"):
            self.meanwhile.append(outbox.send(letter.pk))
        self.meanwhile.append(outbox.send_due())
        mail.outbox += messages
        return len(messages)


def test_a_letter_that_is_under_way_is_mailed_by_no_other_worker(ticket, settings):
    TakesItsTime.meanwhile = []
    use(settings, TakesItsTime)

    tasks.send_letters()

    assert len(mail.outbox) == 1
    assert TakesItsTime.meanwhile == [None, 0]


def test_a_letter_is_held_longer_than_the_slowest_talk_to_a_server(settings):
    # Name, connection, greeting, EHLO, STARTTLS, EHLO, AUTH (in three), MAIL, RCPT, DATA, the text, QUIT.
    steps = 14

    assert outbox.CLAIM.total_seconds() >= 2 * steps * settings.EMAIL_TIMEOUT


def test_a_letter_is_tried_again_with_longer_and_longer_waits_then_given_to_people(
    ticket, settings
):
    use(settings, Unreachable)
    now = timezone.now()
    tried = []
    with time_machine.travel(now, tick=False) as clock:
        for minute in range(60 * 24):
            clock.move_to(now + dt.timedelta(minutes=minute))
            before = the_letter(ticket).text.attempts
            tasks.send_letters()
            if the_letter(ticket).text.attempts > before:
                tried.append(minute)

    assert tried == [0, 2, 6, 14, 30, 62, 126, 254]
    letter = the_letter(ticket)
    assert (letter.state, letter.text.last_error) == (LetterState.FAILED, "OSError")
    failed = Entry.objects.get(kind="letter.failed")
    assert "example.org" not in failed.reason
    assert failed.subject == ticket.reference


def test_an_address_that_does_not_exist_is_given_to_people_at_once_and_mended(
    ticket, settings, officer
):
    use(settings, NoSuchMailbox)
    tasks.send_letters()
    assert the_letter(ticket).state == LetterState.FAILED

    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    acts.correct_address.do(
        ticket=ticket,
        email="right@example.org",
        postal_address="",
        reason="x",
        version=1,
        actor=officer,
    )
    on_letters.try_again.do(letter=the_letter(ticket), actor=officer)
    tasks.send_letters()

    assert [message.to for message in mail.outbox] == [["right@example.org"]]
    assert the_letter(ticket).state == LetterState.SENT
    with pytest.raises(LetterNotSent, match="only a failed one"):
        on_letters.try_again.do(letter=the_letter(ticket), actor=officer)


def test_a_server_that_asks_to_come_back_is_asked_again(ticket, settings):
    use(settings, ComeBackLater)

    tasks.send_letters()

    assert the_letter(ticket).state == LetterState.WAITING


def test_a_server_that_is_gone_is_met_once_a_round(settings):
    tickets = [factories.objection(channel="email") for _ in range(3)]
    use(settings, Unreachable)

    tasks.send_letters()
    tasks.send_letters()

    assert sorted(the_letter(one).text.attempts for one in tickets) == [0, 0, 1]


def test_a_letter_that_can_be_mailed_but_not_recorded_is_not_mailed_for_ever(ticket, monkeypatch):
    now = timezone.now()

    def lost(*args, **kwargs):
        raise OperationalError("lock timeout")

    with monkeypatch.context() as patch, time_machine.travel(now, tick=False) as clock:
        patch.setattr(outbox, "record_sent", lost)
        for hour in range(20):
            clock.move_to(now + dt.timedelta(hours=hour))
            tasks.send_letters()

    assert len(mail.outbox) == outbox.MAX_ATTEMPTS
    assert the_letter(ticket).state == LetterState.FAILED


def test_nothing_is_posted_to_nowhere(ticket, settings, officer):
    use(settings, NoSuchMailbox)
    tasks.send_letters()

    with pytest.raises(LetterNotSent, match="No postal address"):
        on_letters.record_posted.do(
            letter=the_letter(ticket), posted_on=timezone.localdate(), actor=officer
        )


def test_an_extension_posted_in_time_counts_though_recorded_later(officer):
    with time_machine.travel(dt.datetime(2026, 4, 7, 12, tzinfo=dt.UTC), tick=False) as clock:
        ticket = factories.objection(
            channel="paper", email="", postal_address="1 Some Street",
            received_at=dt.datetime(2026, 3, 5, 12, tzinfo=dt.UTC),
        )  # fmt: skip
        factories.reviewed(ticket, officer)
        acts.extend.do(
            ticket=ticket,
            ground="number",
            explanation=factories.MORE_TIME,
            version=2,
            actor=officer,
        )
        clock.move_to(dt.datetime(2026, 4, 8, 12, tzinfo=dt.UTC))

        on_letters.record_posted.do(
            letter=ticket.letters.get(kind="extension"),
            posted_on=dt.date(2026, 4, 7),
            actor=officer,
        )

    ticket.refresh_from_db()
    assert ticket.state == TicketState.EXTENDED


def test_a_sent_letter_is_repeated_to_the_address_of_now(ticket, officer):
    tasks.send_letters()
    acts.correct_address.do(
        ticket=ticket,
        email="new@example.org",
        postal_address="",
        reason="x",
        version=1,
        actor=officer,
    )

    on_letters.repeat.do(letter=the_letter(ticket), actor=officer)
    tasks.send_letters()

    assert [message.to[0] for message in mail.outbox] == ["person@example.org", "new@example.org"]
    assert mail.outbox[0].body == mail.outbox[1].body


def test_without_an_e_mail_address_a_letter_goes_by_post(officer, second_officer):
    factories.add_members(1)
    ticket = factories.objection(
        channel="paper", email="", name="A. Person", postal_address="1 Some Street", account_ref="acc-0",
        purposes=["safety"],
    )  # fmt: skip
    factories.withdraw(ticket, officer, second_officer)
    letter = ticket.letters.get(kind="withdrawn")
    assert letter.delivery == "post"
    assert letter.text.address == "A. Person\n1 Some Street"
    tasks.send_letters()
    assert ticket.objections.get().effect == "restricting"

    on_letters.record_posted.do(letter=letter, posted_on=timezone.localdate(), actor=officer)
    assert ticket.objections.get().effect == "restricting"
    with time_machine.travel(timezone.now() + dt.timedelta(days=40), tick=False):
        tasks.count_delivered()

    assert ticket.objections.get().effect == "restriction_lifted"
    assert mail.outbox == []


def test_what_was_called_off_meanwhile_is_not_posted(officer):
    ticket = factories.objection(channel="email", postal_address="1 Some Street")
    letter = the_letter(ticket)
    address = letter.text.address
    outbox._cancel(letter, "test")

    with pytest.raises(LetterNotSent, match="not sent any more: there is nothing to post"):
        effects.record_sent(
            letter,
            sent_at=timezone.now(),
            actor=officer,
            by_post=True,
            why_not=on_letters.record_posted.why_not,
        )

    assert the_letter(ticket).text.address == address


def test_a_letter_on_its_way_by_email_is_not_recorded_as_posted(ticket, officer):
    letter = the_letter(ticket)

    with pytest.raises(LetterNotSent, match="It is on its way by e-mail"):
        on_letters.record_posted.do(letter=letter, posted_on=timezone.localdate(), actor=officer)

    assert (the_letter(ticket).state, the_letter(ticket).delivery) == ("waiting", "email")


@pytest.mark.parametrize("days", [-1, 1])
def test_a_letter_is_posted_between_its_day_and_today(days, officer):
    with time_machine.travel(dt.datetime(2026, 3, 4, 12, tzinfo=dt.UTC), tick=False):
        ticket = factories.objection(channel="paper", email="", postal_address="1 Some Street")

        with pytest.raises(InvalidInput, match="2026-03-04"):
            on_letters.record_posted.do(
                letter=the_letter(ticket),
                posted_on=dt.date(2026, 3, 4) + dt.timedelta(days=days),
                actor=officer,
            )


def test_an_extension_notice_too_late_is_not_sent_and_counts_for_nothing(ticket, officer):
    factories.reviewed(ticket, officer)
    ticket.refresh_from_db()
    due = ticket.due_on
    acts.extend.do(
        ticket=ticket,
        ground="number",
        explanation=factories.MORE_TIME,
        version=ticket.version,
        actor=officer,
    )

    with time_machine.travel(dt.datetime.combine(due, dt.time(23), dt.UTC) + dt.timedelta(days=1)):
        tasks.send_letters()

    ticket.refresh_from_db()
    assert (ticket.state, ticket.due_on) == (TicketState.IN_REVIEW, due)
    assert ticket.letters.get(kind="extension").state == LetterState.CANCELLED
    assert len(mail.outbox) == 1  # the acknowledgement


def test_an_extension_counts_once_its_notice_is_sent(ticket, officer):
    factories.reviewed(ticket, officer)
    ticket.refresh_from_db()
    clock = clocks.clock_of(ticket)
    acts.extend.do(
        ticket=ticket,
        ground="number",
        explanation=factories.MORE_TIME,
        version=ticket.version,
        actor=officer,
    )
    ticket.refresh_from_db()
    assert (ticket.state, ticket.due_on) == (TicketState.IN_REVIEW, clock.base_due)

    tasks.send_letters()

    ticket.refresh_from_db()
    assert (ticket.state, ticket.due_on) == (TicketState.EXTENDED, clock.extended_due)
    # In the EU a refusal is due by the first date all the same.
    assert ticket.refuse_by == clock.base_due


def test_an_identity_request_pauses_from_the_day_it_is_sent(officer):
    factories.add_members(1)
    with time_machine.travel(dt.datetime(2026, 3, 5, 12, tzinfo=dt.UTC), tick=False) as clock:
        ticket = factories.objection("acc-0", is_vouched=False, country="IE")
        acts.ask_identity.do(ticket=ticket, **factories.IDENTITY, version=1, actor=officer)
        clock.move_to(dt.datetime(2026, 3, 6, 12, tzinfo=dt.UTC))
        tasks.send_letters()
        ticket.refresh_from_db()
        assert (ticket.identity_asked_on, ticket.due_on) == (
            dt.date(2026, 3, 6),
            dt.date(2026, 4, 7),
        )
        clock.move_to(dt.datetime(2026, 3, 16, 12, tzinfo=dt.UTC))

        acts.record_identity.do(
            ticket=ticket,
            answered_on=dt.date(2026, 3, 16),
            how="x",
            version=ticket.version,
            actor=officer,
        )

    ticket.refresh_from_db()
    # Ten days later than 5 April, a working day.
    assert (ticket.state, ticket.due_on) == (TicketState.IN_REVIEW, dt.date(2026, 4, 15))
    assert ticket.is_verified


def test_what_was_previewed_is_what_is_sent_and_kept(ticket):
    _, preview = composing.compose(case_of(ticket), "acknowledgement")

    tasks.send_letters()

    (message,) = mail.outbox
    kept = the_letter(ticket).text
    assert (message.subject, message.body) == (kept.subject, kept.body)
    assert (preview.subject, preview.body) == (kept.subject, kept.body)


# --- Templates ----------------------------------------------------------------------------------


def test_a_changed_text_is_a_version_and_letters_say_which_they_were_made_from(
    officer, second_officer
):
    text = built_in("acknowledgement")
    shorter = Text("Received: {{ reference }}", text.body)
    factories.put_into_use("acknowledgement", shorter, officer, second_officer)

    ticket = factories.objection(channel="email")

    letter = the_letter(ticket)
    assert letter.template_version == 1
    assert letter.text.subject == f"Received: {ticket.reference}"
    with pytest.raises(StaleEdit):
        composing.propose_text(
            kind="acknowledgement", text=text, version=0, actor=officer, reason="again"
        )
    assert LetterTemplate.objects.count() == 1


def test_a_text_that_loses_what_the_law_asks_for_is_refused(officer):
    text = built_in("refused")

    with pytest.raises(InvalidInput, match="remedy"):
        composing.propose_text(
            kind="refused",
            text=Text(text.subject, text.body.replace("{{ remedy }}", "")),
            version=0,
            actor=officer,
            reason="shorter",
        )


HOSTILE = {
    "html": "<script>alert(1)</script>",
    "placeholder": "{{ reasons }}{{ remedy }}",
    "header": "x\r\nBcc: everybody@example.org",
    "nul": "a\0b",
    "direction": "\u202egnp.exe",
    "long word": "w" * 100_000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_words_of_people_leave_as_harmless_mail(text):
    ticket = factories.objection(channel="email", name=text[:190], statement=text[:20_000])

    factories.send_letters(ticket)

    (message,) = mail.outbox
    raw = message.message().as_bytes()
    assert message.recipients() == [ticket.requester.email]
    assert b"\0" not in raw
    assert max(map(len, raw.splitlines())) < 1000
    assert b"\nBcc:" not in raw
