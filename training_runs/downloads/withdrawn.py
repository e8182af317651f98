"""Members of a manifest who would be out now, in pages of one answer.

The first page finds the answer at a cut of the ledger (`runs.following`) and keeps its set as a file; later pages read that set, named by
its digest. So pages fit together although members decide anew between them.
"""

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from pyroaring import BitMap

from common.files import made_files
from common.models import MadeFile
from consent.models import AccountReference
from ledger import clock
from ledger.errors import InvalidInput
from training_runs.models import Manifest, WithdrawnAnswer
from training_runs.runs import following

_CURSOR = re.compile(r"([0-9a-f]{32})-([0-9]{1,16})-([0-9]{1,10})")
_MAX_NUMBER = 2**32 - 1
"""The largest member number that a set can hold."""
_KEPT = timedelta(hours=6)
"""How long the pages of one answer can be read."""
_REMEMBERED = timedelta(days=1)
"""How long an answer can be acknowledged, and gone on from."""


@dataclass(frozen=True)
class Page:
    members: list[tuple[int, str | None]]
    """Number and account_ref, in order of the number; no reference for erased members."""
    cursor: str
    """Leads to the next page; empty on the last one."""


@dataclass(frozen=True)
class WithdrawnPages:
    """The whole answer, and how far it was read."""

    cut: int
    members: BitMap
    digest: str
    """SHA-256 of the set, as Roaring."""
    key: str
    """Of the kept set."""
    after: int = 0

    @property
    def count(self) -> int:
        return len(self.members)

    def page(self, size: int) -> Page:
        """The next `size` members."""
        rank = self.members.rank(self.after)
        numbers = list(self.members[rank : rank + size])
        references = dict(
            AccountReference.objects.filter(member__in=numbers).values_list(
                "member_id", "account_ref"
            )
        )
        more = rank + len(numbers) < self.count
        return Page(
            [(number, references.get(number)) for number in numbers],
            f"{self.key}-{self.cut}-{numbers[-1]}" if more else "",
        )


class WithdrawnSet(made_files.Maker):
    """The kept set, in Roaring's portable format. Read by pages only, never downloaded."""

    kind = "withdrawn-set"
    is_in_quota = False

    def write(self, parameters: Mapping[str, Any], to: io.RawIOBase) -> dict[str, Any]:
        raise NotImplementedError("A request keeps it; no worker makes it.")

    def check_access(self, user: User, parameters: Mapping[str, Any]) -> None:
        raise PermissionDenied

    def record(self, user: User, row: MadeFile) -> None:
        raise PermissionDenied

    def name(self, parameters: Mapping[str, Any]) -> str:
        return f"{parameters['run']}-withdrawn.roaring"

    def media_type(self, parameters: Mapping[str, Any]) -> str:
        return "application/octet-stream"

    def title(self, parameters: Mapping[str, Any]) -> str:
        return f"Withdrawn since {parameters['run']}"


def first(manifest: Manifest, user: User, page_size: int) -> WithdrawnPages:
    """The answer as of now, kept for its later pages if there are any. Raises FilesUnavailable."""
    since = following.follow(manifest)
    members = since.members
    digest = following.remember(manifest.run, since)
    WithdrawnAnswer.objects.filter(answered_at__lt=clock.now() - _REMEMBERED).delete()
    if len(members) <= page_size:
        return WithdrawnPages(since.cut, members, digest, "")
    # By its content: asking again between decisions keeps nothing more.
    parameters = {
        "run": manifest.run.reference,
        "manifest": manifest.digest,
        "set": digest,
    }
    row = made_files.keep(WithdrawnSet.kind, parameters, since.data, owner=user, lasting=_KEPT)
    return WithdrawnPages(since.cut, members, digest, row.key)


def at_cursor(manifest: Manifest, cursor: str) -> WithdrawnPages:
    """The answer that a page's cursor belongs to. Raises InvalidInput, FileGone, FilesUnavailable."""
    read = _CURSOR.fullmatch(cursor)
    if read and int(read[3]) > _MAX_NUMBER:
        read = None
    row = read and MadeFile.objects.filter(key=read[1], kind=WithdrawnSet.kind).first()
    if not read or (row and row.parameters["manifest"] != manifest.digest):
        raise InvalidInput("Use `next` unchanged, or begin without a cursor.", field="cursor")
    if row is None:
        raise made_files.FileGone("This answer has expired: begin without a cursor.")
    with made_files.opened(row) as file:
        members = BitMap.deserialize(file.read())
    return WithdrawnPages(int(read[2]), members, row.digest, row.key, int(read[3]))
