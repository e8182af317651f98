"""Erasing: the words go, the proof stays."""

import datetime as dt

import pytest
import time_machine
from django.conf import settings
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from consent import accounts
from ledger.errors import InvalidInput
from ledger.models import Entry
from ledger.verification.verifying import verify_ledger
from objections import acts, tasks
from objections.choices import ChangeVerdict
from objections.clock import deadlines
from objections.clock.days import today
from objections.errors import (
    AlreadyProposed,
    AlreadySettled,
    EvidenceHeld,
    ForbiddenMove,
    LetterNotSent,
)
from objections.intake import receiving
from objections.letters import effects
from objections.models import (
    Attachment,
    LetterText,
    Note,
    ProposedChange,
    Requester,
    Ticket,
)
from objections.ticket import retention, uploads
from tools import factories

SECRET = "Wilhelmina-Unforgettable"


@pytest.fixture
def closed(officer) -> Ticket:
    """A closed, answered ticket full of words."""
    factories.add_members(2)
    ticket = factories.objection(
        "acc-0",
        name=SECRET,
        email=f"{SECRET.lower()}@example.org",
        statement=f"I am {SECRET}.",
        files=[uploads.check(f"{SECRET}.txt", SECRET.encode())],
    )
    factories.note(ticket=ticket, text=f"{SECRET} called.", actor=officer)
    ticket = factories.uphold(ticket, officer)
    factories.send_letters(ticket)
    ticket.refresh_from_db()
    return ticket


def dump() -> str:
    """Everything in the database and the attachment store, as text."""
    with connection.cursor() as cursor:
        found = []
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            found.append(str(cursor.fetchall()))
    files = [p for p in settings.ATTACHMENT_DIR.rglob("*") if p.is_file()]
    return "\n".join([*found, *(p.name + p.read_text() for p in files)]).lower()


@pytest.mark.django_db(transaction=True)
def test_nothing_of_the_words_is_left_and_everything_verifies(closed, officer, second_officer):
    assert SECRET.lower() in dump()
    kept = Ticket.objects.values().get(pk=closed.pk)

    factories.erase_words(closed, officer, second_officer)

    assert SECRET.lower() not in dump()
    after = Ticket.objects.values().get(pk=closed.pk)
    changed = {name for name in kept if kept[name] != after[name]}
    assert changed == {"erased_at", "version"}
    assert closed.objections.get().effect == "upheld"
    assert verify_ledger().problems == []


@pytest.mark.django_db(transaction=True)
def test_a_members_erasure_takes_the_words_of_all_their_tickets(closed, officer):
    still_open = factories.objection("acc-0", statement=SECRET, purposes=["safety"])
    other = factories.objection("acc-1", name="another person")

    accounts.erase_member(account_ref="acc-0", actor=officer, reason="test")

    assert SECRET.lower() not in dump()
    requesters = Requester.objects.order_by("pk").values_list("ticket", flat=True)
    assert list(requesters) == [still_open.pk, other.pk]
    effects = Ticket.objects.filter(member=closed.member).values_list("objections__effect")
    assert sorted(effects) == [("restricting",), ("upheld",)]
    assert verify_ledger().problems == []


def link(ticket: Ticket, other: Ticket, officer) -> None:
    ticket.refresh_from_db()
    acts.link.do(
        ticket=ticket, other=other, reason="They said so.", version=ticket.version, actor=officer
    )


def still_have_words(*tickets: Ticket) -> list[bool]:
    """Whether they have more than what an answer needs."""
    whole = Requester.objects.filter(ticket__kept_for_answer_at=None)
    return [whole.filter(ticket=ticket).exists() for ticket in tickets]


@pytest.mark.django_db
def test_who_erases_an_account_erases_no_open_ticket_of_an_address_they_typed(officer):
    factories.add_members(1)
    victims = factories.objection(email="victim@example.org", name="Victim")
    receiving.confirm(link_in(victims))
    own = factories.objection("acc-0", email="victim@example.org")
    on_paper = factories.objection("acc-0", email="victim@example.org", channel="paper")

    accounts.erase_member(account_ref="acc-0", actor=officer, reason="test")

    assert own.linked_to == victims
    assert still_have_words(victims, own, on_paper) == [True, False, False]


def link_in(ticket: Ticket) -> str:
    body = ticket.letters.select_related("text").get(kind="confirmation").text.body
    (link,) = [word for word in body.split() if word.startswith(settings.PUBLIC_URL)]
    return link.rstrip("/").rpartition("/")[2]


