"""The account that is meant: other spellings and profile addresses, several accounts that may be meant, and wrong matches."""

import datetime as dt

import pytest
from django.urls import reverse

from consent import accounts
from consent.choices import Purpose
from consent.models import AccountReference
from consent.tests.test_keys import behind_the_back
from ledger.errors import RuleViolation
from ledger.verification import verifying as ledger
from objections import acts
from objections.choices import FoundBy
from objections.intake import candidates
from objections.models import Objection, Ticket
from objections.ticket.incidents import incidents_of
from tools import factories
from training_runs.runs import unmatched

pytestmark = pytest.mark.django_db(transaction=True)

GENERATIVE = Purpose.GENERATIVE_AI
ADDRESSES = r"https://www\.example\.com/in/(?P<ref>[^/?#]+)"


@pytest.fixture(autouse=True)
def world(officer, second_officer):
    factories.open_world(officer, second_officer)


def named(text: str, **more) -> Ticket:
    return factories.objection(text, is_vouched=False, **more)


def restricted() -> set[int]:
    return set(
        Objection.objects.restricting(GENERATIVE)
        .exclude(member__canary__isnull=False)
        .values_list("member_id", flat=True)
    ) - {None}


def seen(ticket) -> int:
    return Ticket.objects.get(pk=ticket.pk).version


@pytest.mark.parametrize(
    ("account", "typed"),
    [
        ("acc-0", "ACC-0"),
        ("acc-0", " acc - 0 "),
        ("ACC-0", "acc-0"),
        ("acc-7", "acc-\N{FULLWIDTH DIGIT SEVEN}"),
        ("stra\N{LATIN SMALL LETTER SHARP S}e", "STRASSE"),
        ("Caf\N{LATIN SMALL LETTER E WITH ACUTE}", "CAFE\N{COMBINING ACUTE ACCENT}"),
    ],
)
def test_another_spelling_finds_the_account(account, typed):
    number = factories.add_member(account)

    ticket = named(typed)

    assert (ticket.member_id, ticket.found_by) == (number, FoundBy.SPELLING)
    assert restricted() == {number}


def test_the_exact_key_comes_first():
    factories.add_member("ACC-0")
    number = factories.add_member("acc-0")

    ticket = named("acc-0")

    assert (ticket.member_id, ticket.found_by) == (number, FoundBy.KEY)


def test_a_profiles_address_finds_the_account(settings):
    settings.ACCOUNT_ADDRESS_PATTERN = ADDRESSES
    number = factories.add_member("acc-0")

    ticket = named("see https://www.example.com/in/Acc%2D0?trk=1")

    assert (ticket.member_id, ticket.found_by) == (number, FoundBy.ADDRESS)


def test_test_accounts_are_found_by_no_spelling(engineer):
    factories.add_members(1)
    factories.register(engineer)  # plants them

    assert named("CANARY:opted_out").member_id is None


def test_several_candidates_are_all_out_until_an_officer_has_chosen(officer, engineer):
    factories.add_members(1, prefix="bystander")
    _, second = (factories.add_member(ref) for ref in ("ACC-0", "Acc-0"))
    ticket = named("acc-0")
    before = factories.freeze(engineer)

    acts.choose.do(ticket=ticket, member=second, reason="x", version=seen(ticket), actor=officer)

    after = factories.freeze(engineer)
    ticket.refresh_from_db()
    assert (ticket.member_id, ticket.found_by) == (second, FoundBy.OFFICER)
    assert restricted() == {second}
    assert (before.included, after.included) == (1, 2)
    assert not candidates.of(ticket).exists()
    assert ledger.verify_ledger().problems == []


def test_none_of_them_lets_them_in_and_the_ticket_reaches_no_account(officer):
    factories.add_member("ACC-0")
    factories.add_member("Acc-0")
    ticket = named("acc-0")
    counted = unmatched.of_purpose(GENERATIVE).count

    acts.choose.do(ticket=ticket, member=0, reason="x", version=seen(ticket), actor=officer)

    assert counted == 0
    assert restricted() == set()
    assert unmatched.of_purpose(GENERATIVE).count == 1


def test_an_account_that_comes_later_is_found_by_another_spelling(settings):
    settings.ACCOUNT_ADDRESS_PATTERN = ADDRESSES
    by_spelling = named("ACC-0")
    by_address = named("https://www.example.com/in/acc-1")

    numbers = factories.add_members(2)

    by_spelling.refresh_from_db()
    by_address.refresh_from_db()
    assert [by_spelling.member_id, by_address.member_id] == numbers
    assert restricted() == set(numbers)


