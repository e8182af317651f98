"""What a frozen manifest is: one, prospective, and the same bytes for the same content."""

import datetime as dt
from hashlib import sha256

import pytest
import time_machine
from django.utils import timezone

from consent import accounts
from consent.choices import Purpose
from consent.models import Member
from ledger import entries
from ledger.models import Entry
from objections.choices import Effect
from tools import factories
from training_runs.eligibility import exclusions
from training_runs.errors import ParentNotUsable, RunCancelled
from training_runs.manifests import archives
from training_runs.models import Manifest, Run
from training_runs.runs import explaining, freezing, registering, sweeping, verifying, withdrawing

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def world(officer, second_officer):
    factories.open_world(officer, second_officer)


def _reasons(manifest, number: int) -> list[str]:
    return freezing.load(manifest).reasons(number)


def test_the_manifest_says_what_it_counted(world, engineer):
    factories.add_members(5)

    manifest = factories.freeze(engineer)

    archive = freezing.load(manifest)
    frozen = Entry.objects.get(kind="run.frozen")
    assert manifest.cut == archive.header["cut"] == frozen.sequence - 1
    assert sha256(archives.load(manifest.digest)).hexdigest() == manifest.digest
    assert manifest.included == len(archive.included) == 5
    assert manifest.population == Member.objects.count()
    assert dt.datetime.fromisoformat(archive.header["as_of"]) == manifest.run.as_of
    assert manifest.header == archive.header
    assert list(archive.excluded) == [item.code for item in exclusions.EXCLUSIONS]


def test_freezing_again_gives_the_first_manifest(world, engineer):
    factories.add_members(5)
    manifest = factories.freeze(engineer)
    before = entries.read_head()

    assert freezing.freeze(manifest.run_id) == manifest
    assert entries.read_head() == before
    assert Manifest.objects.count() == 1


@pytest.mark.parametrize("state", ["registered", "cancelled"])
def test_only_a_requested_run_is_frozen(state, world, engineer):
    factories.add_members(5)
    run = factories.register(engineer)
    if state == "cancelled":
        run = registering.start(run=run, actor=engineer)
        registering.cancel(run=run, actor=engineer, reason="test")

    assert freezing.freeze(run.pk) is None
    assert not Manifest.objects.exists()


def test_what_a_member_decides_later_does_not_move_a_frozen_manifest(world, engineer, product):
    numbers = factories.add_members(3)
    manifest = factories.freeze(engineer)
    data = archives.load(manifest.digest)

    factories.decide("acc-0", "deny", actor=product)

    assert archives.load(manifest.digest) == data
    assert verifying.verify(manifest).agreement == "agrees"
    assert set(withdrawing.withdrawn_since(manifest).excluded["opted_out"]) == {numbers[0]}
    assert _reasons(factories.freeze(engineer), numbers[0]) == ["opted_out"]


def test_a_decision_between_request_and_freeze_counts(world, engineer, product):
    numbers = factories.add_members(3)
    run = registering.start(run=factories.register(engineer), actor=engineer)
    factories.decide("acc-0", "deny", actor=product)

    manifest = freezing.freeze(run.pk)

    assert _reasons(manifest, numbers[0]) == ["opted_out"]


@pytest.mark.parametrize(
    ("decisions", "reasons"),
    [
        pytest.param([("deny", 0)], ["opted_out"], id="denied"),
        pytest.param([("deny", 0), ("allow", 1)], [], id="changed their mind"),
        pytest.param([("deny", 1), ("allow", 0)], ["opted_out"], id="an older allow comes late"),
        pytest.param([("allow", 1), ("deny", 0)], [], id="an older deny comes late"),
        pytest.param([("allow", 0), ("deny", 0)], ["opted_out"], id="a tie, deny last"),
        pytest.param([("deny", 0), ("allow", 0)], ["opted_out"], id="a tie, allow last"),
    ],
)
def test_the_newest_choice_counts_and_deny_wins_a_tie(decisions, reasons, world, engineer, product):
    (number, *_) = factories.add_members(3)
    start = timezone.now() - dt.timedelta(hours=1)
    for choice, minutes in decisions:
        factories.decide("acc-0", choice, actor=product, at=start + dt.timedelta(minutes=minutes))

    assert _reasons(factories.freeze(engineer), number) == reasons


@pytest.mark.parametrize(
    ("facts", "reasons"),
    [
        ({}, []),
        ({"status": "closed"}, ["closed"]),
        ({"status": "unknown"}, ["closed"]),
        ({"country": ""}, ["country_unknown"]),
        ({"adult_on": None}, ["minor"]),
        ({"adult_on": dt.date(9998, 1, 1)}, ["minor"]),
        ({"country": "", "adult_on": None, "status": "closed"}, ["closed", "country_unknown", "minor"]),
    ],
)  # fmt: skip
def test_every_reason_of_a_member_is_kept(facts, reasons, world, engineer):
    factories.add_members(3)
    number = factories.add_member("one", **facts)

    assert _reasons(factories.freeze(engineer), number) == reasons


@pytest.mark.parametrize(("days", "reasons"), [(-2, []), (2, ["minor"])])
def test_a_member_is_of_age_from_the_day_on(days, reasons, world, engineer):
    factories.add_members(3)
    day = timezone.now().date() + dt.timedelta(days=days)
    number = factories.add_member("one", adult_on=day)

    manifest = factories.freeze(engineer)

    assert _reasons(manifest, number) == reasons