@pytest.mark.parametrize(
    ("own_channel", "other_channel", "is_kept"),
    [
        ("paper", "email", False),
        # What a member typed proves no address, nor does what a stranger typed.
        ("product", "email", True),
        ("paper", "form", True),
    ],
)
@pytest.mark.django_db
def test_a_closed_ticket_goes_where_the_address_is_proven_on_both_sides(
    officer, own_channel, other_channel, is_kept
):
    factories.add_members(1)
    address = "petra@example.org"
    factories.objection("acc-0", email=address, channel=own_channel)
    closed = factories.uphold(factories.objection(email=address, channel=other_channel), officer)
    still_open = factories.objection(email=address, channel=other_channel)

    accounts.erase_member(account_ref="acc-0", actor=officer, reason="test")

    assert still_have_words(closed, still_open) == [is_kept, True]


@pytest.mark.django_db
def test_identity_that_was_answered_counts_like_a_login(officer):
    factories.add_members(1)
    own = factories.objection("acc-0", is_vouched=False, email="petra@example.org")
    acts.ask_identity.do(ticket=own, **factories.IDENTITY, version=1, actor=officer)
    factories.send_letters(own)
    own.refresh_from_db()
    acts.record_identity.do(
        ticket=own, answered_on=today(), how="h", version=own.version, actor=officer
    )
    closed = factories.objection(email="petra@example.org", channel="email")
    factories.uphold(closed, officer)

    accounts.erase_member(account_ref="acc-0", actor=officer, reason="test")

    assert still_have_words(own, closed) == [False, False]


@pytest.mark.django_db
def test_words_that_an_officer_linked_to_the_member_do_not_survive(officer):
    factories.add_members(1)
    by_mail = factories.objection(email="petra@example.org", channel="email")
    same_address = factories.objection(email="petra@example.org")
    on_paper = factories.objection(
        "acc-0", is_vouched=False, email="", postal_address="Here", channel="paper"
    )
    further = factories.objection(email="p@example.org")
    link(on_paper, by_mail, officer)
    link(further, by_mail, officer)

    accounts.erase_member(account_ref="acc-0", actor=officer, reason="test")

    tickets = (on_paper, by_mail, further, same_address)
    assert still_have_words(*tickets) == [False, False, False, True]
    assert {Ticket.objects.get(pk=one.pk).linked_to_id for one in tickets} == {None, by_mail.pk}


@pytest.mark.django_db
def test_an_open_or_unanswered_ticket_keeps_its_words(officer, settings):
    settings.OBJECTION_RETENTION_DAYS = 0
    factories.add_members(1)
    ticket = factories.objection("acc-0")

    with pytest.raises(ForbiddenMove, match="could not be answered"):
        factories.propose_erasure(ticket=ticket, actor=officer, reason="x")
    ticket = factories.uphold(ticket, officer)
    with pytest.raises(LetterNotSent):
        factories.propose_erasure(ticket=ticket, actor=officer, reason="x")
    factories.send_letters(ticket)
    with pytest.raises(InvalidInput):
        factories.propose_erasure(ticket=ticket, actor=officer, reason=" ")

    assert Requester.objects.filter(ticket=ticket).exists()


# --- The evidence is held, and goes by two people -----------------------------------------------


def end_as(state: str, officer, second_officer) -> Ticket:
    """A ticket that ended so, with the person told."""
    ticket = factories.objection(
        purposes=["safety"], channel="paper", postal_address="x", looks_automatic=False
    )
    if state == "upheld":
        ticket = factories.uphold(ticket, officer)
    elif state == "withdrawn":
        ticket = factories.withdraw(ticket, officer, second_officer)
    elif state == "abuse":
        ticket = factories.objection(looks_automatic=True)
        proposal = acts.close_abuse.do(
            ticket=ticket,
            evidence="Two hundred forms of one minute name one account each.",
            version=ticket.version,
            actor=officer,
        )
        ticket = factories.approve(proposal, second_officer)
    else:
        ticket = factories.reviewed(ticket, officer)
        proposal = acts.decide.do(
            ticket=ticket,
            outcomes={"safety": "refused"},
            version=ticket.version,
            actor=officer,
            ground="A court has ordered that all of these records are kept as evidence.",
            balancing="We weighed the order against what the person told us.",
            reasons="The order binds us until the proceedings are over.",
        )
        ticket = factories.approve(proposal, second_officer)
    for letter in ticket.letters.waiting():
        effects.record_sent(letter, sent_at=timezone.now(), actor=officer)
    ticket.refresh_from_db()
    return ticket


