"""Asking an archive about one number without loading it: its header, then a few bytes of each part.

Roaring's portable format says where each container is stored (docs/reference/manifest-format.md), so a look costs microseconds
whatever the size. A process reads an archive as a whole once, to check its digest, and again when the file has changed
(`archives.opened`): a damaged archive answers nothing.
"""

import datetime as dt
import mmap
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from common.text import strict_json
from training_runs.errors import ManifestDamaged
from training_runs.manifests import archives
from training_runs.manifests.manifest_file import COHORT, INCLUDED, MAGIC

Buffer = bytes | mmap.mmap
_WITH_RUNS, _WITHOUT_RUNS = 12347, 12346
_MAX_IN_ARRAY = 4096
_BITMAP_BYTES = 8192
_FEW_CONTAINERS = 4
"""With run containers, and fewer containers than these, the format leaves the offsets out."""


def contains(data: Buffer, start: int, number: int) -> bool:
    """Whether the set that begins at `start` has the number. Raises struct.error or ValueError where it is none."""
    cookie, high = struct.unpack_from("<HH", data, start)
    place = start + 4
    runs_at = 0
    if cookie == _WITH_RUNS:
        count = high + 1
        runs_at = place
        place += (count + 7) // 8
    elif cookie == _WITHOUT_RUNS:
        (count,) = struct.unpack_from("<I", data, place)
        place += 4
    else:
        raise ValueError("not a set in Roaring's portable format")
    found = _find_key(data, place, count, number >> 16)
    if found is None:
        return False
    size = _cardinality(data, place, found)
    descriptions = place
    place += 4 * count
    if runs_at and count < _FEW_CONTAINERS:
        at = place
        for before in range(found):
            at += _length(data, at, runs_at, before, _cardinality(data, descriptions, before))
    else:
        (offset,) = struct.unpack_from("<I", data, place + 4 * found)
        at = start + offset
    low = number & 0xFFFF
    if _is_run(data, runs_at, found):
        return _in_runs(data, at, low)
    if size <= _MAX_IN_ARRAY:
        return _in_array(data, at, size, low)
    return bool(data[at + low // 8] >> low % 8 & 1)


def _find_key(data: Buffer, place: int, count: int, key: int) -> int | None:
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        (found,) = struct.unpack_from("<H", data, place + 4 * middle)
        if found == key:
            return middle
        low, high = (middle + 1, high) if found < key else (low, middle)
    return None


def _cardinality(data: Buffer, descriptions: int, container: int) -> int:
    return int(struct.unpack_from("<H", data, descriptions + 4 * container + 2)[0]) + 1


def _is_run(data: Buffer, runs_at: int, container: int) -> bool:
    return bool(runs_at and data[runs_at + container // 8] >> container % 8 & 1)


def _length(data: Buffer, at: int, runs_at: int, container: int, size: int) -> int:
    """Bytes of a container that begins at `at`."""
    if _is_run(data, runs_at, container):
        return 2 + 4 * int(struct.unpack_from("<H", data, at)[0])
    return 2 * size if size <= _MAX_IN_ARRAY else _BITMAP_BYTES


def _in_array(data: Buffer, at: int, size: int, wanted: int) -> bool:
    low, high = 0, size
    while low < high:
        middle = (low + high) // 2
        (found,) = struct.unpack_from("<H", data, at + 2 * middle)
        if found == wanted:
            return True
        low, high = (middle + 1, high) if found < wanted else (low, middle)
    return False


def _in_runs(data: Buffer, at: int, wanted: int) -> bool:
    """The last run that begins at or before the number, if it reaches it."""
    low, high = 0, int(struct.unpack_from("<H", data, at)[0])
    while low < high:
        middle = (low + high) // 2
        first, more = struct.unpack_from("<HH", data, at + 2 + 4 * middle)
        if first <= wanted <= first + more:
            return True
        low, high = (middle + 1, high) if first < wanted else (low, middle)
    return False


@dataclass(frozen=True)
class OpenArchive:
    """An archive whose header is read. Good inside `opened` only."""

    header: dict[str, Any]
    data: mmap.mmap
    starts: dict[str, int]
    """Part to where it begins."""

    def includes(self, number: int) -> bool:
        return self._asked(INCLUDED, number)

    def reasons(self, number: int) -> list[str]:
        """The codes that leave a member out, in the archive's order; empty when the member is in."""
        return [
            name
            for name in self.starts
            if name != INCLUDED and not name.startswith(COHORT) and self._asked(name, number)
        ]

    def use_from(self, number: int) -> dt.date | None:
        """The oldest content of a member that may be used; None for any."""
        for name in self.starts:
            if name.startswith(COHORT) and self._asked(name, number):
                return dt.date.fromisoformat(name.removeprefix(COHORT))
        return None

    def _asked(self, part: str, number: int) -> bool:
        try:
            return contains(self.data, self.starts[part], number)
        except (struct.error, ValueError, IndexError, KeyError) as error:
            raise ManifestDamaged(f"The part {part} of the archive cannot be read.") from error


@contextmanager
def opened(digest: str) -> Iterator[OpenArchive]:
    """The archive of that digest, to ask about numbers. Raises ManifestDamaged, OSError."""
    with archives.opened(digest) as file:
        try:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError as error:
            raise ManifestDamaged("The archive is empty.") from error
        with data:
            header, starts = _parts(data)
            yield OpenArchive(header, data, starts)


def _parts(data: mmap.mmap) -> tuple[dict[str, Any], dict[str, int]]:
    try:
        if data[: len(MAGIC)] != MAGIC:
            raise ValueError("the first line is not training-manifest/1")
        end = data.find(b"\n", len(MAGIC))
        header = strict_json.read(data[len(MAGIC) : end])
        starts, place = {}, end + 1
        for part in header["parts"]:
            starts[part["name"]] = place
            place += part["bytes"]
        if place != len(data):
            raise ValueError("it does not end with its last part")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ManifestDamaged(f"The archive is damaged: {error}.") from error
    return header, starts
