"""A restriction ends once the outcome letter counts as delivered: days by channel and country, and not if it came back."""

import datetime as dt
from html import unescape

import pytest
import time_machine
from django.urls import reverse

from consent.choices import ReviewVerdict
from consent.models import Policy
from consent.rulebook import policies, proposing
from ledger.errors import InvalidInput
from ledger.models import Entry
from ledger.verification.verifying import verify_ledger
from objections import acts, tasks
from objections.acts import on_letters
from objections.choices import Effect, Outcome
from objections.clock.days import ended_everywhere, today
from objections.errors import NeedsSecondPerson
from objections.models import Letter, Objection, Ticket
from objections.public import progress
from objections.ticket.case import case_of
from tools import factories

pytestmark = pytest.mark.django_db

POSTED = dt.datetime(2026, 3, 5, 15, tzinfo=dt.UTC)
SEVEN_DAYS = dt.datetime(2026, 3, 13, 12, tzinfo=dt.UTC)
"""Seven days after the 5th, the 12th has ended in the last time zone."""
ALMOST = SEVEN_DAYS - dt.timedelta(seconds=1)


def decided(officer, second_officer, *, country="DE", outcome=Outcome.REFUSED, **filing) -> Ticket:
    """A ticket of a member whose outcome letter waits for the post."""
    if not filing.get("account_ref"):
        filing["account_ref"] = f"acc-{Ticket.objects.count()}"
        factories.add_member(filing["account_ref"])
    where = {
        "channel": "paper",
        "email": "",
        "name": "A. Person",
        "postal_address": "1 Some Street",
    }
    ticket = factories.objection(purposes=["safety"], country=country, **{**where, **filing})
    if outcome == Outcome.UPHELD:
        return factories.uphold(ticket, officer)
    ticket = factories.reviewed(ticket, officer)
    proposal = acts.decide.do(
        ticket=ticket,
        outcomes={"safety": outcome},
        **factories.REFUSAL,
        version=ticket.version,
        actor=officer,
    )
    return factories.approve(proposal, second_officer)


def post(ticket: Ticket, officer) -> Letter:
    """The waiting letters of the ticket, put into the post today; the last of them."""
    for letter in ticket.letters.waiting().order_by("pk"):
        sent = on_letters.record_posted.do(letter=letter, posted_on=today(), actor=officer)
    ticket.refresh_from_db()
    return sent


def effect_of(ticket: Ticket) -> str:
    ticket.refresh_from_db()
    return ticket.objections.get().effect


def at(moment: dt.datetime) -> time_machine.travel:
    return time_machine.travel(moment, tick=False)


def days(kind, value, actor, *, country="", on=dt.date(2026, 1, 1)) -> Policy:
    return proposing.propose_policy(
        kind=kind, value=value, effective_from=on, country=country, source="test", actor=actor
    )


def approve(row: Policy, actor) -> None:
    proposing.review(proposal=row, verdict=ReviewVerdict.APPROVED, actor=actor, reason="test")


# --- How long -----------------------------------------------------------------------------------


def test_a_refusal_by_post_lifts_only_once_its_days_have_ended_everywhere(officer, second_officer):
    with at(POSTED):
        ticket = decided(officer, second_officer)
        post(ticket, officer)
        tasks.count_delivered()
        assert (ticket.delivers_at, ticket.delivered_at) == (SEVEN_DAYS, None)
    with at(ALMOST):
        tasks.count_delivered()
        before = effect_of(ticket)
    with at(SEVEN_DAYS):
        tasks.count_delivered()
        after = effect_of(ticket)
        tasks.count_delivered()

    assert (before, after) == (Effect.RESTRICTING, Effect.RESTRICTION_LIFTED)
    assert (ticket.delivers_at, ticket.delivered_at) == (None, SEVEN_DAYS)
    entry = Entry.objects.get(kind="objection.answer_delivered")
    assert (entry.subject, entry.actor_name) == (ticket.reference, "system:delivery")
    lifted = Objection.history.get(effect=Effect.RESTRICTION_LIFTED)
    assert lifted.entry_id == entry.pk


