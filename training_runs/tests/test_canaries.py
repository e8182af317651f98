import pytest

from consent.choices import PURPOSES, Purpose
from consent.models import Member
from ledger import entries
from tools import factories
from training_runs.eligibility import canaries, exclusions
from training_runs.errors import FreezeRefused
from training_runs.models import Canary, Run
from training_runs.runs import freezing, registering

pytestmark = pytest.mark.django_db(transaction=True)


def test_every_exclusion_has_a_canary():
    canaries.plant()

    codes = sorted(Canary.objects.values_list("exclusion", flat=True))
    assert codes == sorted(item.code for item in exclusions.EXCLUSIONS) == sorted(canaries.FACTS)


def test_planting_again_changes_nothing():
    canaries.plant()
    before = entries.read_head()

    canaries.plant()

    assert entries.read_head() == before


@pytest.mark.parametrize("left", range(7))
def test_planting_goes_on_where_it_was_interrupted(left, monkeypatch):
    class Interrupted(Exception):
        pass

    written = iter(range(left))
    real = entries.entry

    def entry(*args, **kwargs):
        if next(written, None) is None:
            raise Interrupted
        return real(*args, **kwargs)

    with monkeypatch.context() as cut, pytest.raises(Interrupted):
        cut.setattr(entries, "entry", entry)
        canaries.plant()
    assert Canary.objects.count() <= len(canaries.FACTS)

    canaries.plant()

    # Their facts are what keeps them out; the freeze below would refuse anything less.
    facts = {row.exclusion: row.member for row in Canary.objects.select_related("member")}
    assert {code: member.status for code, member in facts.items()} == {
        code: "erased" if code == "erased" else wanted.status
        for code, wanted in canaries.FACTS.items()
    }


@pytest.mark.parametrize("purpose", Purpose.values)
def test_each_canary_is_out_for_its_reason_for_every_purpose(
    purpose, officer, second_officer, engineer
):
    factories.open_world(officer, second_officer)
    factories.add_members(3)

    manifest = factories.freeze(engineer, purpose=purpose)

    archive = freezing.load(manifest)
    for canary in Canary.objects.all():
        if canary.exclusion == "opted_out" and purpose != Purpose.GENERATIVE_AI:
            # No setting rules the purpose: there this one is kept out by an objection.
            assert archive.reasons(canary.member_id) == ["objection_open"]
        else:
            assert archive.reasons(canary.member_id) == [canary.exclusion]


def test_only_canaries_live_in_the_test_countries():
    canaries.plant()
    factories.add_members(3)

    residents = Member.objects.filter(country__startswith="Q").exclude(country="QA")
    assert set(residents.values_list("pk", flat=True)) <= set(
        Canary.objects.values_list("member_id", flat=True)
    )


def test_purpose_that_comes_later_gets_its_canaries(officer, second_officer, engineer, monkeypatch):
    """Planted when there was one purpose; then two more are there."""
    factories.open_world(officer, second_officer)
    factories.add_members(1)
    with monkeypatch.context() as early:
        early.setattr(
            canaries, "PURPOSES", {Purpose.GENERATIVE_AI: PURPOSES[Purpose.GENERATIVE_AI]}
        )
        canaries.plant()

    for purpose in Purpose.values:
        assert factories.freeze(engineer, purpose=purpose).included == 1


def test_another_suppression_key_stops_the_freeze(officer, second_officer, engineer, settings):
    factories.open_world(officer, second_officer)
    factories.add_members(1)
    run = registering.start(run=factories.register(engineer), actor=engineer)
    settings.SUPPRESSION_KEY = "another"

    with pytest.raises(FreezeRefused, match="SUPPRESSION_KEY"):
        freezing.freeze(run.pk)

    assert Run.objects.get(pk=run.pk).state == "requested"