@pytest.mark.parametrize(
    ("effect", "reasons"),
    [
        (None, ["objection_open"]),
        (Effect.UPHELD, ["objection_upheld"]),
        (Effect.RESTRICTION_LIFTED, []),
    ],
)
def test_an_objection_keeps_out_from_receipt_and_for_good_once_upheld(
    effect, reasons, world, engineer, officer, second_officer
):
    (number, *_) = factories.add_members(3)
    ticket = factories.objection("acc-0")
    if effect == Effect.UPHELD:
        factories.uphold(ticket, officer)
    elif effect == Effect.RESTRICTION_LIFTED:
        factories.send_letters(factories.withdraw(ticket, officer, second_officer))

    assert _reasons(factories.freeze(engineer), number) == reasons


def test_an_objection_keeps_out_of_the_purposes_it_names_only(world, engineer, officer):
    (number, *_) = factories.add_members(3)
    factories.objection("acc-0", purposes=[Purpose.SAFETY])

    out = {
        purpose: _reasons(factories.freeze(engineer, purpose=purpose), number)
        for purpose in Purpose
    }

    assert out == {
        Purpose.GENERATIVE_AI: [],
        Purpose.PERSONALISATION: [],
        Purpose.SAFETY: ["objection_open"],
    }


def test_one_run_that_fails_does_not_keep_the_others_waiting(world, engineer):
    factories.add_members(3)
    parent = factories.freeze(engineer)
    child = registering.start(run=factories.register(engineer, parent=parent.run), actor=engineer)
    other = registering.start(run=factories.register(engineer), actor=engineer)
    archives.path_of(parent.digest).unlink()

    assert sweeping.sweep() == {"frozen": 1, "verified": 1, "failed": 1}

    child.refresh_from_db()
    assert child.state == "requested"
    assert verifying.usable_manifest(other).run == other


def test_a_run_that_waited_past_midnight_is_frozen_under_the_rules_of_the_day(
    world, officer, second_officer, engineer
):
    """Requested while everybody was in, frozen after an exclusion that was recorded first is in force."""
    (german,) = factories.add_members(1, country="DE")
    factories.add_members(1, prefix="american")
    with time_machine.travel(dt.datetime(2026, 10, 31, 12, tzinfo=dt.UTC), tick=False):
        run = registering.start(run=factories.register(engineer), actor=engineer)
        factories.allow(
            officer, second_officer, purposes=["generative-ai"], codes=["DE"], rule="excluded",
            effective_from=dt.date(2026, 11, 3),
        )  # fmt: skip

    with time_machine.travel(dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC), tick=False):
        manifest = freezing.freeze(run.pk)

    assert freezing.load(manifest).reasons(german) == ["region"]
    assert manifest.header["as_of"] == "2026-11-20T12:00:00.000000Z"
    assert Entry.objects.get(kind="run.as_of_changed").subject == run.reference
    assert verifying.verify(manifest).agreement == "agrees"


def test_the_header_names_notices_in_the_order_of_their_versions(officer, second_officer, engineer):
    factories.allow(officer, second_officer)
    factories.add_members(1)
    for version in ("2026-c", "2026-a", "2026-b"):
        factories.publish(officer, second_officer, version=version)

    manifest = factories.freeze(engineer)

    assert manifest.header["notices"] == ["2026-a", "2026-b", "2026-c"]
    assert manifest.header["region_rules"] == sorted(manifest.header["region_rules"])


def test_who_joined_after_the_cut_was_not_known_then(world, engineer):
    factories.add_members(1)
    run = factories.freeze(engineer).run
    factories.add_member("newcomer")

    explained = explaining.explain(run, accounts.member_by_reference("newcomer"))

    assert explained.frozen == ["unknown_at_cut"]
    assert "did not know the account" in explained.sentences[0]
    assert explained.now == []


def test_a_cancelled_runs_manifest_is_not_used_any_more(world, engineer):
    factories.add_members(1)
    run = factories.freeze(engineer).run
    registering.cancel(run=run, actor=engineer, reason="wrong data")

    with pytest.raises(RunCancelled):
        verifying.usable_manifest(Run.objects.get(pk=run.pk))
    with pytest.raises(ParentNotUsable, match="cancelled"):
        registering.preview(factories.register(engineer, parent=Run.objects.get(pk=run.pk)))


def test_a_verification_that_was_asked_for_is_done_by_the_sweep(world, engineer, auditor):
    factories.add_members(1)
    manifest = factories.freeze(engineer)
    verifying.request_verification(manifest, actor=auditor)

    assert sweeping.sweep() == {"frozen": 0, "verified": 1, "failed": 0}
    assert sweeping.sweep() == {"frozen": 0, "verified": 0, "failed": 0}
    assert Entry.objects.filter(kind="verification.requested", actor=auditor).count() == 1


def test_a_run_that_cannot_be_frozen_does_not_hold_up_the_next(world, engineer, monkeypatch):
    factories.add_members(1)
    first, second = (
        registering.start(run=factories.register(engineer), actor=engineer) for _ in range(2)
    )
    freeze = freezing.freeze

    def stumble(run_id):
        if run_id == first.pk:
            raise ZeroDivisionError
        return freeze(run_id)

    monkeypatch.setattr(sweeping, "freeze", stumble)

    assert sweeping.sweep() == {"frozen": 1, "verified": 1, "failed": 1}
    assert Manifest.objects.get().run == second
