"""What a rule is: a trigger over a column, a pattern over a row, and a validator that decides."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

Span = tuple[int, int]
"""First character of an item in a text, and the first one after it."""
Validator = Callable[[re.Match[str]], Span | None]
"""Decides on a match: the span of the item, which may be a part of the match, or None where it is no item."""

KINDS: Final = (
    "secret", "email", "url", "iban", "national_id", "card", "mac", "ip", "birth_date", "phone", "handle", "name",
    "address", "other",
)  # fmt: skip
"""The kinds of items, as a receipt names them. Where items overlap, the earlier kind gives the name."""


@dataclass(frozen=True)
class Rule:
    """One way in which one kind of item is written."""

    kind: str
    name: str
    """For readers and for tests: `phone.international`."""
    trigger: str
    """A regular expression of RE2, which Arrow asks of a whole column. It finds every text that the pattern finds."""
    pattern: re.Pattern[str]
    """What a candidate looks like. It is bounded in length, so its price grows with the text and no faster."""
    validator: Validator

    def find(self, text: str) -> Iterator[Span]:
        """The spans of the items in a text, in their order.

        After a match that is no item, the search goes on one character further: an item may begin inside of it.
        """
        start = 0
        while match := self.pattern.search(text, start):
            span = self.validator(match)
            if span is None:
                start = match.start() + 1
            else:
                yield span
                start = max(span[1], match.start() + 1)


def whole(match: re.Match[str]) -> Span:
    """The validator of patterns that decide alone."""
    return match.span()


def group(number: int) -> Validator:
    """The validator of patterns that decide alone, and whose item is one of their groups."""
    return lambda match: match.span(number)
