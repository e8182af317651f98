"""What staff correct on a ticket: whose law, since when, which address; what follows, and who may not."""

import datetime as dt
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import time_machine
from django.contrib.auth.models import Group, User
from django.core import mail
from django.db import connection, transaction

from common.identity import roles
from ledger.errors import InvalidInput
from ledger.models import Entry
from objections import acts
from objections.acts import on_letters
from objections.choices import LetterState, Outcome, TicketState
from objections.errors import LetterNotSent, LinkExpired, NeedsSecondPerson, NotAllowedHere
from objections.intake import receiving
from objections.letters import composing, effects, outbox, texts
from objections.models import Letter, Ticket
from objections.ticket import clocks
from objections.ticket.checks import recorded
from tools import factories

pytestmark = pytest.mark.django_db

MARCH = dt.datetime(2026, 3, 5, 12, tzinfo=dt.UTC)
EARLIER = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)


@pytest.fixture
def clock():
    with time_machine.travel(MARCH, tick=False) as traveller:
        yield traveller


def in_review(officer, **facts) -> Ticket:
    ticket = factories.objection(**{"country": "DE", "channel": "email", **facts})
    return factories.reviewed(ticket, officer)


def extend(ticket: Ticket, officer) -> Letter:
    ticket.refresh_from_db()
    acts.extend.do(
        ticket=ticket,
        ground="complexity",
        explanation=factories.MORE_TIME,
        version=ticket.version,
        actor=officer,
    )
    return ticket.letters.get(kind="extension", state="waiting")


def move_to(ticket: Ticket, officer, country: str, region: str = "") -> Ticket:
    ticket.refresh_from_db()
    return acts.correct_country.do(
        ticket=ticket,
        country=country,
        region=region,
        reason="x",
        version=ticket.version,
        actor=officer,
    )


def receive_earlier(ticket: Ticket, officer) -> Ticket:
    ticket.refresh_from_db()
    return acts.correct_receipt.do(
        ticket=ticket, received_at=EARLIER, reason="x", version=ticket.version, actor=officer
    )[0]


def readdress(ticket: Ticket, actor, email: str = "new@example.org", reason: str = "x") -> Ticket:
    ticket.refresh_from_db()
    return acts.correct_address.do(
        ticket=ticket,
        email=email,
        postal_address="",
        reason=reason,
        version=ticket.version,
        actor=actor,
    )


def sent(kind: str) -> list[str]:
    """The texts of the letters of a kind that left."""
    rows = Letter.objects.filter(kind=kind, state=LetterState.SENT).order_by("pk")
    return [row.text.body for row in rows]


def fail(letter: Letter) -> Letter:
    return outbox._end(letter, LetterState.FAILED, "letter.failed", "test")


# --- Whose law, since when ----------------------------------------------------------------------


@pytest.mark.parametrize("place", [("CH", ""), ("US", "CA")])
def test_a_notice_that_is_not_out_is_called_off_where_no_extension_exists(clock, officer, place):
    ticket = in_review(officer)
    notice = extend(ticket, officer)

    row = move_to(ticket, officer, *place)
    factories.send_letters(ticket)

    notice.refresh_from_db()
    ticket.refresh_from_db()
    assert (notice.state, row.extension_reason, ticket.state) == (
        LetterState.CANCELLED,
        None,
        TicketState.IN_REVIEW,
    )
    assert not [message for message in mail.outbox if "more time" in message.subject]


@pytest.mark.parametrize("correct", [receive_earlier, lambda t, o: move_to(t, o, "GB")])
def test_a_notice_called_off_can_be_written_anew_by_the_clock_of_now(clock, officer, correct):
    ticket = in_review(officer)
    fail(extend(ticket, officer))

    correct(ticket, officer)
    extend(ticket, officer)
    factories.send_letters(ticket)

    ticket.refresh_from_db()
    states = ticket.letters.filter(kind="extension").order_by("pk").values_list("state", flat=True)
    assert (list(states), ticket.state) == (["cancelled", "sent"], TicketState.EXTENDED)
    assert texts.date_in_words(ticket.due_on) in sent("extension")[0]


def test_a_notice_in_flight_while_the_clock_changes_extends_nothing(clock, officer):
    ticket = in_review(officer)
    notice = extend(ticket, officer)
    move_to(ticket, officer, "CH")

    effects.record_sent(notice, sent_at=MARCH, actor="test")

    ticket.refresh_from_db()
    assert (ticket.state, ticket.extended_on) == (TicketState.IN_REVIEW, None)