def test_an_email_counts_as_delivered_when_it_is_sent(officer, second_officer):
    ticket = decided(officer, second_officer, email="a@example.org")

    factories.send_letters(ticket)

    assert effect_of(ticket) == Effect.RESTRICTION_LIFTED
    assert ticket.delivered_at == ticket.answered_at
    assert not Entry.objects.filter(kind="objection.answer_delivered").exists()


@pytest.mark.parametrize(
    ("country", "waits"), [("DE", 7), ("IE", 7), ("NO", 7), ("GB", 31), ("US", 31), ("", 31)]
)
def test_without_a_row_post_takes_a_week_inside_the_eea_and_a_month_elsewhere(
    country, waits, officer, second_officer
):
    with at(POSTED):
        ticket = decided(officer, second_officer, country=country)
        post(ticket, officer)

    assert ticket.delivers_at == ended_everywhere(POSTED.date() + dt.timedelta(days=waits))


def test_a_letter_posted_long_before_it_was_recorded_counts_from_its_posting(
    officer, second_officer
):
    with at(POSTED):
        ticket = decided(officer, second_officer)
    with at(SEVEN_DAYS):
        on_letters.record_posted.do(
            letter=ticket.letters.waiting().latest("pk"), posted_on=POSTED.date(), actor=officer
        )

    assert effect_of(ticket) == Effect.RESTRICTION_LIFTED
    assert ticket.delivered_at == SEVEN_DAYS


def test_a_withdrawal_confirmed_by_post_waits_as_well(officer, second_officer):
    with at(POSTED):
        factories.add_member("acc-0")
        ticket = factories.objection(
            "acc-0", purposes=["safety"], channel="paper", email="", name="A", postal_address="B",
            country="DE",
        )  # fmt: skip
        ticket = factories.withdraw(ticket, officer, second_officer)
        post(ticket, officer)
        waits = effect_of(ticket)
    with at(SEVEN_DAYS):
        tasks.count_delivered()

    assert (waits, effect_of(ticket)) == (Effect.RESTRICTING, Effect.RESTRICTION_LIFTED)


def test_what_is_upheld_stays_upheld_when_its_letter_counts_as_delivered(officer, second_officer):
    with at(POSTED):
        ticket = decided(officer, second_officer, outcome=Outcome.UPHELD)
        post(ticket, officer)
    with at(SEVEN_DAYS):
        tasks.count_delivered()

    assert (effect_of(ticket), ticket.delivered_at) == (Effect.UPHELD, SEVEN_DAYS)


def test_nothing_counts_as_delivered_while_the_clocks_disagree(officer, second_officer, request):
    now = dt.datetime.now(dt.UTC)
    with at(now - dt.timedelta(days=60)):
        ticket = decided(officer, second_officer)
        post(ticket, officer)
    request.getfixturevalue("databases_own_clock")
    with time_machine.travel(now + dt.timedelta(days=2), tick=True):
        tasks.count_delivered()
        meanwhile = effect_of(ticket)

    tasks.count_delivered()

    assert (meanwhile, effect_of(ticket)) == (Effect.RESTRICTING, Effect.RESTRICTION_LIFTED)


# --- A policy row -------------------------------------------------------------------------------


def test_more_days_hold_at_once_and_fewer_need_a_second_person(officer, second_officer):
    on = dt.date(2026, 3, 5)
    more = days("delivered-by-post", 10, officer, country="DE")
    with_more = policies.in_force("delivered-by-post", "", on, "DE")
    fewer = days("delivered-by-post", 4, officer, country="DE", on=dt.date(2026, 2, 1))
    waits = policies.in_force("delivered-by-post", "", on, "DE")

    with pytest.raises(Exception, match="ask a colleague"):
        approve(fewer, officer)
    approve(fewer, second_officer)

    assert (more.needs_approval, with_more) == (False, 10)
    assert (fewer.needs_approval, waits) == (True, 10)
    assert policies.in_force("delivered-by-post", "", on, "DE") == 4
    assert policies.in_force("delivered-by-post", "", on, "FR") == 7


