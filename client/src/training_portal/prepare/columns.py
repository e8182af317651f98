"""Columns of the raw data: the member column, the content date, the data categories, and the columns of text.

    name = "posts"
    version = "1"
    member_column = "author"
    content_date = "created_at"
    text = ["title", "body"]
    verbatim = ["language"]

    [categories]
    posts = ["title", "body"]
    language-preference = ["language"]

A column that no category names is dropped.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Any, Final

from training_portal import toml
from training_portal.errors import Misuse
from training_portal.prepare.types import (
    RESERVED,
    check_days,
    is_plain,
    is_text_column,
    may_hold_text,
    member_type,
    plain_type,
)

_NEEDED: Final = frozenset({"name", "version", "member_column", "categories"})
_FIELDS: Final = _NEEDED | {"content_date", "content_date_is_utc", "text", "verbatim"}
_WORD: Final = re.compile(r"[a-z][a-z0-9-]{0,49}")


@dataclass(frozen=True)
class Columns:
    """The columns of the raw data. Raises Misuse where the parts contradict one another."""

    member_column: str
    """Accounts as strings, or member numbers as integers: whose rows they are."""
    categories: Mapping[str, tuple[str, ...]]
    """The columns of each data category, in the portal's words. A column in none of them is dropped."""
    text: tuple[str, ...] = ()
    """The columns that are redacted."""
    verbatim: tuple[str, ...] = ()
    """Columns that may hold text and stay as they are: codes, languages, addresses of pictures."""
    content_date: str | None = None
    """The column that says how old a row's content is: a date, or a timestamp, whose day in UTC counts."""
    content_date_is_utc: bool = False
    """Whether timestamps without a zone are in UTC; they are refused otherwise."""
    name: str = "columns"
    version: str = "1"
    mapped: tuple[str, ...] = field(init=False)
    """Every column that a category names, in the order given."""

    def __post_init__(self) -> None:
        mapped = tuple(chain.from_iterable(self.categories.values()))
        object.__setattr__(self, "mapped", mapped)
        for word in self.categories:
            if not _WORD.fullmatch(word):
                raise _fault(f"{word!r} is no data category", "A category is a word such as posts.")
        if not mapped:
            raise _fault("no column has a data category", "Name the columns to keep by category.")
        if len(set(mapped)) < len(mapped):
            raise _fault("a column has two data categories", "Give each column one.")
        if strange := [one for one in (self.member_column, *mapped) if not is_plain(one)]:
            raise _fault(
                f"{len(strange)} names of columns cannot stand in a receipt",
                "Rename them: letters, digits and . _ / = + : - only.",
            )
        if unknown := sorted({*self.text, *self.verbatim} - set(mapped)):
            raise _fault(
                f"{', '.join(unknown)} is text, and has no data category", "Give it its category."
            )
        if both := sorted(set(self.text) & set(self.verbatim)):
            raise _fault(f"{', '.join(both)} is redacted and verbatim", "Decide for one of them.")
        if taken := sorted({one.casefold() for one in mapped} & set(RESERVED)):
            raise _fault(
                f"{', '.join(taken)} is a name that preparation uses itself",
                "Leave member_number out of the categories: a data set always has it. Rename other columns.",
            )
        if self.member_column in mapped:
            raise _fault(
                f"{self.member_column} says whose rows they are, and has a data category",
                "Leave it out of the categories: a data set has member numbers in its place.",
            )

    @classmethod
    def load(cls, path: Path) -> "Columns":
        """The columns in a TOML file. Raises Misuse."""
        try:
            return cls.read(path.read_bytes())
        except OSError as error:
            raise _fault(f"{path} cannot be read ({error.strerror})", "Give its path.") from None

    @classmethod
    def read(cls, data: bytes) -> "Columns":
        """The columns in the bytes of a TOML file. Raises Misuse, which names the fault."""
        said = toml.read(data, _fault)
        if wrong := sorted((said.keys() - _FIELDS) | (_NEEDED - said.keys())):
            raise _fault(
                f"fields that are unknown or missing: {', '.join(wrong)}",
                f"Needed: {', '.join(sorted(_NEEDED))}; allowed: {', '.join(sorted(_FIELDS))}.",
            )
        if not isinstance(said["categories"], dict):
            raise _fault("`categories` is no table", "Write [categories], then posts = [...].")
        is_utc = said.get("content_date_is_utc", False)
        if type(is_utc) is not bool:
            raise _fault("`content_date_is_utc` is neither true nor false", "Write one of them.")
        date = said.get("content_date")
        return cls(
            member_column=_text(said["member_column"], "member_column"),
            categories={
                word: _texts(names, f"categories.{word}")
                for word, names in said["categories"].items()
            },
            text=_texts(said.get("text", []), "text"),
            verbatim=_texts(said.get("verbatim", []), "verbatim"),
            content_date=None if date is None else _text(date, "content_date"),
            content_date_is_utc=is_utc,
            name=_text(said["name"], "name"),
            version=_text(said["version"], "version"),
        )

    @property
    def digest(self) -> str:
        """SHA-256 of what the columns are; equal for equal columns, whatever the file looks like."""
        return sha256(
            repr(
                (
                    self.member_column,
                    [(word, names) for word, names in self.categories.items()],
                    self.text,
                    self.verbatim,
                    self.content_date,
                    self.content_date_is_utc,
                )
            ).encode()
        ).hexdigest()

    def kept(self, allowed: Sequence[str]) -> "Columns":
        """Only the columns of data categories that a run declares. Raises Misuse where none is left."""
        categories = {word: names for word, names in self.categories.items() if word in allowed}
        names = set(chain.from_iterable(categories.values()))
        if not names:
            raise _fault(
                f"the run uses {', '.join(allowed)}, and no column has one of these categories",
                "Map the columns to keep, or register a run that uses their category.",
            )
        return Columns(
            self.member_column,
            categories,
            tuple(one for one in self.text if one in names),
            tuple(one for one in self.verbatim if one in names),
            self.content_date,
            self.content_date_is_utc,
            self.name,
            self.version,
        )

    def check(self, schema: Any, where: str) -> None:
        """Whether data of that Arrow schema can be prepared. Raises Misuse for a missing column or a type.

        `where` names the data in the sentence.
        """
        names = list(schema.names)
        wanted = [self.member_column, *self.mapped]
        if self.content_date is not None:
            wanted.append(self.content_date)
        for name in dict.fromkeys(wanted):
            if names.count(name) != 1:
                there = ", ".join(one for one in names[:20] if is_plain(one))
                raise Misuse(
                    f"{where} has {'no column' if name not in names else 'two columns'} {name}.",
                    f"It has: {there}.",
                    code="column",
                )
        # Engines that do not tell names apart by their case would take the wrong one.
        folded = [one.casefold() for one in names]
        for name in dict.fromkeys(wanted):
            if folded.count(name.casefold()) > 1:
                raise Misuse(
                    f"{where} has two columns {name} that differ in case only.",
                    "Rename one of them.",
                    code="column",
                )
        member_type(schema.field(self.member_column).type, self.member_column)
        if self.content_date is not None:
            kind = schema.field(self.content_date).type
            check_days(kind, self.content_date, is_utc=self.content_date_is_utc)
        self._check_text(schema, where)

    def _check_text(self, schema: Any, where: str) -> None:
        for name in self.mapped:
            kind = schema.field(name).type
            if name in self.text and not is_text_column(kind):
                raise Misuse(
                    f"{name} in {where} has the type {plain_type(kind)}, which is no text to redact.",
                    "Redacted columns are strings.",
                    code="column",
                )
            if name not in self.text and name not in self.verbatim and may_hold_text(kind):
                raise Misuse(
                    f"{name} in {where} may hold text, and the columns do not say what happens to it.",
                    "Name it under `text` to redact it, or under `verbatim` to keep it as it is.",
                    code="column",
                )


def _text(said: Any, name: str) -> str:
    if not isinstance(said, str) or not said:
        raise _fault(f"`{name}` is no text", "Give it as text in quotes.")
    return said


def _texts(said: Any, name: str) -> tuple[str, ...]:
    if not isinstance(said, list) or not all(isinstance(one, str) and one for one in said):
        raise _fault(f"`{name}` is no list of names", 'Write ["title", "body"].')
    return tuple(said)


def _fault(problem: str, remedy: str) -> Misuse:
    return Misuse(f"The columns cannot be used: {problem}.", remedy, code="columns")
