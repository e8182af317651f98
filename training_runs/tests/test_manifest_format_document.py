"""Is docs/reference/manifest-format.md enough? A reader made from that page alone, with nothing but the standard library.

`read` and `written` import nothing of the portal and no Roaring library; the page is what they know.
"""

import json
import struct
from hashlib import sha256
from pathlib import Path

import pytest
from django.conf import settings
from pyroaring import BitMap

from consent.choices import Purpose
from tools import factories
from training_runs.eligibility.exclusions import EXCLUSIONS, NOT_IN_PARENT
from training_runs.manifests import archives, manifest_file
from training_runs.manifests.container import portable

PAGE = (Path(settings.BASE_DIR) / "docs/reference/manifest-format.md").read_text()
CODES = [exclusion.code for exclusion in [*EXCLUSIONS, NOT_IN_PARENT]]

# --- A reader -----------------------------------------------------------------------------------


def read(archive: bytes) -> tuple[dict, dict[str, set[int]]]:
    """The header and the sets, everything checked that the page says can be."""
    magic, line, rest = archive.split(b"\n", 2)
    assert magic == b"training-manifest/1"
    header = json.loads(line)
    again = json.dumps(header, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    assert again.encode() == line
    sets, offset = {}, 0
    for part in header["parts"]:
        data = rest[offset : offset + part["bytes"]]
        assert sha256(data).hexdigest() == part["sha256"]
        sets[part["name"]] = numbers_of(data)
        assert len(sets[part["name"]]) == part["members"]
        offset += part["bytes"]
    assert offset == len(rest)
    out = set().union(*(numbers for name, numbers in sets.items() if name != "included"))
    assert not sets["included"] & out
    assert sets["included"] | out == set(range(1, header["population"] + 1))
    return header, sets


def numbers_of(part: bytes) -> set[int]:
    """The numbers of a part in the Roaring portable format."""
    (cookie,) = struct.unpack_from("<H", part)
    if cookie == 12347:
        count = struct.unpack_from("<H", part, 2)[0] + 1
        flags = part[4 : 4 + (count + 7) // 8]
        is_run = [bool(flags[i // 8] >> i % 8 & 1) for i in range(count)]
        at = 4 + len(flags)
    else:
        cookie, count = struct.unpack_from("<II", part)
        assert cookie == 12346
        is_run = [False] * count
        at = 8
    described = [struct.unpack_from("<HH", part, at + 4 * i) for i in range(count)]
    at += 4 * count
    if cookie == 12346 or count >= 4:
        begins = struct.unpack_from(f"<{count}I", part, at)
        at += 4 * count
        assert not begins or begins[0] == at
    found: set[int] = set()
    for (key, less_one), run in zip(described, is_run, strict=True):
        lower, at = container(part, at, less_one + 1, run)
        assert len(lower) == less_one + 1
        found.update(key << 16 | number for number in lower)
    assert at == len(part)
    return found


def container(part: bytes, at: int, count: int, is_run: bool) -> tuple[list[int], int]:
    """The lower 16 bits of a container's numbers, and where the next one begins."""
    if is_run:
        (runs,) = struct.unpack_from("<H", part, at)
        pairs = [struct.unpack_from("<HH", part, at + 2 + 4 * i) for i in range(runs)]
        return [first + i for first, more in pairs for i in range(more + 1)], at + 2 + 4 * runs
    if count <= 4096:
        return list(struct.unpack_from(f"<{count}H", part, at)), at + 2 * count
    bits = part[at : at + 8192]
    return [x for x in range(65_536) if bits[x // 8] >> x % 8 & 1], at + 8192


def written(numbers: set[int]) -> bytes:
    """A part as the page says an archive writes it: one way for each set."""
    groups: dict[int, list[int]] = {}
    for number in sorted(numbers):
        groups.setdefault(number >> 16, []).append(number & 0xFFFF)
    containers, is_run = [], []
    for lower in groups.values():
        runs: list[list[int]] = []
        for number in lower:
            if runs and sum(runs[-1]) + 1 == number:
                runs[-1][1] += 1
            else:
                runs.append([number, 0])
        is_run.append(2 + 4 * len(runs) < min(2 * len(lower), 8192))
        if is_run[-1]:
            pairs = b"".join(struct.pack("<HH", *run) for run in runs)
            containers.append(struct.pack("<H", len(runs)) + pairs)
        elif len(lower) <= 4096:
            containers.append(struct.pack(f"<{len(lower)}H", *lower))
        else:
            containers.append(sum(1 << number for number in lower).to_bytes(8192, "little"))
    count = len(groups)
    if any(is_run):
        flags = sum(1 << i for i, run in enumerate(is_run) if run)
        part = struct.pack("<HH", 12347, count - 1) + flags.to_bytes((count + 7) // 8, "little")
    else:
        part = struct.pack("<II", 12346, count)
    part += b"".join(struct.pack("<HH", key, len(lower) - 1) for key, lower in groups.items())
    if not any(is_run) or count >= 4:
        at = len(part) + 4 * count
        for data in containers:
            part += struct.pack("<I", at)
            at += len(data)
    return part + b"".join(containers)


# --- Tests --------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_frozen_archive_is_read_by_what_the_page_says(officer, second_officer, engineer, product):
    factories.open_world(officer, second_officer)
    factories.add_members(300)
    factories.add_members(100, country="", prefix="nowhere")
    for number in range(0, 300, 3):
        factories.decide(f"acc-{number}", "deny", actor=product)
    parent = factories.freeze(engineer)
    factories.add_members(50, prefix="late")
    manifest = factories.freeze(engineer, parent=parent.run)

    archive = archives.load(manifest.digest)
    header, sets = read(archive)

    assert sha256(archive).hexdigest() == manifest.digest
    expected = manifest_file.parse(archive)
    assert sets == {
        "included": set(expected.included),
        **{code: set(members) for code, members in expected.excluded.items()},
    }
    assert list(sets) == ["included", *CODES]
    assert sets["included"] <= read(archives.load(parent.digest))[1]["included"]
    assert header["parent"] == {"run": parent.run.reference, "manifest": parent.digest}
    assert header["purpose"] == Purpose.GENERATIVE_AI


@pytest.mark.django_db(transaction=True)
def test_the_page_names_every_field_and_every_exclusion(officer, second_officer, engineer):
    factories.open_world(officer, second_officer)
    factories.add_member("acc")

    header, _ = read(archives.load(factories.freeze(engineer).digest))

    named = {*header, *header["parts"][0], *CODES}
    assert {name for name in named if f"| `{name}` |" not in PAGE} == set()


SETS = {
    "no member": set(),
    "one": {7},
    "three in a row": {1, 2, 3},
    "four in a row": {1, 2, 3, 4},
    "two runs as long as the array": {1, 2, 3, 5, 6},
    "everybody": set(range(1, 300_001)),
    "every second": set(range(0, 400_000, 2)),
    "a full array": set(range(0, 8_192, 2)),
    "one more than an array holds": set(range(0, 8_194, 2)),
    "most runs in fewer bytes than a bitmap": {i * 31 + j for i in range(2_047) for j in range(20)},
    "as many runs as make a bitmap shorter": {i * 31 + j for i in range(2_048) for j in range(20)},
    "three containers, one of them runs": {*range(100), *range(70_000, 70_002), 140_000},
    "four containers, one of them runs": {*range(100), 70_000, 140_000, 200_000},
    "the highest numbers": {2**31 - 1, 2**32 - 1},
}


@pytest.mark.parametrize("numbers", SETS.values(), ids=SETS.keys())
def test_the_page_says_which_bytes_a_set_has(numbers):
    stored = portable(BitMap(sorted(numbers)))

    assert written(numbers) == stored
    assert numbers_of(stored) == numbers