def test_a_row_without_a_country_is_for_every_country_not_named(officer, second_officer):
    on = dt.date(2026, 3, 5)
    days("delivered-by-post", 40, officer, country="DE")
    everywhere = days("delivered-by-post", 10, officer)
    approve(everywhere, second_officer)

    found = {one: policies.in_force("delivered-by-post", "", on, one) for one in ("DE", "FR", "US")}

    # It loosens what the code says of America.
    assert everywhere.needs_approval
    assert found == {"DE": 40, "FR": 10, "US": 10}
    # The person may be in Germany.
    assert policies.in_force("delivered-by-post", "", on) == 40


def test_a_row_about_letters_names_no_purpose_and_another_row_no_country(officer):
    with pytest.raises(InvalidInput, match="the same for every purpose"):
        proposing.propose_policy(
            kind="delivered-by-post", value=9, effective_from=POSTED.date(), purpose="safety",
            source="test", actor=officer,
        )  # fmt: skip
    with pytest.raises(InvalidInput, match="the same everywhere"):
        days("lease-days", 9, officer, country="DE")
    with pytest.raises(InvalidInput, match="country's code"):
        days("delivered-by-post", 9, officer, country="ZZ")
    with pytest.raises(InvalidInput, match="1 to 90"):
        days("delivered-by-post", 0, officer)


def test_the_days_are_those_of_the_day_of_sending(officer, second_officer):
    with at(POSTED):
        days("delivered-by-post", 35, officer, on=dt.date(2026, 3, 6))
        days("delivered-by-email", 2, officer, on=dt.date(2026, 3, 6))
        ticket = decided(officer, second_officer)
        post(ticket, officer)
    with at(POSTED + dt.timedelta(days=1)):
        later = decided(officer, second_officer)
        post(later, officer)
        by_email = decided(officer, second_officer, email="a@example.org")
        factories.send_letters(by_email)
        by_email.refresh_from_db()

    assert ticket.delivers_at == SEVEN_DAYS
    assert later.delivers_at == ended_everywhere(dt.date(2026, 4, 10))
    assert by_email.delivers_at == ended_everywhere(dt.date(2026, 3, 8))


def test_stricter_days_recorded_meanwhile_put_the_lift_off(officer, second_officer):
    with at(POSTED):
        ticket = decided(officer, second_officer)
        post(ticket, officer)
    with at(ALMOST):
        days("delivered-by-post", 9, officer, country="DE")
    with at(SEVEN_DAYS):
        tasks.count_delivered()

    assert (effect_of(ticket), ticket.delivers_at) == (
        Effect.RESTRICTING,
        SEVEN_DAYS + dt.timedelta(days=2),
    )
    assert Entry.objects.filter(kind="objection.delivery_put_off").count() == 1


def test_the_admin_proposes_lists_and_reviews_such_a_row(officer, second_officer, client_of):
    client = client_of(officer)
    client.post(
        reverse("admin:consent_policy_add"),
        {
            "kind": "delivered-by-post", "country": "DE", "value": 4, "effective_from": "2026-01-01",
            "source": "VwVfG § 41(2)",
        },
    )  # fmt: skip
    row = Policy.objects.get()
    shown = unescape(client.get(reverse("admin:consent_policy_changelist")).text)
    page = unescape(
        client_of(second_officer).get(reverse("admin:consent_policy_review", args=[row.pk])).text
    )

    assert (row.country, row.value, row.needs_approval) == ("DE", 4, True)
    assert "days until a letter by post counts as delivered" in shown
    assert "Germany" in page
    assert "4; without the proposal 7" in page


