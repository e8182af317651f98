"""Archives that are not in every point of their format: each fault refused by its own sentence."""

from hashlib import sha256

import pytest
from lying_portal import LyingPortal, canonical, roaring
from pyroaring import BitMap

from training_portal.errors import NotVerified
from training_portal.trust.archives import read_delivery, read_manifest, set_digest
from training_portal.trust.canonical import canonical as read_canonical

MANIFEST, DELIVERY = b"training-manifest/1\n", b"training-delivery/1\n"


class Pieces:
    """An archive as its first line, its header and its parts, to be put together with a fault."""

    def __init__(self, data: bytes) -> None:
        self.magic, header, rest = data.split(b"\n", 2)
        self.header = read_canonical(header)
        self.blobs = []
        for part in self.header["parts"]:
            self.blobs.append(rest[: part["bytes"]])
            rest = rest[part["bytes"] :]

    def replace(self, place: int, blob: bytes, members: int | None = None) -> None:
        part = self.header["parts"][place]
        self.blobs[place] = blob
        part["bytes"], part["sha256"] = len(blob), sha256(blob).hexdigest()
        part["members"] = part["members"] if members is None else members

    def add(self, name: str, members: BitMap) -> None:
        self.header["parts"].append({"name": name, "members": 0, "bytes": 0, "sha256": ""})
        self.blobs.append(b"")
        self.replace(-1, roaring(members), len(members))

    @property
    def data(self) -> bytes:
        return b"\n".join([self.magic, canonical(self.header), b"".join(self.blobs)])


@pytest.fixture
def portal(tmp_path):
    return LyingPortal(tmp_path)


@pytest.fixture
def manifest(portal):
    return Pieces(portal._manifest())


@pytest.fixture
def delivery(portal):
    return Pieces(portal._delivery_archive())


def test_whole_archives_are_read(manifest, delivery):
    assert len(read_manifest(manifest.data, "It").included) == 900
    assert len(read_delivery(delivery.data, "It").delivered) == 897


def test_a_set_has_one_digest_however_it_was_made():
    one = BitMap(range(1, 70_000))
    other = BitMap(range(1, 100_000)) & BitMap(range(0, 70_000))

    assert set_digest(one) == set_digest(other) == sha256(roaring(one)).hexdigest()


# --- Of both ------------------------------------------------------------------------------------


def another_first_line(pieces):
    pieces.magic = b"training-archive/1"


def a_field_more(pieces):
    pieces.header["note"] = ""


def a_part_twice(pieces):
    pieces.header["parts"].append(pieces.header["parts"][0])
    pieces.blobs.append(pieces.blobs[0])


def a_length_below_zero(pieces):
    pieces.header["parts"][-1]["bytes"] = -1


def another_digest_of_a_part(pieces):
    pieces.header["parts"][0]["sha256"] = "00" * 32


def another_count_of_a_part(pieces):
    pieces.header["parts"][0]["members"] += 1


def bytes_behind(pieces):
    pieces.blobs.append(b"!")


def bytes_missing(pieces):
    pieces.blobs[-1] = pieces.blobs[-1][:-1]


def a_set_in_another_form(pieces):
    loose = BitMap()
    for number in BitMap.deserialize(pieces.blobs[0]):
        loose.add(number)
    assert loose.serialize() != pieces.blobs[0]
    pieces.replace(0, loose.serialize())


def a_cohort_without_a_day(pieces):
    pieces.add("from:soon", BitMap([20]))


def an_empty_cohort(pieces):
    pieces.add("from:2025-12-01", BitMap())


def cohorts_out_of_order(pieces):
    pieces.add("from:2025-01-01", BitMap([20]))


def a_member_in_two_cohorts(pieces):
    pieces.add("from:2025-12-01", BitMap([10]))


def a_cohort_of_somebody_who_is_out(pieces):
    pieces.add("from:2025-12-01", BitMap([950]))


OF_BOTH = [
    (another_first_line, "first line"),
    (a_field_more, "does not have its fields"),
    (a_part_twice, "there twice"),
    (a_length_below_zero, "no length"),
    (another_digest_of_a_part, "does not have its SHA-256"),
    (another_count_of_a_part, "does not have its count"),
    (bytes_behind, "after the last part"),
    (bytes_missing, "does not have its SHA-256"),
    (a_set_in_another_form, "one form"),
    (a_cohort_without_a_day, "no day, or no member"),
    (an_empty_cohort, "no day, or no member"),
    (cohorts_out_of_order, "order of their days"),
    (a_member_in_two_cohorts, "of another one, or one who is out"),
    (a_cohort_of_somebody_who_is_out, "of another one, or one who is out"),
]


