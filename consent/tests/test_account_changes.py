"""Merges and splits of accounts: what one account refused, the other refuses; a yes is not passed on."""

import datetime as dt

import pytest
from django.utils import timezone

from consent import account_changes, accounts, members
from consent.choices import Purpose, Status
from consent.errors import AccountErased, AccountsInACircle, SourceIdReused
from consent.models import AccountChange, Consent, Decision, Member
from ledger import entries
from ledger.errors import InvalidInput
from ledger.verification import verifying as ledger
from objections.choices import FoundBy
from objections.models import Objection
from tools import factories

pytestmark = pytest.mark.django_db(transaction=True)

GENERATIVE = Purpose.GENERATIVE_AI
T = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)


@pytest.fixture(autouse=True)
def world(officer, second_officer):
    factories.open_world(officer, second_officer)


@pytest.fixture
def merge(product):
    def send(account_ref, into, *, at=T, source_id=""):
        return account_changes.merged(
            source_id=source_id or f"{account_ref}>{into}"[:7] + str(AccountChange.objects.count()),
            account_ref=account_ref,
            into=into,
            merged_at=at,
            actor=product,
        )

    return send


@pytest.fixture
def split(product):
    def send(account_ref, *new, at=T, source_id="split"):
        return account_changes.split(
            source_id=source_id, account_ref=account_ref, new=list(new), split_at=at, actor=product
        )

    return send


def included(engineer) -> int:
    """How many are in, by both computations."""
    return factories.freeze(engineer).included


def choice(number: int) -> str | None:
    return (
        Consent.objects.filter(member=number, purpose=GENERATIVE)
        .values_list("choice", flat=True)
        .first()
    )


def objecting(effect: str = "restricting") -> set[int]:
    rows = Objection.objects.filter(purpose=GENERATIVE, effect=effect, ticket__state=None)
    return set(rows.filter(ticket__stands_for__isnull=False).values_list("member_id", flat=True))


def sound() -> bool:
    return ledger.verify_ledger().problems == []


def test_what_the_account_that_goes_refused_the_other_refuses(merge, engineer, product):
    first, second, _ = factories.add_members(3)
    factories.decide("acc-0", "deny", actor=product, at=T - dt.timedelta(days=9))
    before = included(engineer)

    merge("acc-0", "acc-1")

    assert before == 2
    assert (choice(second), Member.objects.get(pk=first).status) == ("deny", Status.CLOSED)
    derived = Decision.objects.get(member=second)
    assert (derived.channel, derived.decided_at) == ("inherited", T)
    assert included(engineer) == 1
    assert sound()


def test_a_yes_before_the_merge_gives_way_and_one_after_it_counts(merge, product):
    _, second, _, fourth = factories.add_members(4)
    for ref in ("acc-0", "acc-2"):
        factories.decide(ref, "deny", actor=product, at=T - dt.timedelta(days=9))
    factories.decide("acc-1", "allow", actor=product, at=T - dt.timedelta(days=1))
    factories.decide("acc-3", "allow", actor=product, at=T + dt.timedelta(days=1))

    merge("acc-0", "acc-1")
    merge("acc-2", "acc-3")

    assert [choice(second), choice(fourth)] == ["deny", "allow"]


def test_a_yes_is_not_passed_on(merge, product):
    _, second = factories.add_members(2)
    factories.decide("acc-0", "allow", actor=product, at=T - dt.timedelta(days=9))

    merge("acc-0", "acc-1")

    assert choice(second) is None


def test_a_no_that_arrives_late_for_the_account_that_went_reaches_the_other(merge, product):
    _, second, third = factories.add_members(3)
    merge("acc-0", "acc-1")
    merge("acc-1", "acc-2")

    factories.decide("acc-0", "deny", actor=product, at=T - dt.timedelta(days=9))

    assert [choice(second), choice(third)] == ["deny", "deny"]
    assert sound()


def test_objections_count_for_the_other_too_and_follow_the_first(
    merge, officer, second_officer, engineer
):
    _, second = factories.add_members(2)
    factories.add_members(1, prefix="bystander")
    upheld = factories.objection("acc-0")
    withdrawn = factories.objection("acc-0")

    merge("acc-0", "acc-1")

    restricting = objecting()
    factories.uphold(upheld, officer)
    factories.withdraw(withdrawn, officer, second_officer)
    factories.send_letters(withdrawn)
    assert restricting == {second}
    assert (objecting("upheld"), objecting()) == ({second}, set())
    assert included(engineer) == 1
    assert sound()


