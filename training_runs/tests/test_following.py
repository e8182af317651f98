"""Following who has withdrawn: the same set as a computation over everybody, at the price of what happened."""

import datetime as dt
from hashlib import sha256

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pyroaring import BitMap

from consent import accounts, members
from consent.models import AccountReference, Member
from ledger import entries
from ledger.models import Entry
from objections.letters import outbox
from tools import factories
from training_runs.manifests import container
from training_runs.models import Manifest, WithdrawnAnswer
from training_runs.runs import following, freezing, withdrawing
from training_runs.tests import racing

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def manifest(officer, second_officer, engineer) -> Manifest:
    """Of acc-0 to acc-19 and three members of Hong Kong who said yes."""
    factories.open_world(officer, second_officer)
    factories.allow(officer, second_officer, codes=["HK"], rule="opt-in")
    factories.add_members(20)
    factories.add_members(3, country="HK", prefix="hk")
    for place in range(3):
        factories.decide(f"hk-{place}", "allow", actor="test")
    factories.add_member("out", status="closed")
    return factories.freeze(engineer)


def followed(manifest: Manifest) -> following.Followed:
    """The answer, kept for the next one, and held against a computation over everybody."""
    answer = following.follow(manifest)
    following.remember(manifest.run, answer)
    whole = withdrawing.withdrawn_since(manifest)
    assert (set(answer.members), len(answer.members)) == (
        set(whole.withdrawn),
        len(whole.withdrawn),
    )
    return answer


def number_of(account_ref: str) -> int:
    return AccountReference.objects.get(account_ref=account_ref).member_id


def change(account_ref: str, **facts: object) -> None:
    member = Member.objects.get(reference__account_ref=account_ref)
    with entries.entry("test.act", actor="test"):
        members.change([(member, members.facts_of(member)._replace(**facts))])


def test_whatever_happens_to_members_is_followed_without_asking_about_the_others(
    manifest, officer, second_officer, product
):
    followed(manifest)
    tickets = {}

    def object_to(account_ref: str) -> None:
        tickets[account_ref] = factories.objection(account_ref)

    def lift(account_ref: str) -> None:
        factories.withdraw(tickets[account_ref], officer, second_officer)
        letter = tickets[account_ref].letters.get(kind="withdrawn")
        outbox.record_sent(letter, sent_at=dt.datetime.now(dt.UTC), actor="test")

    acts = [
        (lambda: factories.decide("acc-0", "deny", actor=product), +1),
        (lambda: factories.decide("acc-0", "allow", actor=product), -1),
        (lambda: factories.decide("hk-0", "deny", actor=product), +1),
        (lambda: factories.objection("acc-1", purposes=["safety"]), 0),
        (lambda: change("acc-2", status="closed"), +1),
        (lambda: change("acc-2", status="open"), -1),
        (lambda: change("acc-3", adult_on=None), +1),
        (lambda: change("acc-4", country=""), +1),
        (lambda: change("acc-4", country="HK"), 0),
        (lambda: change("acc-4", country="FR"), -1),
        (lambda: object_to("acc-5"), +1),
        (lambda: object_to("acc-6"), +1),
        (lambda: factories.uphold(tickets["acc-5"], officer), 0),
        (lambda: lift("acc-6"), -1),
        (
            lambda: accounts.erase_member(account_ref="acc-7", actor=officer, reason="test"),
            +1,
        ),
        (lambda: factories.decide("out", "deny", actor=product), 0),
        (lambda: change("out", status="open"), 0),
        (lambda: factories.add_members(2, prefix="later"), 0),
        (lambda: factories.decide("later-0", "deny", actor=product), 0),
        (lambda: followed(manifest), 0),
    ]
    size = 0
    for act, more in acts:
        act()
        answer = followed(manifest)
        size += more
        assert (len(answer.members), answer.is_incremental) == (size, True)
        assert answer.cut == Entry.objects.count()


