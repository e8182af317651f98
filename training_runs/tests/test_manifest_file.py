import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap

from training_runs.errors import ManifestDamaged
from training_runs.manifests import container, manifest_file

numbers = st.sets(st.integers(1, 2**31 - 1), max_size=50).map(BitMap)


def _archive(included=(1, 2, 3), **excluded) -> bytes:
    sets = {code: BitMap(members) for code, members in excluded.items()}
    return manifest_file.build({"run": "TR-2026-000001"}, 10, BitMap(included), sets)[1]


@given(numbers, st.dictionaries(st.sampled_from(["region", "minor", "closed"]), numbers))
def test_what_is_built_is_read_again(included, excluded):
    header, data = manifest_file.build({"run": "TR-2026-000001"}, 10, included, excluded)

    archive = manifest_file.parse(data)

    assert archive.header == json.loads(json.dumps(header))
    assert archive.included == included
    assert archive.excluded == excluded


@given(st.lists(st.integers(1, 200_000), unique=True, max_size=300))
def test_equal_sets_give_equal_bytes_however_they_came_about(members):
    one_by_one = BitMap()
    for number in members:
        one_by_one.add(number)
    everything = BitMap(range(1, 200_001))
    by_subtraction = everything - (everything - BitMap(members))

    assert container.portable(one_by_one) == container.portable(by_subtraction)


def test_packing_a_set_does_not_change_it():
    members = BitMap(range(1000))
    before = members.serialize()

    container.portable(members)

    assert members.serialize() == before


def test_the_reasons_of_a_member_are_the_sets_that_hold_it():
    archive = manifest_file.parse(_archive(region=[4, 5], minor=[5]))

    assert [archive.reasons(number) for number in (1, 4, 5)] == [
        [],
        ["region"],
        ["region", "minor"],
    ]


def test_every_byte_is_covered():
    data = _archive(region=[4, 5])
    undetected = []

    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1
        try:
            found = manifest_file.parse(bytes(changed))
        except ManifestDamaged:
            continue
        # The header has no digest of its own: the archive's name is the digest of all of it.
        if (found.included, found.excluded) != (BitMap([1, 2, 3]), {"region": BitMap([4, 5])}):
            undetected.append(place)

    header_end = data.index(b"\n", len(manifest_file.MAGIC))
    assert [place for place in undetected if place > header_end] == []


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda data: b"", id="nothing"),
        pytest.param(lambda data: data[:-1], id="cut short"),
        pytest.param(lambda data: data + b"\0", id="something after the end"),
        pytest.param(lambda data: data.replace(b"manifest/1", b"manifest/2"), id="another format"),
        pytest.param(lambda data: data.replace(b'"parts"', b' "parts"'), id="header not canonical"),
        pytest.param(lambda data: data.replace(b'"parts"', b'"pasta"'), id="no parts"),
        pytest.param(lambda data: data.replace(b'"members":3', b'"members":4'), id="another count"),
        pytest.param(lambda data: manifest_file.MAGIC + b"[]\n", id="header is a list"),
        pytest.param(lambda data: manifest_file.MAGIC + b"{}\n", id="empty header"),
        pytest.param(lambda data: manifest_file.MAGIC + b"\xff\n", id="header is not text"),
        pytest.param(lambda data: manifest_file.MAGIC, id="no header"),
        pytest.param(
            lambda data: manifest_file.MAGIC + b"[" * 100_000 + b"\n", id="header nested too deep"
        ),
    ],
)
def test_anything_but_an_undamaged_archive_is_refused(spoil):
    with pytest.raises(ManifestDamaged):
        manifest_file.parse(spoil(_archive()))