def test_an_objection_that_arrives_late_reaches_the_other(merge):
    _, second = factories.add_members(2)
    merge("acc-0", "acc-1")

    ticket = factories.objection("acc-0")

    assert objecting() == {second}
    assert ticket.stand_ins.get().found_by == FoundBy.HEIR


def test_the_account_that_went_stays_closed_whatever_a_file_says(merge):
    first, _ = factories.add_members(2)
    merge("acc-0", "acc-1")
    row = Member.objects.get(pk=first)

    with entries.entry("test.members", actor="test"):
        members.change([(row, members.facts_of(row)._replace(status="open"))])

    assert Member.objects.get(pk=first).status == Status.CLOSED


def test_the_later_date_of_majority_holds(merge):
    later = dt.date(2030, 1, 1)
    factories.add_member("young", adult_on=later)
    second = factories.add_member("older")

    merge("young", "older")

    row = Member.objects.get(pk=second)
    assert row.adult_on == later
    with entries.entry("test.members", actor="test"):
        members.change([(row, members.facts_of(row)._replace(adult_on=factories.ADULT))])
    assert Member.objects.get(pk=second).adult_on == later


def test_an_account_that_no_file_has_named_is_kept_and_out(merge, product):
    (second,) = factories.add_members(1)
    merge("unheard-of", "acc-0")

    factories.decide("unheard-of", "deny", actor=product, at=T)

    assert choice(second) == "deny"
    assert Member.objects.get(passed_on__heir=second).status == Status.CLOSED


def test_an_erased_account_passes_on_what_it_refused(merge, product, officer):
    _, second = factories.add_members(2)
    factories.decide("acc-0", "deny", actor=product, at=T)
    accounts.erase_member(account_ref="acc-0", actor=officer, reason="x")

    merge("acc-0", "acc-1")

    assert choice(second) == "deny"
    assert Member.objects.erased().count() == 1


def test_nothing_goes_into_an_erased_account(merge, officer):
    factories.add_members(2)
    accounts.erase_member(account_ref="acc-1", actor=officer, reason="x")

    with pytest.raises(AccountErased):
        merge("acc-0", "acc-1")


def test_accounts_are_not_merged_in_a_circle(merge):
    factories.add_members(3)
    merge("acc-0", "acc-1")
    merge("acc-1", "acc-2")

    with pytest.raises(AccountsInACircle):
        merge("acc-2", "acc-0")
    with pytest.raises(InvalidInput):
        merge("acc-0", "acc-0")
    assert AccountChange.objects.count() == 2


def test_each_new_account_of_a_split_refuses_what_the_old_one_had_refused_by_then(
    split, product, engineer
):
    first, *new = factories.add_members(3)
    factories.decide("acc-0", "deny", actor=product, at=T - dt.timedelta(days=1))

    split("acc-0", "acc-1", "acc-2")

    assert [choice(number) for number in new] == ["deny", "deny"]
    assert Member.objects.get(pk=first).status == Status.OPEN
    assert sound()


def test_what_the_old_account_refuses_after_a_split_is_its_own(split, product):
    _, second = factories.add_members(2)
    split("acc-0", "acc-1")

    factories.decide("acc-0", "deny", actor=product, at=T + dt.timedelta(days=1))
    own = choice(second)
    factories.objection("acc-0")

    assert own is None
    assert objecting() == set()


def test_sent_again_it_changes_nothing_and_another_body_is_refused(merge):
    factories.add_members(3)
    first = merge("acc-0", "acc-1", source_id="m-1")

    again = merge("acc-0", "acc-1", source_id="m-1")

    assert (again.entry, again.is_replay) == (first.entry, True)
    with pytest.raises(SourceIdReused):
        merge("acc-0", "acc-2", source_id="m-1")


def test_the_product_sends_them_by_api(client_of, product, engineer):
    _, second = factories.add_members(2)
    factories.decide("acc-0", "deny", actor=product)
    body = {
        "source_id": "m-1",
        "account_ref": "acc-0",
        "into": "acc-1",
        "merged_at": timezone.now().isoformat(),
    }
    parts = {
        "source_id": "s-1",
        "account_ref": "acc-1",
        "new": ["acc-7"],
        "split_at": body["merged_at"],
    }
    api = client_of(product)

    def post(path, sent):
        return api.post(f"/api/v1/accounts/{path}", sent, "application/json")

    answers = [post("merged", body), post("merged", body), post("split", parts)]

    assert [answer.status_code for answer in answers] == [201, 200, 201]
    assert answers[0].json() == answers[1].json()
    assert choice(second) == "deny"
    assert post("merged", {**body, "into": "acc-7"}).json()["code"] == "source_id_reused"
    assert client_of(engineer).post("/api/v1/accounts/merged").status_code == 403