# --- What is said -------------------------------------------------------------------------------


def test_the_ticket_and_the_person_are_told_until_when_it_holds(officer, second_officer, client_of):
    with at(POSTED):
        ticket = decided(officer, second_officer)
        page = unescape(
            client_of(officer)
            .get(
                reverse(
                    "admin:objections_ticket_letter_posted",
                    args=[ticket.letters.waiting().latest("pk").pk],
                )
            )
            .text
        )
        post(ticket, officer)
        shown = client_of(officer).get(reverse("admin:objections_ticket_change", args=[ticket.pk]))
        told = progress.of(ticket)

    assert "once 7 days after that one have ended everywhere" in page
    assert "still out until 2026-03-13 12:00 UTC, when the letter counts as delivered" in shown.text
    assert told.purposes[0].words == (
        "refused; the accounts that we can tie to you stay off the lists for new training"
        " until 13 March 2026, when our letter counts as delivered"
    )
    assert any("until 13 March 2026" in one for one in told.sentences)


def test_an_officer_who_opens_the_ticket_needs_no_task(officer, second_officer, auditor, client_of):
    with at(POSTED):
        ticket = decided(officer, second_officer)
        post(ticket, officer)
    page = reverse("admin:objections_ticket_change", args=[ticket.pk])

    with at(SEVEN_DAYS):
        client_of(auditor).get(page)
        looked_at = effect_of(ticket)
        shown = client_of(officer).get(page).text

    assert looked_at == Effect.RESTRICTING
    assert effect_of(ticket) == Effect.RESTRICTION_LIFTED
    assert "refused: no longer excluded by this ticket" in shown


def test_the_officers_of_an_outcome_choose_no_address_before_the_letter_counts_as_delivered(
    officer, second_officer
):
    with at(POSTED):
        ticket = decided(officer, second_officer)
        post(ticket, officer)

        with pytest.raises(NeedsSecondPerson):
            acts.correct_address.do(
                ticket=ticket, email="b@example.org", postal_address="", reason="They wrote.",
                version=ticket.version, actor=officer,
            )  # fmt: skip


# --- When it comes back -------------------------------------------------------------------------


def came_back(letter: Letter, officer) -> Letter:
    return on_letters.record_returned.do(letter=letter, reason="no such street", actor=officer)


def test_a_letter_that_comes_back_in_time_lifts_nothing_and_a_new_one_is_owed(
    officer, second_officer, client_of
):
    with at(POSTED):
        ticket = decided(officer, second_officer)
        letter = post(ticket, officer)
    with at(ALMOST):
        came_back(letter, officer)
    with at(SEVEN_DAYS + dt.timedelta(days=90)):
        tasks.count_delivered()
        shown = client_of(officer).get(reverse("admin:objections_ticket_change", args=[ticket.pk]))

    assert effect_of(ticket) == Effect.RESTRICTING
    assert (ticket.answered_at, ticket.delivers_at, ticket.delivered_at) == (None, None, None)
    assert ticket.objections.get().restricts_since == ticket.received_at
    assert "a new letter is owed" in shown.text
    assert not Objection.history.filter(effect=Effect.RESTRICTION_LIFTED).exists()


def test_a_letter_that_comes_back_later_restricts_again_from_the_moment_of_the_lift(
    officer, second_officer
):
    lifted_at = SEVEN_DAYS + dt.timedelta(hours=3)
    with at(POSTED):
        ticket = decided(officer, second_officer)
        letter = post(ticket, officer)
    with at(lifted_at):
        tasks.count_delivered()
    with at(lifted_at + dt.timedelta(days=10)):
        came_back(letter, officer)

    assert effect_of(ticket) == Effect.RESTRICTING
    row = Objection.history.filter(ticket_id=ticket.pk).latest("entry_id")
    assert (row.effect, row.restricts_since) == (Effect.RESTRICTING, lifted_at)
    assert ticket.objections.get().restricts_since == lifted_at
    assert verify_ledger().problems == []


