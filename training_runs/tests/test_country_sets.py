import pytest
from pyroaring import BitMap

from consent import members
from consent.members import Facts
from consent.models import Member
from consent.rulebook import days
from ledger import entries
from tools.factories import ADULT, add_members, allow, freeze, open_world
from training_runs.eligibility.exclusions import ask
from training_runs.manifests import country_sets
from training_runs.runs import verifying
from training_runs.runs.freezing import load

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def excluded_countries(officer, second_officer):
    """Germany is excluded, the rest of the world is not, and a member lives there."""
    add_members(1, prefix="american")
    open_world(officer, second_officer)
    allow(officer, second_officer, purposes=["generative-ai"], codes=["DE"], rule="excluded")
    return ask("generative-ai", days.on(ADULT.replace(year=2026)), ["posts"]).excluded


def move(number, country):
    with entries.entry("test.moved", actor="test"):
        members.change([(Member.objects.get(pk=number), Facts(country, "", ADULT, "open"))])


def region(manifest):
    return load(manifest).excluded["region"]


def test_first_freeze_keeps_what_it_read(engineer, excluded_countries):
    germans = add_members(3, country="DE")

    manifest = freeze(engineer)

    kept = country_sets.load(excluded_countries)
    assert kept.members == region(manifest) and kept.cut == manifest.cut
    assert set(germans) <= set(kept.members)


def test_next_freeze_applies_what_happened_since(engineer, excluded_countries):
    stays, leaves = add_members(2, country="DE")
    (arrives,) = add_members(1, country="US", prefix="us")
    freeze(engineer)
    move(leaves, "US")
    move(arrives, "DE")
    (joins,) = add_members(1, country="DE", prefix="new")

    manifest = freeze(engineer)  # and verified: what history gives agrees

    assert {stays, arrives, joins} <= set(region(manifest))
    assert leaves in load(manifest).included


def test_member_who_moved_away_and_back_is_out(engineer, excluded_countries):
    (german,) = add_members(1, country="DE")
    freeze(engineer)
    move(german, "US")
    move(german, "DE")

    manifest = freeze(engineer)

    assert german in region(manifest)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[:-1] + bytes([data[-1] ^ 1]),
        lambda data: data.partition(b"\n")[0],
        lambda data: b"",
        lambda data: data.replace(b'"leaf":"', b'"leaf":"0'),
        lambda data: data.replace(b'"cut":', b'"cut":9'),
        lambda data: b'{"cut":"x"}\n' + data.partition(b"\n")[2],
    ],
    ids=["a bit", "no set", "nothing", "another ledger", "the future", "another type"],
)
def test_spoiled_set_is_not_used(engineer, excluded_countries, spoil):
    germans = add_members(3, country="DE")
    freeze(engineer)
    path = country_sets._path(excluded_countries)
    path.write_bytes(spoil(path.read_bytes()))

    assert country_sets.load(excluded_countries) is None
    assert set(region(freeze(engineer))) >= set(germans)


def test_set_that_lies_is_caught_by_deriving(engineer, excluded_countries):
    """An attacker who can write the file can make the freeze wrong; the manifest then blocks itself."""
    (german,) = add_members(1, country="DE")
    cut = freeze(engineer).cut
    kept = country_sets.load(excluded_countries)
    country_sets.keep(excluded_countries, cut, kept.members - BitMap([german]))

    manifest = freeze(engineer, verified=False)

    assert german in load(manifest).included
    assert verifying.verify(manifest).agreement == "differs"


def test_many_changes_are_read_from_the_table(engineer, excluded_countries, monkeypatch):
    add_members(3, country="DE")
    freeze(engineer)
    monkeypatch.setattr(country_sets, "MAX_CHANGES", 1)
    add_members(2, country="DE", prefix="new")

    assert country_sets.load(excluded_countries) is None
