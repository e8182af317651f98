"""Values of the redaction list: what is taken as one, and which are too weak to be matched alone."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from common.text.words import is_blank, visible
from ledger.errors import InvalidInput
from objections.choices import ValueKind
from objections.models import Requester
from objections.redaction.common_words import COMMON

MIN_LETTERS: Final = 6
"""A name or handle with fewer letters and digits is never matched alone."""
MAX_VALUES: Final = 40
"""Values of one entry."""
MAX_LENGTH: Final = 300
"""Characters of one value."""

_HANDLE = re.compile(r"[\w][\w.\-]{1,59}")


@dataclass(frozen=True, order=True)
class Value:
    """One value, normalised. Its text stays out of `repr`, and so out of logs and error reports."""

    kind: ValueKind
    text: str = field(repr=False)

    @property
    def needs_second(self) -> bool:
        """Whether it counts only beside a second feature of the same entry: it is short, or common."""
        if self.kind in (ValueKind.EMAIL, ValueKind.URL):
            return False
        if sum(map(str.isalnum, self.text)) < MIN_LETTERS:
            return True
        if self.kind == ValueKind.HANDLE:
            return self.text.casefold() in COMMON
        parts = [re.sub(r"\W", "", part) for part in self.text.casefold().split()]
        # An initial tells no two people apart.
        return all(part in COMMON for part in parts if len(part) > 1)


def read(kind: str, text: str, *, where: str = "values") -> Value:
    """A value as it is kept: NFC, trimmed, in the form of its kind. Raises InvalidInput, which names the fault."""
    if kind not in ValueKind.values:
        raise InvalidInput(f"A value is one of: {', '.join(ValueKind.values)}.", field=where)
    text = unicodedata.normalize("NFC", text.strip())
    if is_blank(text):
        raise InvalidInput(
            f"The {ValueKind(kind).label} is empty: write it, or leave the line out.", field=where
        )
    if len(text) > MAX_LENGTH:
        raise InvalidInput(
            f"At most {MAX_LENGTH} characters a value; the {ValueKind(kind).label} has {len(text):,}.",
            field=where,
        )
    if visible(text) != text or any(unicodedata.category(one) == "Cc" for one in text):
        raise InvalidInput(
            f"The {ValueKind(kind).label} has a control character, or one that is not seen: type it anew.",
            field=where,
        )
    return Value(ValueKind(kind), _READERS[ValueKind(kind)](text, where))


def _name(text: str, where: str) -> str:
    if "@" in text or "://" in text:
        raise InvalidInput(
            "A name has no @ and no address in it: choose the value's own kind.", field=where
        )
    if sum(map(str.isalpha, text)) < 2:
        raise InvalidInput("A name has two letters at least.", field=where)
    return " ".join(text.split())


def _handle(text: str, where: str) -> str:
    text = text.removeprefix("@")
    if not _HANDLE.fullmatch(text):
        raise InvalidInput(
            "A handle is 2 to 60 letters, digits, dots, hyphens and underscores, with or without an @ before it.",
            field=where,
        )
    return text


def _email(text: str, where: str) -> str:
    try:
        validate_email(text)
    except ValidationError:
        raise InvalidInput("An e-mail address is written name@example.org.", field=where) from None
    return text.lower()


def _url(text: str, where: str) -> str:
    try:
        parts = urlsplit(text)
        host = parts.hostname
        port = parts.port
    except ValueError:
        host, port = None, None
    if not host or parts.scheme.lower() not in ("http", "https") or any(map(str.isspace, text)):
        raise InvalidInput("A profile address begins with https:// and has no spaces.", field=where)
    if "@" in parts.netloc:
        raise InvalidInput(
            "A profile address has no user or password before its host.", field=where
        )
    if parts.path in ("", "/") and not parts.query:
        raise InvalidInput(
            "That is the address of a whole site: a profile address has a path after the host.",
            field=where,
        )
    netloc = f"{host}:{port}" if port else host
    return urlunsplit((parts.scheme.lower(), netloc, parts.path, parts.query, ""))


_READERS = {
    ValueKind.NAME: _name,
    ValueKind.HANDLE: _handle,
    ValueKind.EMAIL: _email,
    ValueKind.URL: _url,
}


# --- From a ticket --------------------------------------------------------------------------------

_URL_IN_WORDS = re.compile(r"https?://[^\s<>\"']+", re.IGNORECASE)
_EMAIL_IN_WORDS = re.compile(r"[\w.+\-]+@[\w\-]+(?:\.[\w\-]+)+")
_HANDLE_IN_WORDS = re.compile(r"(?<![\w.@/])@([\w][\w.\-]{1,59})")
_ENDS_A_SENTENCE = ".,;:!?)]}"


def said_by(requester: Requester) -> list[Value]:
    """The values that a ticket's requester gave about themselves. What is no value is left out: no objection is lost
    over it.
    """
    named, statement = requester.account_named, requester.statement
    found = [(ValueKind.NAME, requester.name), (ValueKind.EMAIL, requester.email)]
    found += [(ValueKind.URL if "://" in named else ValueKind.HANDLE, named)]
    urls = _URL_IN_WORDS.findall(statement)
    rest = _URL_IN_WORDS.sub(" ", statement)
    emails = _EMAIL_IN_WORDS.findall(rest)
    handles = _HANDLE_IN_WORDS.findall(_EMAIL_IN_WORDS.sub(" ", rest))
    for kind, texts in (
        (ValueKind.URL, urls),
        (ValueKind.EMAIL, emails),
        (ValueKind.HANDLE, handles),
    ):
        found += [(kind, text.rstrip(_ENDS_A_SENTENCE)) for text in texts]
    values = []
    for kind, text in found:
        with suppress(InvalidInput):
            values.append(read(kind, text))
    return each_once(values)[:MAX_VALUES]


def each_once(values: Iterable[Value]) -> list[Value]:
    """The values in the order given, without repetitions that differ by capital letters only."""
    found: dict[tuple[str, str], Value] = {}
    for one in values:
        found.setdefault((one.kind, one.text.casefold()), one)
    return list(found.values())


def counts_of(values: Iterable[Value]) -> dict[str, int]:
    """How many values of each kind there are, by kind."""
    return dict(sorted(Counter(one.kind.value for one in values).items()))


def are_weak(values: Iterable[Value]) -> bool:
    """Whether no value identifies a person alone: with such values only, other people's data would be redacted."""
    return all(one.needs_second for one in values)


# --- In words ---------------------------------------------------------------------------------------

_ONE: Final[dict[str, tuple[str, str]]] = {
    ValueKind.NAME: ("the name", "the names"),
    ValueKind.HANDLE: ("the handle", "the handles"),
    ValueKind.EMAIL: ("the e-mail address", "the e-mail addresses"),
    ValueKind.URL: ("the profile address", "the profile addresses"),
}


def in_words(values: Iterable[Value]) -> str:
    """The values as a letter to their person names them: "the name Ada Lovelace and the handles @ada1815, @lady"."""
    values = list(values)
    parts = []
    for kind, words in _ONE.items():
        texts = [
            f"@{one.text}" if kind == ValueKind.HANDLE else one.text
            for one in values
            if one.kind == kind
        ]
        if texts:
            parts.append(f"{words[len(texts) > 1]} {', '.join(texts)}")
    return _joined(parts)


def kinds_in_words(values: Iterable[Value]) -> str:
    """The same without any value, for a letter that may reach a stranger."""
    counts = counts_of(values)
    return _joined(
        [f"{words[counts[kind] > 1]} you gave us" for kind, words in _ONE.items() if kind in counts]
    )


def _joined(parts: list[str]) -> str:
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last
