"""The members of a set of countries, kept from one freeze to the next.

Most of those who are out live where the purpose is not allowed, and reading all their numbers again would
be most of a freeze. Countries change rarely: the set of the last freeze is kept in a file with the ledger
entry it was true at, and the next freeze applies what members' history says happened since. A file that
is missing, damaged, too old or of another ledger is not used, and the set is read from the table as ever.

This is a way to be fast, never a source: the manifest derived from history must agree before a manifest can be used.
"""

from collections.abc import Collection
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from pyroaring import BitMap

from common.text import strict_json
from consent.models import Member
from ledger import canonical
from ledger.files import write_whole
from ledger.models import Entry

MAX_CHANGES = 50_000
"""With more changed members than this, reading the whole set is quicker."""


@dataclass(frozen=True)
class Kept:
    """The members of some countries as they were at a ledger entry."""

    cut: int
    members: BitMap

    def changed(self) -> "QuerySet[Any]":
        """Members whose record was written since."""
        return Member.objects.filter(
            pk__in=Member.history.filter(entry_id__gt=self.cut).values("id")
        )

    def now(self, changed: BitMap, changed_inside: BitMap) -> BitMap:
        """The set today: `changed_inside` are those of the changed that are in the countries now."""
        return (self.members - changed) | changed_inside


def load(countries: Collection[str]) -> Kept | None:
    """The kept set, or None when the table must be read. Call it inside the freeze's snapshot."""
    try:
        header, _, data = _path(countries).read_bytes().partition(b"\n")
        facts = strict_json.read(header)
        if facts["sha256"] != sha256(data).hexdigest():
            return None
        kept = Kept(facts["cut"], BitMap.deserialize(data))
        same_ledger = Entry.objects.filter(sequence=kept.cut, leaf=facts["leaf"]).exists()
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not same_ledger:
        return None
    since = Member.history.filter(entry_id__gt=kept.cut)[: MAX_CHANGES + 1].count()
    return kept if since <= MAX_CHANGES else None


def keep(countries: Collection[str], cut: int, members: BitMap) -> None:
    """Keep a set that was read at `cut`. Raises OSError when the disk is full; nothing is lost by that."""
    if not cut:
        return
    data = members.serialize()
    leaf = Entry.objects.values_list("leaf", flat=True).get(sequence=cut)
    header = canonical.dumps({"cut": cut, "leaf": leaf, "sha256": sha256(data).hexdigest()})
    write_whole(_path(countries), header + b"\n" + data)


def _path(countries: Collection[str]) -> Path:
    name = sha256(canonical.dumps(sorted(countries))).hexdigest()
    return Path(settings.MANIFEST_DIR) / "country-sets" / name