def test_an_ordinary_objection_restricts_since_its_receipt_also_when_that_is_corrected(officer):
    with at(POSTED):
        ticket = factories.objection(channel="email", country="DE", purposes=["safety"])
        first = ticket.objections.get().restricts_since
        earlier = ticket.received_at - dt.timedelta(days=3)
        acts.correct_receipt.do(
            ticket=ticket, received_at=earlier, reason="The stamp.", version=ticket.version,
            actor=officer,
        )  # fmt: skip

    assert first == ticket.received_at
    assert ticket.objections.get().restricts_since == earlier
    rows = Objection.history.filter(ticket_id=ticket.pk).order_by("entry_id")
    assert list(rows.values_list("restricts_since", flat=True)) == [first, earlier]


def test_a_copy_on_its_way_restricts_until_it_counts_as_delivered_itself(officer, second_officer):
    with at(POSTED):
        ticket = decided(officer, second_officer)
        letter = post(ticket, officer)
    with at(POSTED + dt.timedelta(days=6)):
        on_letters.repeat.do(letter=letter, actor=officer)
        post(ticket, officer)
    with at(SEVEN_DAYS):
        tasks.count_delivered()
        lifted = effect_of(ticket)
        came_back(letter, officer)
        returned = effect_of(ticket)
    with at(SEVEN_DAYS + dt.timedelta(days=6)):
        tasks.count_delivered()

    assert (lifted, returned) == (Effect.RESTRICTION_LIFTED, Effect.RESTRICTING)
    assert effect_of(ticket) == Effect.RESTRICTION_LIFTED
    assert ticket.delivered_at == SEVEN_DAYS + dt.timedelta(days=6)


def test_an_email_sent_after_the_post_lifts_at_once(officer, second_officer):
    with at(POSTED):
        ticket = decided(officer, second_officer)
        letter = post(ticket, officer)
        ticket.requester.email = "a@example.org"
        ticket.requester.save()
        on_letters.repeat.do(letter=letter, actor=officer)
        tasks.send_letters()

    assert effect_of(ticket) == Effect.RESTRICTION_LIFTED


def test_one_letter_for_two_tickets_lifts_both(officer, second_officer):
    where = {
        "purposes": ["safety"], "channel": "paper", "email": "", "name": "A", "postal_address": "B",
        "country": "DE",
    }  # fmt: skip
    with at(POSTED):
        factories.add_member("acc-0")
        first, second = (
            factories.reviewed(factories.objection("acc-0", **where), officer) for _ in range(2)
        )
        acts.link.do(
            ticket=second,
            other=first,
            reason="They said so.",
            version=second.version,
            actor=officer,
        )
        first.refresh_from_db()
        second.refresh_from_db()
        proposal = acts.decide.do(
            ticket=first,
            outcomes={"safety": Outcome.REFUSED},
            also={second.reference: second.version},
            **factories.REFUSAL,
            version=first.version,
            actor=officer,
        )
        first = factories.approve(proposal, second_officer)
        post(first, officer)
        waiting = [effect_of(first), effect_of(second)]
    with at(SEVEN_DAYS):
        tasks.count_delivered()

    assert waiting == [Effect.RESTRICTING] * 2
    assert [effect_of(first), effect_of(second)] == [Effect.RESTRICTION_LIFTED] * 2


@pytest.mark.django_db(transaction=True)
def test_a_run_frozen_while_the_letter_is_on_its_way_leaves_the_member_out(
    officer, second_officer, engineer
):
    factories.open_world(officer, second_officer)
    factories.add_member("acc-1")
    ticket = decided(officer, second_officer)
    post(ticket, officer)

    assert case_of(ticket).ticket.delivers_at
    assert factories.freeze(engineer, purpose="safety").included == 1
