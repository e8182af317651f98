"""Hold requirements*.txt against requirements*.lock: `python -m tools.locks` (in `make check`), without a network.

People read and edit the requirements, installations take the locks. A lock that was not written anew after an edit would
install something else than what was reviewed.
"""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
CHAINS = (
    ("requirements", "requirements-dev"),
    ("client/requirements-test",),
    ("tools/integrations/requirements",),
)
"""Each name has a `.txt` and a `.lock`; in a chain a later one includes the earlier ones."""

_LOCATION = re.compile(r"://|\bfile:|(^|\s)/|^\s*--(?!hash=)")
"""An address, a path of a machine or an option that names one: which index serves a package is the machine's business."""
_COMMENT = re.compile(r"(^|\s)#.*")
_HASH = re.compile(r"\s*--hash=sha256:[0-9a-f]{64}\b")


@dataclass(frozen=True)
class Pin:
    """One package in one version, as a file states it."""

    name: str
    version: str
    has_reason: bool
    has_hash: bool
    asked_by: frozenset[str]
    """The requirement files that ask for it directly, as a lock notes it."""


def problems(directory: Path) -> list[str]:
    """Problems of a project's requirements and locks, as sentences; empty when they agree. Raises OSError."""
    return [one for chain in CHAINS for one in _problems_of(directory, chain)]


def _problems_of(directory: Path, chain: tuple[str, ...]) -> list[str]:
    found: list[str] = []
    asked_earlier: dict[str, Pin] = {}
    locked_earlier: dict[str, Pin] = {}
    for name in chain:
        requirements, lock = f"{name}.txt", f"{name}.lock"
        asked, no_pins = read((directory / requirements).read_text(), requirements)
        locked, no_locked_pins = read((directory / lock).read_text(), lock)
        found += no_pins + no_locked_pins
        found += [
            f"{requirements}: {one.name} has no reason beside it."
            for one in asked.values()
            if not one.has_reason
        ]
        found += [f"{lock}: {one.name} has no hash." for one in locked.values() if not one.has_hash]
        found += _differences(asked_earlier | asked, locked, requirements, lock)
        found += _differences(locked_earlier, locked, "the other lock", lock)
        found += [
            f"{lock}: {one.name} is pinned for {requirements}, which does not ask for it."
            for one in locked.values()
            if requirements in one.asked_by and one.name not in asked
        ]
        asked_earlier |= asked
        locked_earlier |= locked
    return found


def _differences(
    asked: dict[str, Pin], locked: dict[str, Pin], asking: str, lock: str
) -> Iterator[str]:
    for one in asked.values():
        if one.name not in locked:
            yield f"{lock}: {one.name} is missing; {asking} has it."
        elif (version := locked[one.name].version) != one.version:
            yield f"{lock}: {one.name} is pinned to {version}; {asking} says {one.version}."


def read(text: str, name: str) -> tuple[dict[str, Pin], list[str]]:
    """The pins of a requirement file or a lock by package, and a sentence for each line that is no pin."""
    pins: dict[str, Pin] = {}
    problems = [
        f"{name}: line {number} names a place: {line.strip()}"
        for number, line in enumerate(text.splitlines(), 1)
        if _LOCATION.search(line)
    ]
    # An entry begins at the margin and goes on in indented lines.
    for entry in re.split(r"\n(?=\S)", text):
        first = entry.partition("\n")[0]
        if not first or first.startswith(("#", "-r ", "--")):
            continue
        code = re.sub(r"\\?\n", "\n", _without_comments(entry))
        try:
            requirement = Requirement(_HASH.sub("", code).strip())
        except InvalidRequirement:
            problems.append(f"{name}: this is no requirement: {first}")
            continue
        version = re.fullmatch(r"==([^*,]+)", str(requirement.specifier))
        if version is None:
            problems.append(f"{name}: {requirement.name} is not pinned to one version.")
            continue
        package = canonicalize_name(requirement.name)
        pins[package] = Pin(
            package,
            version[1],
            has_reason=bool(_COMMENT.search(first)),
            has_hash=bool(_HASH.search(code)),
            asked_by=frozenset(re.findall(r"-r (\S*requirements\S*\.txt)", entry)),
        )
    return pins, problems


def _without_comments(entry: str) -> str:
    return "\n".join(_COMMENT.sub("", line) for line in entry.splitlines())


def main() -> int:
    found = problems(ROOT)
    if found:
        print("\n".join(found) + "\nmake lock writes the locks anew.")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
