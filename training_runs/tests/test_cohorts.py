"""From when on a member's content may be used: four reasons, the latest wins, and three ways arrive at the same."""

import datetime as dt

import pytest
from pyroaring import BitMap

from consent import members
from consent.choices import ReviewVerdict
from consent.models import Member
from consent.rulebook import policies, proposing, rules
from ledger import entries
from ledger.errors import InvalidInput
from tools import factories
from training_runs.errors import ManifestDamaged
from training_runs.manifests import manifest_file
from training_runs.models import Manifest
from training_runs.runs import explaining, freezing, verifying

pytestmark = pytest.mark.django_db(transaction=True)

TODAY = dt.datetime.now(dt.UTC).date()
TOMORROW = TODAY + dt.timedelta(days=1)


@pytest.fixture(autouse=True)
def world(officer, second_officer):
    factories.open_world(officer, second_officer)
    factories.add_members(3)


def change(account_ref, **facts):
    member = Member.objects.get(reference__account_ref=account_ref)
    with entries.entry("test.moved", actor="test"):
        members.change([(member, members.facts_of(member)._replace(**facts))])


def policy(kind, value, officer, second_officer):
    row = proposing.propose_policy(
        kind=kind, value=value, effective_from=factories.LONG_AGO, source="test", actor=officer
    )
    if row.needs_approval:
        proposing.review(
            proposal=row, verdict=ReviewVerdict.APPROVED, actor=second_officer, reason="test"
        )
    return row


def rule(officer, second_officer, *, data_from, codes=("DE",), kind="default-on", approved=True):
    row = proposing.propose_rule(
        purpose="generative-ai", countries=list(codes), rule=kind,
        effective_from=dt.date(2025, 1, 1), data_from=data_from, source="test", actor=officer,
    )  # fmt: skip
    if row.needs_approval and approved:
        proposing.review(
            proposal=row, verdict=ReviewVerdict.APPROVED, actor=second_officer, reason="test"
        )
    return row


def frozen(engineer) -> dict[str, str]:
    """Accounts with a day, by the verified manifest of a new run."""
    manifest = factories.freeze(engineer)
    archive = freezing.load(manifest)
    refs = dict(Member.objects.values_list("pk", "reference__account_ref"))
    return {
        refs[number]: str(day) for day, numbers in archive.cohorts.items() for number in numbers
    }


def test_most_members_have_no_day(engineer):
    assert frozen(engineer) == {}


def test_the_limit_of_the_countrys_rule(engineer, officer, second_officer):
    factories.add_member("german", country="DE")
    rule(officer, second_officer, data_from=dt.date(2025, 11, 3))

    assert frozen(engineer) == {"german": "2025-11-03"}


def test_the_day_of_majority(engineer):
    factories.add_member("young", adult_on=dt.date(2025, 5, 6))
    factories.add_member("french", country="FR", adult_on=dt.date(2025, 5, 6))
    factories.add_member("old", adult_on=dt.date(2024, 9, 18))

    # In the United States the day begins later than in UTC, in which content is dated.
    assert frozen(engineer) == {"young": "2025-05-07", "french": "2025-05-06"}


def test_the_day_after_a_move_from_where_it_is_not_allowed(engineer, officer, second_officer):
    rule(officer, second_officer, data_from=None, kind="excluded", codes=["DE", "FR"])
    factories.add_member("moved", country="DE")
    factories.add_member("moved-twice", country="DE")
    factories.add_member("unknown", country="")
    change("moved", country="US")
    change("moved-twice", country="FR")
    change("moved-twice", country="US")
    change("unknown", country="US")
    change("acc-0", country="GB")

    assert frozen(engineer) == {"moved": str(TOMORROW), "moved-twice": str(TOMORROW)}


def test_the_day_after_a_yes_that_follows_a_no(engineer, product):
    factories.decide("acc-0", "deny", actor=product)
    factories.decide("acc-0", "allow", actor=product)
    factories.decide("acc-1", "allow", actor=product)

    assert frozen(engineer) == {"acc-0": str(TOMORROW)}


def test_the_latest_of_several_days_wins(engineer, officer, second_officer, product):
    rule(officer, second_officer, data_from=dt.date(2025, 11, 3))
    factories.add_member("young", country="DE", adult_on=dt.date(2026, 1, 2))
    factories.add_member("older", country="DE", adult_on=dt.date(2025, 1, 2))
    factories.add_member("came-back", country="DE", adult_on=dt.date(2026, 1, 2))
    factories.decide("came-back", "deny", actor=product)
    factories.decide("came-back", "allow", actor=product)

    assert frozen(engineer) == {
        "young": "2026-01-02",
        "older": "2025-11-03",
        "came-back": str(TOMORROW),
    }


@pytest.mark.parametrize("kind", policies.USE_FROM)
def test_a_policy_turns_one_of_them_off_and_on_again(
    engineer, officer, second_officer, product, kind
):
    rule(officer, second_officer, data_from=None, kind="excluded", codes=["DE"])
    factories.add_member("use-from-moved", country="DE")
    change("use-from-moved", country="US")
    factories.add_member("use-from-of-age", adult_on=dt.date(2025, 5, 6))
    factories.add_member("use-from-yes")
    factories.decide("use-from-yes", "deny", actor=product)
    factories.decide("use-from-yes", "allow", actor=product)
    every = {one.value for one in policies.USE_FROM}
    assert set(frozen(engineer)) == every

    policy(kind, 0, officer, second_officer)
    assert set(frozen(engineer)) == every - {kind}

    # Stricter, so it needs no approval.
    assert not policy(kind, 1, officer, second_officer).needs_approval
    assert set(frozen(engineer)) == every


