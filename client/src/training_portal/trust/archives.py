"""The archives of manifests and deliveries: a first line, a header, and sets of member numbers behind it.

Formats: docs/reference/manifest-format.md and delivery-format.md of the portal. An archive is read only after its
digest was found to be the sealed one; what it says of itself is checked all the same.
"""

import datetime as dt
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from hashlib import sha256
from typing import Any

from pyroaring import BitMap

from training_portal.errors import NotVerified
from training_portal.trust.canonical import canonical

EXCLUSIONS = (
    "erased",
    "closed",
    "country_unknown",
    "minor",
    "region",
    "no_notice",
    "not_opted_in",
    "opted_out",
    "objection_open",
    "objection_upheld",
    "not_in_parent",
)
"""Reasons of exclusion, in the order of the parts; the place from 1 is the value in the members tree."""
MAX_POPULATION = 2**31 - 1

_MANIFEST_FIELDS = frozenset(
    "as_of consents cut data_categories days ledger_root notices parent parts policies population purpose reasons region_rules run".split()
)
_DELIVERY_FIELDS = frozenset(
    "as_of consents cut days delivery form ledger_root manifest parts policies purpose run".split()
)
_COHORT = "from:"
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)

Cohorts = tuple[tuple[dt.date, BitMap], ...]


@dataclass(frozen=True)
class ManifestArchive:
    """The members who were in a run when it was frozen, and those who were out, by reason."""

    digest: str
    header: Mapping[str, Any]
    included: BitMap
    excluded: Mapping[str, BitMap]
    cohorts: Cohorts

    @property
    def run(self) -> str:
        return str(self.header["run"])

    @property
    def population(self) -> int:
        return int(self.header["population"])


@dataclass(frozen=True)
class DeliveryArchive:
    """The included of a manifest, split into those who are delivered and those who were out by the cut."""

    digest: str
    header: Mapping[str, Any]
    delivered: BitMap
    subtracted: BitMap
    subtraction_digest: str
    cohorts: Cohorts


def read_manifest(data: bytes, what: str) -> ManifestArchive:
    """Raises NotVerified for what is not an archive in every point of its format."""
    try:
        header, parts = _parts(data, b"training-manifest/1\n", _MANIFEST_FIELDS)
        population = header["population"]
        if type(population) is not int or not 0 <= population <= MAX_POPULATION:
            raise ValueError("its population is no number of members")
        names = [name for name in parts if not name.startswith(_COHORT)]
        known = ["included", *(code for code in EXCLUSIONS if code in names)]
        if names != known or list(parts)[: len(names)] != names:
            raise ValueError("its parts are not those of a manifest, in their order")
        included, excluded = parts["included"], {name: parts[name] for name in names[1:]}
        if ("not_in_parent" in excluded) != (header["parent"] is not None):
            raise ValueError("it has a parent without the part not_in_parent, or that without one")
        if set(header["reasons"]) != set(excluded):
            raise ValueError("its reasons are not those of its parts")
        out = _union(excluded.values())
        if not included.isdisjoint(out):
            raise ValueError("a member is in and out")
        if included | out != _everybody(population):
            raise ValueError("its members are not those from 1 to the population")
        cohorts = _cohorts(parts, included)
    except (ValueError, KeyError, TypeError) as error:
        raise NotVerified(f"{what} is no whole archive of a manifest: {error}.") from None
    return ManifestArchive(sha256(data).hexdigest(), header, included, excluded, cohorts)


def read_delivery(data: bytes, what: str) -> DeliveryArchive:
    """Raises NotVerified for what is not an archive in every point of its format."""
    try:
        header, parts = _parts(data, b"training-delivery/1\n", _DELIVERY_FIELDS)
        names = list(parts)
        if names[:2] != ["delivered", "subtracted"] or not all(
            name.startswith(_COHORT) for name in names[2:]
        ):
            raise ValueError("its parts are not those of a delivery, in their order")
        delivered, subtracted = parts["delivered"], parts["subtracted"]
        if not delivered.isdisjoint(subtracted):
            raise ValueError("a member is delivered and subtracted")
        cohorts = _cohorts(parts, delivered)
    except (ValueError, KeyError, TypeError) as error:
        raise NotVerified(f"{what} is no whole archive of a delivery: {error}.") from None
    digest = str(header["parts"][1]["sha256"])
    return DeliveryArchive(sha256(data).hexdigest(), header, delivered, subtracted, digest, cohorts)


def set_digest(members: BitMap) -> str:
    """The SHA-256 of a set in the one form that archives use."""
    return sha256(_one_form(members)).hexdigest()


def _parts(
    data: bytes, magic: bytes, fields: frozenset[str]
) -> tuple[dict[str, Any], dict[str, BitMap]]:
    """The header, and each part's set by its name, in the order of the file."""
    if not data.startswith(magic):
        raise ValueError(f"its first line is not {magic.decode().strip()}")
    at = data.index(b"\n", len(magic)) + 1
    header = canonical(data[len(magic) : at - 1])
    if not isinstance(header, dict) or header.keys() != fields:
        raise ValueError("its header does not have its fields")
    parts: dict[str, BitMap] = {}
    for part in header["parts"]:
        name, size = part["name"], part["bytes"]
        if name in parts or type(size) is not int or size < 0:
            raise ValueError("a part has no length, or its name is there twice")
        blob = data[at : at + size]
        if sha256(blob).hexdigest() != part["sha256"]:
            raise ValueError(f"the part {name} does not have its SHA-256")
        parts[name] = _set(blob)
        if len(parts[name]) != part["members"]:
            raise ValueError(f"the part {name} does not have its count")
        at += size
    if at != len(data):
        raise ValueError("there are bytes after the last part")
    return header, parts


def _set(blob: bytes) -> BitMap:
    members = BitMap.deserialize(blob)
    if _one_form(members) != blob:
        raise ValueError("a set is not in the one form that archives use")
    return members


def _one_form(members: BitMap) -> bytes:
    ordered = members.copy()
    ordered.run_optimize()
    return bytes(ordered.serialize())


def _cohorts(parts: Mapping[str, BitMap], included: BitMap) -> Cohorts:
    found: list[tuple[dt.date, BitMap]] = []
    placed = BitMap()
    days = [name.removeprefix(_COHORT) for name in parts if name.startswith(_COHORT)]
    if days != sorted(days):
        raise ValueError("its cohorts are not in the order of their days")
    for day in days:
        members = parts[_COHORT + day]
        if not _DAY.fullmatch(day) or not members:
            raise ValueError("a cohort has no day, or no member")
        if not members.isdisjoint(placed) or not members <= included:
            raise ValueError("a cohort has a member of another one, or one who is out")
        placed |= members
        found.append((dt.date.fromisoformat(day), members))
    return tuple(found)


def _everybody(population: int) -> BitMap:
    everybody = BitMap()
    if population:
        everybody.add_range(1, population + 1)
    return everybody


def _union(sets: Iterable[BitMap]) -> BitMap:
    return reduce(lambda all_, one: all_ | one, sets, BitMap())
