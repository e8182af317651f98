"""Verifying a delivery: history must give the same subtraction and the same days, whatever current state says."""

import datetime as dt

import pytest
from pyroaring import BitMap

from consent.models import Member
from deliveries.api.serializers import DeliveryOutput
from deliveries.choices import DeliveryState
from deliveries.made import archives, ending, stores, verifying
from ledger.models import Entry
from tools import factories
from tools.outside import behind_the_back
from training_runs.choices import Agreement, FindingKind
from training_runs.manifests import archives as store
from training_runs.models import Finding
from training_runs.runs import freezing

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def world(officer, second_officer):
    factories.open_world(officer, second_officer)
    factories.add_members(6)


@pytest.fixture
def frozen(engineer):
    return factories.freeze(engineer)


def number_of(account_ref: str) -> int:
    return Member.objects.get(reference__account_ref=account_ref).pk


def test_history_gives_the_bytes_of_a_delivery(frozen, engineer, product):
    factories.decide("acc-2", "deny", actor=product)
    delivery = factories.deliver(frozen.run, engineer)

    assert DeliveryOutput(delivery).data["verification"] == "pending"
    assert verifying.derive(delivery) == store.load(delivery.digest)
    assert verifying.verify_due() == {"verified": 1, "differs": 0, "failed": 0}
    delivery.refresh_from_db()
    assert delivery.verification.agreement == Agreement.AGREES
    assert DeliveryOutput(delivery).data["verification"] == "agrees"
    assert delivery.verification.derived_digest == delivery.digest
    entry = Entry.objects.get(kind="delivery.verified")
    assert (entry.subject, entry.reason) == (frozen.run.reference, delivery.reference)
    # It is verified once.
    assert verifying.verify_due() == {"verified": 0, "differs": 0, "failed": 0}


def test_history_gives_the_days_of_members_of_both_cuts(engineer, product):
    for account, day in (("young", dt.date(2025, 5, 6)), ("younger", dt.date(2026, 1, 2))):
        factories.add_member(account, adult_on=day)
    manifest = factories.freeze(engineer)
    for choice in ("deny", "allow"):
        for account in ("young", "acc-1"):
            factories.decide(account, choice, actor=product)
    delivery = factories.deliver(manifest.run, engineer)

    tomorrow = delivery.as_of.date() + dt.timedelta(days=1)
    young, younger, first = map(number_of, ("young", "younger", "acc-1"))
    assert archives.parse(verifying.derive(delivery)).cohorts == {
        # In the United States the day begins later than in UTC, in which content is dated.
        dt.date(2026, 1, 3): BitMap([younger]),
        tomorrow: BitMap([first, young]),
    }
    assert verifying.verify(delivery).agreement == Agreement.AGREES


def test_a_delivery_of_a_child_run_agrees(frozen, engineer, product):
    factories.decide("acc-1", "deny", actor=product)
    child = factories.freeze(engineer, parent=frozen.run)
    factories.decide("acc-2", "deny", actor=product)
    delivery = factories.deliver(child.run, engineer)

    assert delivery.rows == len(freezing.load(child).included) - 1
    assert verifying.verify(delivery).agreement == Agreement.AGREES


def test_a_delivery_that_current_state_got_wrong_ends_with_a_finding(frozen, engineer, product):
    factories.decide("acc-2", "deny", actor=product)
    behind_the_back(
        "consent_consent",
        "UPDATE consent_consent SET choice = 'allow' WHERE member_id = %s",
        number_of("acc-2"),
    )
    delivery = factories.deliver(frozen.run, engineer)
    assert number_of("acc-2") in archives.load(delivery).delivered

    assert verifying.verify_due() == {"verified": 0, "differs": 1, "failed": 0}

    delivery.refresh_from_db()
    assert delivery.state == DeliveryState.REFUSED
    assert not stores.home(delivery.reference).exists()
    assert delivery.verification.agreement == Agreement.DIFFERS
    finding = Finding.objects.get(run=frozen.run)
    assert finding.kind == FindingKind.DELIVERY_DIFFERS
    assert finding.detail["delivery"] == delivery.reference
    assert (finding.detail["delivered"], finding.detail["subtracted"]) == (1, 1)
    assert Entry.objects.filter(kind="delivery.verification_failed").count() == 1


def test_an_archive_that_was_exchanged_differs(frozen, engineer):
    delivery = factories.deliver(frozen.run, engineer)
    path = store.path_of(delivery.digest)
    path.write_bytes(path.read_bytes()[:-1])
    behind_the_back("deliveries_delivery", "UPDATE deliveries_delivery SET digest = %s", "0" * 64)

    assert verifying.verify_due()["differs"] == 1
    assert Finding.objects.get().detail["archive"] == "The archive is not in the store."


def test_a_delivery_that_has_ended_is_verified_too_and_does_not_move(frozen, engineer):
    first = factories.deliver(frozen.run, engineer)
    ending.cancel(delivery=first, actor=engineer, reason="It is not needed.")
    factories.deliver(frozen.run, engineer)

    assert verifying.verify_due()["verified"] == 2
    first.refresh_from_db()
    assert first.state == DeliveryState.CANCELLED


def test_one_failure_does_not_keep_the_others_waiting(frozen, engineer):
    other = factories.freeze(engineer, purpose="safety")
    broken = factories.deliver(frozen.run, engineer)
    whole = factories.deliver(other.run, engineer)
    store.path_of(frozen.digest).unlink()

    assert verifying.verify_due() == {"verified": 1, "differs": 0, "failed": 1}
    assert list(verifying.to_be_verified()) == [broken]
    assert whole.verification.agreement == Agreement.AGREES
    assert verifying.oldest_unverified(broken.delivered_at + dt.timedelta(hours=2)) == dt.timedelta(
        hours=2
    )