@pytest.mark.parametrize("what", ["rule", "notice", "day", "damaged", "much"])
def test_what_may_concern_everybody_is_computed_over_everybody(
    manifest, officer, second_officer, product, time_machine, monkeypatch, what
):
    factories.decide("acc-0", "deny", actor=product)
    followed(manifest)
    assert followed(manifest).is_incremental

    if what == "rule":
        factories.allow(officer, second_officer, codes=["HK"], rule="excluded")
    elif what == "notice":
        factories.publish(officer, second_officer, codes=["US"])
        factories.allow(officer, second_officer, codes=["FR"], rule="excluded")
    elif what == "day":
        time_machine.move_to(dt.datetime.now(dt.UTC) + dt.timedelta(days=1))
    elif what == "damaged":
        WithdrawnAnswer.objects.update(members=container.portable(BitMap([1, 2])))
    else:
        monkeypatch.setattr(following, "MAX_CHANGES", 1)
        factories.decide("acc-1", "deny", actor=product)
        factories.decide("acc-2", "deny", actor=product)

    answer = followed(manifest)

    assert not answer.is_incremental
    assert len(answer.members) == {"rule": 4, "much": 3}.get(what, 1)
    assert followed(manifest).is_incremental


def test_only_the_newest_answer_keeps_its_set_and_each_can_be_acknowledged(manifest, product):
    digests = []
    for place in range(3):
        factories.decide(f"acc-{place}", "deny", actor=product)
        digests.append(sha256(followed(manifest).data).hexdigest())
    factories.decide("acc-2", "allow", actor=product)
    followed(manifest)

    rows = WithdrawnAnswer.objects.filter(run=manifest.run)
    assert set(rows.values_list("digest", flat=True)) == set(digests)
    assert [row.digest for row in rows.exclude(members=None)] == [digests[1]]
    assert rows.get(digest=digests[1]).cut == Entry.objects.count()


def test_an_answer_where_little_happened_asks_for_no_member_but_those(manifest, product):
    followed(manifest)
    factories.decide("acc-0", "deny", actor=product)
    number = number_of("acc-0")

    with CaptureQueriesContext(
        connection,
    ) as asked:
        answer = following.follow(manifest)

    assert answer.members == BitMap([number])
    about_members = [
        query["sql"]
        for query in asked
        if 'FROM "consent_member"' in query["sql"] or 'FROM "consent_consent"' in query["sql"]
    ]
    assert about_members
    assert all(f"IN ({number})" in sql for sql in about_members)


@pytest.mark.slow
def test_every_answer_of_a_race_is_the_oracles_at_its_cut(officer, second_officer, engineer):
    oracle = racing.world(officer, second_officer)
    manifest = factories.freeze(engineer)
    included = set(freezing.load(manifest).included)
    answers = []

    with racing.race(oracle, officer, second_officer) as race:
        for _ in range(40):
            race.wait_for_acts(3)
            day = dt.datetime.now(dt.UTC)
            answer = following.follow(manifest)
            following.remember(manifest.run, answer)
            answers.append((answer, day))

    assert race.faults == []
    for answer, day in answers:
        reasons = oracle.reasons_at(answer.cut, day)
        assert set(answer.members) == {number for number in included if reasons[number]}
    assert sum(answer.is_incremental for answer, _ in answers) > 5
    assert len({len(answer.members) for answer, _ in answers}) > 1


@pytest.mark.slow
def test_pages_that_are_read_while_members_leave_are_one_answer(
    officer, second_officer, engineer, client_of
):
    oracle = racing.world(officer, second_officer)
    manifest = factories.freeze(engineer)
    api, answers = client_of(engineer), []

    with racing.race(oracle, officer, second_officer) as race:
        race.wait_for_acts(60)
        for _ in range(4):
            numbers, said, following_page = (
                [],
                [],
                f"/api/v1/runs/{manifest.run.reference}/withdrawn?page_size=5",
            )
            while following_page:
                page = api.get(following_page).json()
                said.append((page["digest"], page["withdrawn"], page["cut"]))
                numbers += [row["member_number"] for row in page["results"]]
                following_page = page["next"]
                race.wait_for_acts(2)
            answers.append((numbers, said))

    assert race.faults == []
    included = set(freezing.load(manifest).included)
    for numbers, said in answers:
        ((digest, withdrawn, cut),) = set(said)
        assert len(said) > 2
        assert len(numbers) == len(set(numbers)) == withdrawn
        assert sha256(container.portable(BitMap(numbers))).hexdigest() == digest
        reasons = oracle.reasons_at(cut, dt.datetime.now(dt.UTC))
        assert set(numbers) == {number for number in included if reasons[number]}
    assert len({said[0] for _, said in answers}) == 4