@pytest.mark.django_db
@pytest.mark.parametrize("state", ["refused", "withdrawn", "upheld", "abuse"])
def test_evidence_is_held_until_the_day_that_the_refusal_names(
    state, officer, second_officer, client_of
):
    ticket = end_as(state, officer, second_officer)
    until = today() + dt.timedelta(days=settings.OBJECTION_RETENTION_DAYS)
    page = reverse("admin:objections_ticket_erase", args=[ticket.pk])
    typed = {"typed": ticket.reference, "reason": "The person asked for it."}

    with pytest.raises(EvidenceHeld, match=deadlines.in_words(until)):
        factories.propose_erasure(ticket=ticket, actor=officer, reason="asked for")
    answer = client_of(officer).post(page, typed)
    change_page = client_of(officer).get(
        reverse("admin:objections_ticket_change", args=[ticket.pk])
    )

    assert deadlines.in_words(until) in answer.content.decode()
    assert typed["reason"] in answer.content.decode()
    assert deadlines.in_words(until) in change_page.content.decode()
    assert not ProposedChange.objects.exists()
    assert still_have_words(ticket) == [True]


@pytest.mark.django_db
def test_one_officer_proposes_an_erasure_and_only_a_second_one_carries_it_out(
    officer, second_officer, client_of, settings
):
    ticket = end_as("refused", officer, second_officer)
    settings.OBJECTION_RETENTION_DAYS = 0
    olga, otto = client_of(officer), client_of(second_officer)
    pages = {
        name: reverse(f"admin:objections_ticket_{name}", args=[ticket.pk])
        for name in ("erase", "review_erasure", "change")
    }
    said = {"typed": ticket.reference, "reason": "Kept long enough.", "version": ticket.version}

    olga.post(pages["erase"], said)
    ticket.refresh_from_db()
    word = {"verdict": "approved", "reason": "The day has come.", "version": ticket.version}
    own = olga.post(pages["review_erasure"], word)
    shown = [client.get(pages["change"]).content.decode() for client in (olga, otto)]

    assert "may not approve it" in own.content.decode()
    assert "The day has come." in own.content.decode()
    assert still_have_words(ticket) == [True]
    assert "Take it back" in shown[0]
    assert "Kept long enough." in shown[1]
    waits = [
        line.url
        for panel in otto.get(reverse("admin:index")).context["panels"]
        for line in panel.lines
    ]
    assert pages["review_erasure"] in waits
    with pytest.raises(AlreadyProposed):
        factories.propose_erasure(ticket=ticket, actor=second_officer, reason="me too")

    assert otto.post(pages["review_erasure"], word).status_code == 302

    assert still_have_words(ticket) == [False]
    entries = Entry.objects.filter(subject=ticket.reference, kind__contains="eras")
    assert list(entries.order_by("pk").values_list("kind", "actor_name", "reason")) == [
        ("objection.erasure_proposed", "olga", "Kept long enough."),
        ("objection.data_erased", "otto", "The day has come."),
    ]
    assert verify_ledger().problems == []


@pytest.mark.django_db
def test_an_erasure_that_came_back_keeps_the_words_and_is_its_authors_first_task(
    officer, second_officer, client_of, settings
):
    ticket = end_as("refused", officer, second_officer)
    settings.OBJECTION_RETENTION_DAYS = 0
    factories.propose_erasure(ticket=ticket, actor=officer, reason="Kept long enough.")

    factories.review_erasure(
        ticket=ticket,
        verdict=ChangeVerdict.RETURNED,
        actor=second_officer,
        reason="A claim is pending.",
    )

    olga = client_of(officer)
    first = olga.get(reverse("admin:index")).context["panels"][0]
    page = olga.get(first.lines[0].url)
    assert (first.title, first.lines[0].detail) == (
        "Sent back to you",
        "sent back by otto: A claim is pending.",
    )
    assert page.context["form"].initial["reason"] == "Kept long enough."
    assert "A claim is pending." in page.content.decode()
    assert still_have_words(ticket) == [True]
    with pytest.raises(AlreadySettled):
        factories.review_erasure(
            ticket=ticket, verdict=ChangeVerdict.APPROVED, actor=second_officer, reason="x"
        )