def test_a_notice_is_not_sent_that_names_another_day_than_the_clock(clock, officer):
    ticket = in_review(officer)
    notice = extend(ticket, officer)
    assert notice.promised_on == dt.date(2026, 6, 5)
    with recorded("test.clock", ticket, "test"):
        row = Ticket.objects.get(pk=ticket.pk)
        clocks.keep_clock(row, clocks.clock_from(row, EARLIER))
        row.save()

    factories.send_letters(ticket)

    notice.refresh_from_db()
    ticket.refresh_from_db()
    assert (notice.state, ticket.state) == (LetterState.CANCELLED, TicketState.IN_REVIEW)


@pytest.mark.parametrize("correct", [receive_earlier, lambda t, o: move_to(t, o, "US", "CA")])
@pytest.mark.parametrize("was_out", [True, False])
def test_who_was_told_a_day_that_moves_is_told_the_new_one(clock, officer, correct, was_out):
    ticket = in_review(officer)
    if was_out:
        factories.send_letters(ticket)

    row = correct(ticket, officer)
    factories.send_letters(ticket)

    told = sent("acknowledgement")
    assert len(told) == 1 + was_out
    assert texts.date_in_words(row.due_on) in told[-1]


def test_no_letter_is_sent_again_where_no_day_moves(clock, officer):
    ticket = in_review(officer)
    factories.send_letters(ticket)

    move_to(ticket, officer, "FR")

    assert not ticket.letters.waiting().exists()


def test_who_has_not_confirmed_an_address_is_told_no_day_there(clock, officer):
    ticket = in_review(officer, channel="form")
    factories.send_letters(ticket)

    move_to(ticket, officer, "US", "CA")

    assert not ticket.letters.waiting().exists()


def test_a_new_address_is_told_the_day_once_it_is_confirmed(clock, officer):
    ticket = factories.confirmed(factories.objection(country="DE"), officer)
    factories.send_letters(ticket)
    readdress(ticket, officer)

    row = move_to(ticket, officer, "US", "CA")
    assert [letter.kind for letter in ticket.letters.waiting()] == ["confirmation"]

    factories.confirmed(row, officer)
    factories.send_letters(ticket)
    assert texts.date_in_words(row.due_on) in sent("acknowledgement")[-1]


def test_what_is_overdue_becomes_timely_by_no_correction(clock, officer):
    ticket = in_review(officer, country="US", region="CA")
    due_on = ticket.due_on
    clock.move_to(dt.datetime(2026, 3, 30, 12, tzinfo=dt.UTC))
    assert list(Ticket.objects.overdue(dt.date(2026, 3, 30))) == [ticket]

    with pytest.raises(NotAllowedHere, match="what is late does not become timely"):
        move_to(ticket, officer, "DE")

    ticket.refresh_from_db()
    assert (ticket.country, ticket.regime, ticket.due_on) == ("US", "us-ca", due_on)


def test_what_is_not_due_yet_may_become_due_later(clock, officer):
    ticket = in_review(officer, country="US", region="CA")
    before = ticket.due_on

    assert move_to(ticket, officer, "DE").due_on > before


# --- Where letters go ---------------------------------------------------------------------------


def test_another_address_needs_its_reason_and_the_ledger_keeps_no_address(officer):
    ticket = factories.objection(email="old@example.org")

    with pytest.raises(InvalidInput) as refusal:
        readdress(ticket, officer, reason=" ")
    readdress(ticket, officer, reason="They wrote from it.")

    entry = Entry.objects.get(kind="objection.address_corrected")
    assert (refusal.value.field, entry.reason) == ("reason", "They wrote from it.")


@pytest.fixture
def third_officer(db):
    person = User.objects.create_user("oona", is_staff=True)
    person.groups.add(Group.objects.get(name=roles.PRIVACY_OFFICER))
    return person


def refused(officer, second_officer, *others: Ticket) -> Ticket:
    """A member's ticket, refused; the letter waits."""
    factories.add_member("customer-1")
    ticket = factories.objection("customer-1", purposes=["safety"], email="a@example.org")
    factories.reviewed(ticket, officer)
    ticket.refresh_from_db()
    proposal = acts.decide.do(
        ticket=ticket,
        outcomes={"safety": Outcome.REFUSED},
        **factories.REFUSAL,
        version=ticket.version,
        actor=officer,
    )
    return factories.approve(proposal, second_officer)


