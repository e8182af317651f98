"""The subjects of entries: the public references people type, and the pages and entries behind them.

The apps declare them (`common.registry.Brings.subjects`).
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from django.urls import reverse

from common import registry


@dataclass(frozen=True)
class Subject:
    """A kind of thing that entries are about."""

    words: str
    """The kind with an example, as people may type it: `a member (member:12)`."""
    model: str
    """Label of the model whose rows these are, `consent.member`."""
    pattern: re.Pattern[str]
    """A pattern for one complete reference."""
    find: Callable[[str], int | None]
    """From a reference that looks right to the row's key; None when there is no such row."""
    entries: Callable[[int], Iterable[int]]
    """Numbers of the entries that wrote to the row or to rows linked to it, whatever their subject."""
    page: str
    """Name of the page about the row; it takes the row's key."""
    permission: str
    """The permission that opens that page."""


def _subjects() -> list[Subject]:
    return registry.subjects


def find(reference: str) -> tuple[Subject, int] | None:
    """The row a reference names; None when nothing is named like that."""
    for subject in _subjects():
        if subject.pattern.fullmatch(reference):
            key = subject.find(reference)
            return None if key is None else (subject, key)
    return None


def in_words() -> str:
    """The kinds of references there are, each with an example."""
    *first, last = [subject.words for subject in _subjects()] or [""]
    return " or ".join(filter(None, [", ".join(first), last]))


def page_of(reference: str, may: Callable[[str], bool]) -> str:
    """The address of the page about a reference, for who may open it; else empty."""
    found = find(reference) if reference else None
    return _address(*found, may) if found else ""


def page_of_row(model: str, key: object, may: Callable[[str], bool]) -> str:
    """The same for a row of a model."""
    for subject in _subjects():
        if subject.model == model and isinstance(key, int):
            return _address(subject, key, may)
    return ""


def _address(subject: Subject, key: int, may: Callable[[str], bool]) -> str:
    return reverse(subject.page, args=[key]) if may(subject.permission) else ""