@pytest.mark.django_db
def test_an_erasure_approved_after_the_hold_was_prolonged_is_refused(
    officer, second_officer, settings
):
    ticket = end_as("refused", officer, second_officer)
    settings.OBJECTION_RETENTION_DAYS = 0
    factories.propose_erasure(ticket=ticket, actor=officer, reason="x")
    settings.OBJECTION_RETENTION_DAYS = 365

    with pytest.raises(EvidenceHeld):
        factories.review_erasure(
            ticket=ticket, verdict=ChangeVerdict.APPROVED, actor=second_officer, reason="x"
        )

    assert still_have_words(ticket) == [True]


@pytest.mark.django_db
def test_a_ticket_erased_meanwhile_waits_for_no_approval(officer, second_officer, settings):
    ticket = end_as("refused", officer, second_officer)
    settings.OBJECTION_RETENTION_DAYS = 0
    factories.propose_erasure(ticket=ticket, actor=officer, reason="x")

    with time_machine.travel(timezone.now() + dt.timedelta(days=1)):
        tasks.erase_expired()

    assert still_have_words(ticket) == [False]
    assert not ProposedChange.objects.waiting().exists()
    with pytest.raises(AlreadySettled):
        factories.review_erasure(
            ticket=ticket, verdict=ChangeVerdict.APPROVED, actor=second_officer, reason="x"
        )


@pytest.mark.django_db(transaction=True)
def test_the_daily_task_erases_what_was_kept_long_enough(closed):
    keep = dt.timedelta(days=settings.OBJECTION_RETENTION_DAYS)
    factories.objection("acc-1")

    with time_machine.travel(closed.closed_at + keep - dt.timedelta(hours=1)):
        tasks.erase_expired()
    assert Requester.objects.count() == 2

    with time_machine.travel(closed.closed_at + keep + dt.timedelta(hours=1)):
        tasks.erase_expired()
    assert Requester.objects.count() == 1
    counts = [m.objects.count() for m in (Attachment, Note)]
    assert counts == [0, 0]
    assert LetterText.objects.filter(letter__ticket=closed).count() == 0


@pytest.mark.django_db
def test_words_are_kept_until_so_long_after_the_answer(officer, settings):
    keep = dt.timedelta(days=settings.OBJECTION_RETENTION_DAYS)
    ticket = factories.uphold(factories.objection(), officer)

    with time_machine.travel(ticket.closed_at + keep * 2):
        unanswered = retention.erase_expired()
        factories.send_letters(ticket)
        just_answered = retention.erase_expired()
    with time_machine.travel(ticket.closed_at + keep * 3 + dt.timedelta(hours=1)):
        long_ago = retention.erase_expired()

    assert [unanswered, just_answered, long_ago] == [0, 0, 1]
    assert still_have_words(ticket) == [False]


@pytest.mark.django_db
def test_what_was_closed_as_abuse_is_erased_without_an_answer(officer, second_officer, settings):
    keep = dt.timedelta(days=settings.OBJECTION_RETENTION_DAYS)
    tickets = [factories.objection(looks_automatic=True) for _ in range(3)]
    for ticket in tickets[:2]:
        proposal = acts.close_abuse.do(
            ticket=ticket, evidence=factories.EVIDENCE, version=1, actor=officer
        )
        factories.approve(proposal, second_officer)
    *closed, still_open = tickets

    at_once = retention.erase_expired()
    with time_machine.travel(timezone.now() + keep + dt.timedelta(hours=1)):
        count = retention.erase_expired()

    assert (at_once, count) == (0, 2)
    assert still_have_words(*closed, still_open) == [False, False, True]


@pytest.mark.django_db
def test_files_of_no_ticket_are_swept_after_a_day():
    stray = uploads.store(uploads.check("a.txt", b"stray"))
    ticket = factories.objection(channel="email", files=[uploads.check("b.txt", b"kept")])

    assert retention.sweep_files() == 0
    with time_machine.travel(timezone.now() + dt.timedelta(days=2)):
        assert retention.sweep_files() == 1

    kept = Attachment.objects.get(ticket=ticket)
    files = [p.name for p in settings.ATTACHMENT_DIR.rglob("*") if p.is_file()]
    assert (files, stray in files) == ([kept.key], False)
