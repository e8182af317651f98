"""Differences between two texts, line by line and inside a line word by word."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

CONTEXT = 2
"""Unchanged lines shown around a change."""
MAX_COMPARED = 40_000
"""Pairs of words: a comparison takes time with their number, and longer passages are shown as replaced."""
_WORDS = re.compile(r"\S+\s*|\s+")

Mark = Literal["", "added", "removed"]


@dataclass(frozen=True)
class Part:
    """A piece of a line; `is_changed` where the other text differs."""

    text: str
    is_changed: bool = False


@dataclass(frozen=True)
class TextLine:
    """A line of one text or of both. `hidden` is how many unchanged lines stand here that are not shown."""

    mark: Mark
    parts: tuple[Part, ...]
    hidden: int = 0


def differences(old: str, new: str) -> list[TextLine]:
    """The lines that changed with some around them; empty when the texts are equal."""
    before, after = old.splitlines(), new.splitlines()
    if before == after:
        return []
    blocks = SequenceMatcher(None, before, after).get_opcodes()
    return [
        line
        for place, (tag, i, i_end, j, j_end) in enumerate(blocks)
        for line in (
            _around(before[i:i_end], is_first=place == 0, is_last=place == len(blocks) - 1)
            if tag == "equal"
            else _replaced(before[i:i_end], after[j:j_end])
        )
    ]


def _around(lines: Sequence[str], *, is_first: bool, is_last: bool) -> Iterator[TextLine]:
    head = 0 if is_first else CONTEXT
    tail = 0 if is_last else CONTEXT
    hidden = len(lines) - head - tail
    # A line that says "1 line unchanged" is no shorter than that line.
    if hidden < 2:
        yield from map(_same, lines)
        return
    yield from map(_same, lines[:head])
    yield TextLine("", (), hidden)
    yield from map(_same, lines[len(lines) - tail :])


def _same(line: str) -> TextLine:
    return TextLine("", (Part(line),))


def _replaced(before: Sequence[str], after: Sequence[str]) -> Iterator[TextLine]:
    pairs = [
        _compared(_WORDS.findall(old), _WORDS.findall(new))
        for old, new in zip(before, after, strict=False)
    ]
    shared = len(pairs)
    yield from (TextLine("removed", removed) for removed, _ in pairs)
    yield from (TextLine("removed", (Part(line),)) for line in before[shared:])
    yield from (TextLine("added", added) for _, added in pairs)
    yield from (TextLine("added", (Part(line),)) for line in after[shared:])


def _compared(old: list[str], new: list[str]) -> tuple[tuple[Part, ...], tuple[Part, ...]]:
    if len(old) * len(new) > MAX_COMPARED:
        return (Part("".join(old), True),), (Part("".join(new), True),)
    removed, added = [], []
    for tag, i, i_end, j, j_end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        is_changed = tag != "equal"
        removed.append(Part("".join(old[i:i_end]), is_changed))
        added.append(Part("".join(new[j:j_end]), is_changed))
    return tuple(filter(_says, removed)), tuple(filter(_says, added))


def _says(part: Part) -> bool:
    return part.text != ""
