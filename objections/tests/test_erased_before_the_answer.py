"""A member who is erased with an open objection is answered first; then the identity goes by itself."""

import datetime as dt
import io

import pytest
import time_machine
from django.core import mail
from django.core.management import call_command
from django.db import connection
from django.urls import reverse

from consent import accounts
from consent.models import AccountReference
from ledger.models import Entry
from ledger.verification.verifying import verify_ledger
from objections import acts, tasks
from objections.acts import on_letters
from objections.choices import Effect, Outcome
from objections.clock.days import today
from objections.errors import LetterNotSent
from objections.models import Attachment, LetterText, Note, Requester, Ticket
from objections.ticket import uploads
from tools import factories

pytestmark = pytest.mark.django_db

NAME, SAID = "Wilhelmina", "unforgettable-words"
ADDRESS = "wilhelmina@example.org"


def filed(**more) -> Ticket:
    """An open ticket of a member, full of words."""
    factories.add_member("acc-0")
    return factories.objection(
        "acc-0",
        **{
            "name": NAME,
            "email": ADDRESS,
            "statement": SAID,
            "purposes": ["safety"],
            "files": [uploads.check(f"{SAID}.txt", SAID.encode())],
            **more,
        },
    )


def erase(officer) -> None:
    accounts.erase_member(account_ref="acc-0", actor=officer, reason="test")


def refuse(ticket: Ticket, officer, second_officer) -> Ticket:
    ticket = factories.reviewed(ticket, officer)
    proposal = acts.decide.do(
        ticket=ticket,
        outcomes={"safety": Outcome.REFUSED},
        **factories.REFUSAL,
        version=ticket.version,
        actor=officer,
    )
    return factories.approve(proposal, second_officer)


def dump(*, but: tuple[str, ...] = ()) -> str:
    found = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            if table not in but:
                cursor.execute(f'SELECT * FROM "{table}"')
                found.append(str(cursor.fetchall()))
    return "\n".join(found)


def test_who_is_erased_with_an_open_ticket_is_answered_and_then_the_identity_goes(
    officer, second_officer
):
    ticket = filed(channel="email")
    factories.send_letters(ticket)
    factories.note(ticket=ticket, text=f"{SAID} again", actor=officer)

    erase(officer)
    ticket.refresh_from_db()
    kept = Requester.objects.values().get(ticket=ticket)
    left = dump()
    tasks.erase_expired()
    refused = refuse(ticket, officer, second_officer)
    mail.outbox.clear()
    factories.send_letters(refused)
    answer = mail.outbox[0]
    tasks.erase_expired()

    assert (kept["name"], kept["email"], kept["statement"], kept["account_named"]) == (
        NAME, ADDRESS, "", "",
    )  # fmt: skip
    assert kept["sender_hash"] == ""
    assert SAID not in left
    assert not AccountReference.objects.exists()
    assert (answer.to, NAME in answer.body) == ([ADDRESS], True)
    refused.refresh_from_db()
    assert refused.erased_at is not None
    assert not Requester.objects.exists()
    assert not LetterText.objects.filter(letter__ticket=ticket).exists()
    assert NAME not in dump()
    assert ADDRESS not in dump()
    entry = Entry.objects.get(kind="objection.data_erased")
    assert entry.reason == "the member was erased before, and is answered now"
    assert verify_ledger().problems == []


def test_without_an_open_ticket_all_is_gone_at_once(officer):
    ticket = factories.uphold(filed(), officer)
    factories.send_letters(ticket)

    erase(officer)

    ticket.refresh_from_db()
    assert (ticket.erased_at is not None, ticket.kept_for_answer_at) == (True, None)
    assert not Requester.objects.exists()
    assert NAME not in dump()


def test_what_the_answer_does_not_need_goes_at_once(officer):
    ticket = filed()
    factories.send_letters(ticket)
    factories.note(ticket=ticket, text="called", actor=officer)

    erase(officer)

    assert not Attachment.objects.exists()
    assert not Note.objects.exists()
    assert not LetterText.objects.exists()


def test_a_letter_that_waits_is_sent_after_the_erasure(officer):
    ticket = factories.uphold(filed(), officer)

    erase(officer)
    mail.outbox.clear()
    tasks.send_letters()

    assert ADDRESS in {address for one in mail.outbox for address in one.to}
    ticket.refresh_from_db()
    assert ticket.answered_at is not None