def test_an_earlier_limit_counts_once_a_second_person_approved_it(
    engineer, officer, second_officer
):
    factories.add_member("german", country="DE")
    rule(officer, second_officer, data_from=dt.date(2025, 11, 3))
    earlier = rule(officer, second_officer, data_from=dt.date(2025, 2, 1), approved=False)
    assert earlier.needs_approval
    assert frozen(engineer) == {"german": "2025-11-03"}

    proposing.review(
        proposal=earlier, verdict=ReviewVerdict.APPROVED, actor=second_officer, reason="test"
    )
    assert frozen(engineer) == {"german": "2025-02-01"}


def test_a_later_limit_counts_at_once_and_outlasts_an_approval_that_did_not_know_it(
    engineer, officer, second_officer
):
    factories.add_member("german", country="DE")
    rule(officer, second_officer, data_from=dt.date(2025, 2, 1))
    earlier = rule(officer, second_officer, data_from=None, approved=False)
    proposing.review(
        proposal=earlier, verdict=ReviewVerdict.APPROVED, actor=second_officer, reason="test"
    )
    later = proposing.propose_rule(
        purpose="generative-ai", countries=["DE"], rule="default-on",
        effective_from=dt.date(2024, 12, 1), data_from=dt.date(2026, 3, 1), source="test",
        actor=officer,
    )  # fmt: skip

    assert not later.needs_approval
    assert frozen(engineer) == {"german": "2026-03-01"}


def test_a_stricter_rule_keeps_the_limit_it_does_not_name(officer, second_officer):
    rule(officer, second_officer, data_from=dt.date(2025, 11, 3))
    stricter = rule(officer, second_officer, data_from=None, kind="opt-in")

    assert not stricter.needs_approval
    assert rules.oldest_content("generative-ai", TODAY)["DE"] == dt.date(2025, 11, 3)


def test_an_excluded_country_has_no_limit_of_content(officer, second_officer):
    with pytest.raises(InvalidInput, match="no content has an age"):
        rule(officer, second_officer, data_from=TODAY, kind="excluded")


@pytest.mark.parametrize(("kind", "value"), [("lease-days", 0), ("lease-days", 91), ("use-from-yes", 2), ("bogus", 1)])  # fmt: skip
def test_a_policy_has_bounds(officer, kind, value):
    with pytest.raises(InvalidInput):
        proposing.propose_policy(
            kind=kind, value=value, effective_from=TODAY, source="test", actor=officer
        )


def test_a_longer_lease_needs_approval_and_a_shorter_one_counts_at_once(officer, second_officer):
    longer = proposing.propose_policy(
        kind="lease-days", value=60, effective_from=factories.LONG_AGO, source="test", actor=officer
    )
    assert longer.needs_approval
    assert policies.in_force("lease-days", "generative-ai", TODAY) == 30
    policy("lease-days", 7, officer, second_officer)
    assert policies.in_force("lease-days", "generative-ai", TODAY) == 7
    assert policies.in_force("lease-days", "safety", TODAY) == 7


def test_the_lease_of_a_delivery_follows_the_policy(engineer, officer, second_officer):
    policy("lease-days", 7, officer, second_officer)

    delivery = factories.deliver(factories.freeze(engineer).run, engineer)

    assert delivery.leased_until - delivery.delivered_at == dt.timedelta(days=7)


def test_a_manifest_whose_cohorts_were_changed_does_not_verify(engineer):
    factories.add_member("young", adult_on=dt.date(2025, 5, 6))
    manifest = factories.freeze(engineer)
    archive = freezing.load(manifest)
    facts = {key: archive.header[key] for key in archive.header.keys() - {"parts", "population"}}

    header, data = manifest_file.build(
        facts, archive.header["population"], archive.included, archive.excluded, {}
    )

    assert manifest_file.parse(data).cohorts == {}
    from training_runs.eligibility import deriving  # noqa: PLC0415

    assert deriving.derive(Manifest.objects.get()) != data
    assert header["parts"][-1]["name"] != "from:2025-05-06"


@pytest.mark.parametrize(
    "cohorts",
    [
        {dt.date(2025, 1, 1): BitMap([9])},
        {dt.date(2025, 1, 1): BitMap([1]), dt.date(2025, 1, 2): BitMap([1])},
    ],
)
def test_a_cohort_is_of_the_included_and_has_each_member_once(cohorts):
    _, data = manifest_file.build({}, 9, BitMap([1, 2]), {"minor": BitMap([9])}, cohorts)

    with pytest.raises(ManifestDamaged):
        manifest_file.parse(data)


def test_the_day_is_explained_and_delivered(engineer, client_of):
    factories.add_member("young", adult_on=dt.date(2025, 5, 6))
    manifest = factories.freeze(engineer)
    verifying.verify(manifest)
    young = Member.objects.get(reference__account_ref="young")

    assert explaining.explain(manifest.run, young).use_from == dt.date(2025, 5, 7)
    said = client_of(engineer).get(f"/api/v1/runs/{manifest.run.reference}/manifest").json()
    assert said["use_from"] == [{"date": "2025-05-07", "members": 1}]