@pytest.mark.parametrize(
    ("fault", "problem"), OF_BOTH, ids=lambda one: getattr(one, "__name__", "")
)
def test_a_manifest_with_a_fault_is_refused(manifest, fault, problem):
    fault(manifest)

    with pytest.raises(NotVerified, match=problem):
        read_manifest(manifest.data, "It")


@pytest.mark.parametrize(
    ("fault", "problem"), OF_BOTH, ids=lambda one: getattr(one, "__name__", "")
)
def test_a_delivery_with_a_fault_is_refused(delivery, fault, problem):
    fault(delivery)

    with pytest.raises(NotVerified, match=problem):
        read_delivery(delivery.data, "It")


@pytest.mark.parametrize(
    "change",
    [
        lambda line: line.replace(b'"as_of":', b'"as_of": ', 1),
        lambda line: line.replace(b'{"as_of"', b'{"as_of":"2026-01-01","as_of"', 1),
        lambda line: line.replace(b'"cut":1', b'"cut":1.0', 1),
        lambda line: line.replace(b'"cut":1', b'"cut":9007199254740992', 1),
        lambda line: line.replace(b'"cut":1', b'"cut":NaN', 1),
        lambda line: line.replace(b"generative", b"\xff", 1),
        lambda line: b"[" * 100_000 + line,
    ],
)
def test_a_header_that_is_written_in_another_way_is_refused(delivery, change):
    magic, line, rest = delivery.data.split(b"\n", 2)

    with pytest.raises(NotVerified):
        read_delivery(b"\n".join([magic, change(line), rest]), "It")


# --- Of manifests -------------------------------------------------------------------------------


def a_population_that_is_none(pieces):
    pieces.header["population"] = True


def a_population_that_is_too_large(pieces):
    pieces.header["population"] = 2**31


def more_members_than_there_are(pieces):
    pieces.header["population"] = 1_001


def fewer_members_than_there_are(pieces):
    pieces.header["population"] = 999


def a_reason_that_nobody_knows(pieces):
    pieces.header["parts"][1]["name"] = "too_tall"


def a_parent_without_its_part(pieces):
    pieces.header["parent"] = {"run": "TR-2026-000009", "manifest": "00" * 32}


def reasons_of_other_parts(pieces):
    pieces.header["reasons"] = {}


def a_member_in_and_out(pieces):
    members = BitMap.deserialize(pieces.blobs[1]) | BitMap([5])
    pieces.replace(1, roaring(members), len(members))


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        (a_population_that_is_none, "no number of members"),
        (a_population_that_is_too_large, "no number of members"),
        (more_members_than_there_are, "from 1 to the population"),
        (fewer_members_than_there_are, "from 1 to the population"),
        (a_reason_that_nobody_knows, "those of a manifest, in their order"),
        (a_parent_without_its_part, "without the part not_in_parent"),
        (reasons_of_other_parts, "reasons are not those"),
        (a_member_in_and_out, "in and out"),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_sets_that_contradict_one_another_are_refused(manifest, fault, problem):
    fault(manifest)

    with pytest.raises(NotVerified, match=problem):
        read_manifest(manifest.data, "It")


# --- Of deliveries ------------------------------------------------------------------------------


def a_member_on_both_sides(pieces):
    members = BitMap.deserialize(pieces.blobs[1]) | BitMap([20])
    pieces.replace(1, roaring(members), len(members))


def the_subtraction_left_out(pieces):
    del pieces.header["parts"][1], pieces.blobs[1]


def a_part_of_another_kind(pieces):
    pieces.add("erased", BitMap([20]))


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        (a_member_on_both_sides, "delivered and subtracted"),
        (the_subtraction_left_out, "those of a delivery, in their order"),
        (a_part_of_another_kind, "those of a delivery, in their order"),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_a_split_that_is_none_is_refused(delivery, fault, problem):
    fault(delivery)

    with pytest.raises(NotVerified, match=problem):
        read_delivery(delivery.data, "It")