def test_the_officers_who_ended_an_exclusion_do_not_choose_the_letters_recipient(
    officer, second_officer, third_officer
):
    ticket = refused(officer, second_officer)

    for decider in (officer, second_officer):
        with pytest.raises(NeedsSecondPerson, match="ask a colleague"):
            readdress(ticket, decider, "elsewhere@example.org")
    readdress(ticket, third_officer, "theirs@example.org")
    factories.send_letters(ticket)

    assert mail.outbox[-1].to == ["theirs@example.org"]
    # Once it is out, a copy changes nothing.
    readdress(ticket, officer, "copy@example.org")


def test_who_decided_together_does_not_choose_who_reads_it_either(officer, second_officer):
    factories.add_member("customer-1")
    first, second = (
        factories.reviewed(factories.objection("customer-1", purposes=["safety"]), officer)
        for _ in range(2)
    )
    proposal = acts.decide.do(
        ticket=first,
        outcomes={"safety": Outcome.REFUSED},
        also={second.reference: second.version},
        **factories.REFUSAL,
        version=first.version,
        actor=officer,
    )
    factories.approve(proposal, second_officer)

    with pytest.raises(NeedsSecondPerson):
        readdress(second, officer)


def test_who_upheld_an_objection_may_correct_where_the_answer_goes(officer):
    ticket = factories.uphold(factories.objection(channel="email"), officer)

    readdress(ticket, officer, "theirs@example.org")
    factories.send_letters(ticket)

    assert {message.to[0] for message in mail.outbox} == {"theirs@example.org"}


@pytest.mark.parametrize("state", [LetterState.WAITING, LetterState.FAILED])
def test_a_corrected_address_gets_one_link_and_it_works(officer, state):
    ticket = factories.objection(email="old@example.org")
    if state == LetterState.FAILED:
        fail(ticket.letters.get())

    readdress(ticket, officer)
    factories.send_letters(ticket)

    (message,) = mail.outbox
    token = next(line for line in message.body.split() if "/confirm/" in line).split("/")[-2]
    assert message.to == ["new@example.org"]
    assert receiving.confirm(token).confirmed_at is not None
    assert not ticket.letters.failed().exists()


def test_a_confirmation_tried_again_has_a_link_that_works(officer):
    with time_machine.travel(MARCH, tick=False):
        ticket = factories.objection()
        failed = fail(ticket.letters.get())
    later = MARCH + dt.timedelta(days=60)

    with time_machine.travel(later, tick=False):
        on_letters.try_again.do(letter=failed, actor=officer)
        factories.send_letters(ticket)
        (message,) = mail.outbox
        token = next(line for line in message.body.split() if "/confirm/" in line).split("/")[-2]
        assert receiving.confirm(token).confirmed_at is not None

    failed.refresh_from_db()
    assert failed.state == LetterState.CANCELLED


def test_a_confirmation_is_not_tried_again_where_nothing_is_to_confirm(officer):
    ticket = factories.uphold(factories.objection(), officer)
    failed = fail(ticket.letters.get(kind="confirmation"))

    with pytest.raises(LetterNotSent, match="nothing to confirm"):
        on_letters.try_again.do(letter=failed, actor=officer)


def test_an_address_confirmed_by_staff_is_asked_for_no_more(officer):
    ticket = factories.objection()

    factories.confirmed(ticket, officer)
    factories.send_letters(ticket)

    assert [letter.kind for letter in ticket.letters.filter(state="sent")] == ["acknowledgement"]


def test_no_address_is_confirmed_on_a_closed_ticket(officer):
    ticket = factories.uphold(factories.objection(), officer)

    with pytest.raises(NotAllowedHere, match="is closed"):
        acts.confirm_address.do(ticket=ticket, reason="x", version=ticket.version, actor=officer)

    assert not ticket.letters.filter(kind="acknowledgement").exists()


def test_a_closed_ticket_cannot_be_assigned(officer, second_officer):
    ticket = factories.uphold(factories.objection(), officer)

    for who in (second_officer, None):
        with pytest.raises(NotAllowedHere, match="closed tickets cannot be assigned"):
            acts.assign.do(ticket=ticket, officer=who, version=ticket.version, actor=officer)

    ticket.refresh_from_db()
    assert ticket.assignee == officer


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_link_followed_while_its_address_is_corrected_confirms_nothing(officer):
    ticket = factories.objection(email="old@example.org")
    token = composing.confirmation_link(ticket)["link"].split("/")[-2]

    def follow() -> object:
        try:
            return receiving.confirm(token)
        except LinkExpired as refusal:
            return refusal
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            readdress(ticket, officer)
            # It sees the old address still, and waits for the ledger.
            followed = pool.submit(follow)
            time.sleep(0.5)
        assert isinstance(followed.result(), LinkExpired)

    ticket.refresh_from_db()
    assert ticket.confirmed_at is None
