import pytest
from pyroaring import BitMap

from consent.models import Member
from tools import factories
from training_runs.manifests import packing
from training_runs.manifests.packing import pack


def _numbers(**facts):
    return Member.objects.filter(**facts).values_list("id", flat=True)


@pytest.mark.django_db
def test_each_rule_gives_the_numbers_it_yields():
    factories.add_members(10, country="US")
    factories.add_members(5, country="CA", prefix="more")

    packed = pack([_numbers(country="US"), _numbers(country="CA"), _numbers(country="BR")], 15)

    assert packed == [BitMap(range(1, 11)), BitMap(range(11, 16)), BitMap()]


@pytest.mark.django_db
def test_a_rule_with_parameters_that_look_like_sql_is_packed_as_it_is_read():
    factories.add_members(3)

    assert pack([_numbers(country_given="100% '; --")], 3) == [BitMap()]


@pytest.mark.django_db
def test_no_members_pack_to_an_empty_set():
    assert pack([_numbers()], 0) == [BitMap()]


@pytest.mark.django_db
@pytest.mark.parametrize("size", [1, 3, 10, 11, 1000])
def test_ranges_together_are_the_whole(size, monkeypatch):
    factories.add_members(11)
    monkeypatch.setattr(packing, "RANGE", size)

    assert pack([_numbers()], 11) == [BitMap(range(1, 12))]