def test_an_outcome_that_waits_for_a_second_person_keeps_its_words(officer, second_officer):
    ticket = factories.reviewed(filed(channel="email"), officer)
    factories.note(ticket=ticket, text="called", actor=officer)
    ticket.refresh_from_db()
    proposal = acts.decide.do(
        ticket=ticket,
        outcomes={"safety": Outcome.REFUSED},
        **factories.REFUSAL,
        version=ticket.version,
        actor=officer,
    )

    erase(officer)
    kept = set(Note.objects.values_list("kind", flat=True))
    ticket = factories.approve(proposal, second_officer)
    mail.outbox.clear()
    factories.send_letters(ticket)

    assert kept == {"ground", "balancing", "reasons"}
    body = " ".join(mail.outbox[-1].body.split())
    assert all(word in body for word in factories.REFUSAL.values())


def test_an_answer_on_its_way_by_post_is_kept_until_it_counts_as_delivered(officer, second_officer):
    posted = dt.datetime(2026, 3, 5, 15, tzinfo=dt.UTC)
    with time_machine.travel(posted, tick=False):
        where = {"channel": "paper", "email": "", "postal_address": "1 Some Street"}
        ticket = refuse(filed(country="DE", **where), officer, second_officer)
        letter = ticket.letters.waiting().latest("pk")
        on_letters.record_posted.do(letter=letter, posted_on=posted.date(), actor=officer)
        erase(officer)
        tasks.erase_expired()
    with time_machine.travel(posted + dt.timedelta(days=3), tick=False):
        # It is written again, to the address that is still there.
        on_letters.record_returned.do(letter=letter, reason="no such street", actor=officer)
        on_letters.record_posted.do(letter=letter, posted_on=today(), actor=officer)
        tasks.erase_expired()
        still = Requester.objects.count()
    with time_machine.travel(posted + dt.timedelta(days=20), tick=False):
        tasks.count_delivered()
        tasks.erase_expired()

    assert (still, Requester.objects.count()) == (1, 0)
    assert ticket.objections.get().effect == Effect.RESTRICTION_LIFTED


def test_nothing_is_erased_while_an_answer_is_on_its_way(officer, second_officer, settings):
    settings.OBJECTION_RETENTION_DAYS = 0
    where = {"channel": "paper", "email": "", "postal_address": "1 Some Street"}
    ticket = refuse(filed(country="DE", **where), officer, second_officer)
    letter = ticket.letters.waiting().latest("pk")
    on_letters.record_posted.do(letter=letter, posted_on=today(), actor=officer)

    tasks.erase_expired()
    with pytest.raises(LetterNotSent, match="is on its way"):
        factories.propose_erasure(ticket=ticket, actor=officer, reason="x")

    assert Requester.objects.filter(ticket=ticket).exists()


def test_closed_as_abuse_later_the_rest_goes_too(officer, second_officer):
    ticket = filed(is_vouched=False, looks_automatic=True)
    erase(officer)
    ticket.refresh_from_db()
    proposal = acts.close_abuse.do(
        ticket=ticket, evidence=factories.EVIDENCE, version=ticket.version, actor=officer
    )
    factories.approve(proposal, second_officer)
    kept = Requester.objects.count()

    tasks.erase_expired()

    assert (kept, Requester.objects.count()) == (1, 0)


def test_the_command_and_the_ticket_say_what_stays_and_until_when(
    officer, second_officer, client_of, monkeypatch
):
    ticket = filed()
    said = io.StringIO()
    monkeypatch.setattr("sys.stdin", io.StringIO("acc-0\n"))

    call_command("erase_member", "--reason", "asked", "--by", "olga", "--yes", stdout=said)

    assert (
        f"{ticket} keeps the name and address that its answer goes to until the outcome letter counts as delivered."
        f" It is due by {ticket.due_on}."
    ) in said.getvalue()
    assert NAME not in said.getvalue()
    page = client_of(officer).get(reverse("admin:objections_ticket_change", args=[ticket.pk]))
    assert "Kept for the answer only" in page.text


def test_the_ledger_and_the_history_of_it_name_no_person(officer, second_officer):
    ticket = filed(channel="email")
    erase(officer)
    ticket.refresh_from_db()
    refuse(ticket, officer, second_officer)

    sealed = dump(but=("objections_requester", "objections_lettertext"))

    assert NAME not in sealed
    assert ADDRESS not in sealed