def test_an_account_that_comes_later_may_be_meant_too():
    first = factories.add_member("Acc-0")
    ticket = named("acc-0")

    second = factories.add_member("acc-0")

    ticket.refresh_from_db()
    assert ticket.member_id == first
    assert restricted() == {first, second}


def test_two_that_come_later_are_both_out():
    named("acc-0")

    numbers = [factories.add_member(ref) for ref in ("ACC-0", "Acc-0")]

    assert restricted() == set(numbers)


def test_a_wrong_match_is_made_right_and_a_colleague_lets_the_wrong_one_in(
    officer, second_officer, engineer
):
    wrong, right = factories.add_members(2)
    factories.add_member("bystander")
    manifest = factories.freeze(engineer)
    ticket = factories.objection(
        channel="paper", received_at=manifest.frozen_at - dt.timedelta(days=1)
    )
    acts.match.do(
        ticket=ticket, account_ref="acc-0", reason="x", version=seen(ticket), actor=officer
    )

    acts.correct_match.do(
        ticket=ticket, account_ref="acc-1", reason="x", version=seen(ticket), actor=officer
    )

    both = restricted()
    with pytest.raises(RuleViolation, match="a colleague lets the other account in"):
        acts.choose.do(ticket=ticket, member=right, reason="x", version=seen(ticket), actor=officer)
    acts.choose.do(
        ticket=ticket, member=right, reason="x", version=seen(ticket), actor=second_officer
    )
    ticket.refresh_from_db()
    assert both == {wrong, right}
    assert (ticket.member_id, restricted()) == (right, {right})
    assert incidents_of([ticket.reference])
    assert factories.freeze(engineer).included == 2


def test_an_upheld_objection_moves_to_the_right_account(officer, second_officer):
    wrong, right = factories.add_members(2)
    ticket = factories.uphold(named("acc-0"), officer)

    acts.correct_match.do(
        ticket=ticket, account_ref="acc-1", reason="x", version=seen(ticket), actor=officer
    )

    assert set(
        Objection.objects.upheld(GENERATIVE)
        .filter(ticket=ticket)
        .values_list("member_id", flat=True)
    ) == {right}
    assert restricted() == {wrong}


def test_what_the_product_vouched_for_is_not_corrected(officer):
    factories.add_members(2)
    ticket = factories.objection("acc-0")

    with pytest.raises(RuleViolation, match="The product vouched"):
        acts.correct_match.do(
            ticket=ticket, account_ref="acc-1", reason="x", version=seen(ticket), actor=officer
        )


def test_the_page_asks_which_of_the_accounts_it_is(client_of, officer):
    first, second = factories.add_member("ACC-0"), factories.add_member("Acc-0")
    ticket = named("acc-0")
    browser = client_of(officer)
    page = reverse("admin:objections_ticket_choose", args=[ticket.pk])

    shown = browser.get(page).content.decode()
    browser.post(page, {"member": second, "reason": "x", "version": seen(ticket)})

    assert [f"member {number}" in shown for number in (first, second)] == [True, True]
    assert "none of them" in shown
    ticket.refresh_from_db()
    assert ticket.member_id == second


def test_candidates_are_in_no_queue(client_of, officer):
    factories.add_member("ACC-0")
    factories.add_member("Acc-0")
    ticket = named("acc-0")

    assert [str(one) for one in Ticket.objects.worked()] == [ticket.reference]
    page = client_of(officer).get(reverse("admin:objections_ticket_change", args=[ticket.pk]))
    assert "out until an officer has chosen" in page.content.decode()


def test_the_folding_goes_with_the_account(officer):
    factories.add_member("ACC-0")

    accounts.erase_member(account_ref="ACC-0", actor=officer, reason="x")

    assert not AccountReference.objects.filter(account_folded__isnull=False).exists()
    assert named("acc-0").member_id is None


def test_another_folding_is_found():
    factories.add_member("ACC-0")
    behind_the_back(
        "consent_accountreference", "UPDATE consent_accountreference SET account_folded = 'x'"
    )

    assert (
        "The account reference of member 1 is kept under a folding that is not its own."
        in ledger.verify_ledger().problems
    )
