"""One number asked of a set, and of an archive, without loading either."""

import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyroaring import BitMap

from training_runs.errors import ManifestDamaged
from training_runs.manifests import archives, container, manifest_file, roaring_lookup

# Runs, arrays and bitmaps, in few containers and in many, near their ends.
STRETCH = st.tuples(st.integers(0, 12), st.integers(0, 65535), st.integers(1, 9000)).map(
    lambda drawn: range(drawn[0] * 65536 + drawn[1], drawn[0] * 65536 + drawn[1] + drawn[2])
)
SCATTERED = st.tuples(st.integers(0, 2**31), st.integers(1, 9000), st.integers(2, 7)).map(
    lambda drawn: range(drawn[0], min(drawn[0] + drawn[1] * drawn[2], 2**32), drawn[2])
)
SETS = st.lists(
    st.one_of(STRETCH, SCATTERED, st.integers(0, 2**32 - 1).map(lambda n: [n])), max_size=8
)


@settings(deadline=None, max_examples=300)
@given(ranges=SETS, seed=st.integers(0, 2**32), before=st.binary(max_size=9))
def test_a_set_has_a_number_exactly_if_roaring_says_so(ranges, seed, before):
    members = BitMap.union(BitMap(), *map(BitMap, ranges))
    data = before + container.portable(members)
    draw = random.Random(seed)
    edges = [edge for one in ranges for edge in (one[0], one[-1])]
    near = [edge + step for edge in edges for step in (-1, 0, 1) if 0 <= edge + step < 2**32]
    asked = near + [draw.randrange(2**32) for _ in range(20)]
    asked += [members[draw.randrange(len(members))] for _ in range(20) if members]

    answers = {number: roaring_lookup.contains(data, len(before), number) for number in asked}

    assert answers == {number: number in members for number in asked}


def archive(population=200_000, seed=1):
    draw = random.Random(seed)
    out = {
        "closed": BitMap(draw.sample(range(1, population), min(9_000, population // 20))),
        "region": BitMap(range(40_000, 120_000)),
        "opted_out": BitMap(),
    }
    included = BitMap(range(1, population + 1)) - BitMap.union(*out.values())
    _, data = manifest_file.build({"run": "TR-2026-000001"}, population, included, out)
    return archives.store(data), manifest_file.parse(data)


def test_an_archive_says_of_each_member_what_its_parsed_form_says():
    digest, parsed = archive()

    with roaring_lookup.opened(digest) as found:
        said = {n: (found.includes(n), found.reasons(n)) for n in range(1, 200_010, 7)}

    assert said == {n: (n in parsed.included, parsed.reasons(n)) for n in range(1, 200_010, 7)}


def test_a_thousand_archives_are_asked_within_a_second():
    digests = [archive(population=30_000, seed=seed)[0] for seed in range(20)]

    began = time.perf_counter()
    for digest in digests * 50:
        with roaring_lookup.opened(digest) as found:
            found.includes(77)
    took = time.perf_counter() - began

    assert took < 1


@pytest.mark.parametrize(
    "break_it",
    [
        pytest.param(lambda data: b"", id="empty"),
        pytest.param(lambda data: b"training-manifest/2\n" + data[20:], id="another format"),
        pytest.param(lambda data: data[:-1], id="too short"),
        pytest.param(lambda data: data + b"x", id="too long"),
        pytest.param(lambda data: data[:20] + b"{" + data[20:], id="no header"),
        pytest.param(lambda data: data[: data.rindex(b"\n") + 1], id="no parts"),
    ],
)
def test_an_archive_that_is_none_is_refused(break_it):
    digest, _ = archive(population=1_000)
    path = archives.path_of(digest)
    path.write_bytes(break_it(path.read_bytes()))

    with pytest.raises(ManifestDamaged), roaring_lookup.opened(digest) as found:
        found.includes(1)


def test_a_part_that_is_no_set_is_refused():
    digest, parsed = archive(population=1_000)
    path = archives.path_of(digest)
    data = path.read_bytes()
    place = len(data) - sum(part["bytes"] for part in parsed.header["parts"])
    path.write_bytes(data[:place] + b"\xff" * (len(data) - place))

    with pytest.raises(ManifestDamaged), roaring_lookup.opened(digest) as found:
        found.includes(1)


def test_an_archive_that_is_missing_is_refused():
    with pytest.raises(ManifestDamaged, match="not in the store"), roaring_lookup.opened("0" * 64):
        pass
