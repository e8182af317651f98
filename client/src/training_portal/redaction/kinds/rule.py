"""A rule: a trigger over a column, a pattern over a row, and a validator that decides."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from training_portal.redaction.spans import NOTHING, Span, Taken

FIVE_DIGITS: Final = r"[0-9](?:[^0-9A-Za-z]{0,3}[0-9]){4}"
"""The glance of numbers: five digits, with at most three other signs between two."""

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
    """The shape of a candidate. It is bounded in length, so its price grows with the text and no faster."""
    validator: Validator
    glance: str = ""
    """A trigger that is cheaper and finds more, where the rule has one: all glances are asked in one pass of every text.

    As one expression, they must not be too large for the automaton of RE2: beyond some states, it is 200 times slower.
    """

    def find(self, text: str, taken: Taken = NOTHING) -> Iterator[Span]:
        """The spans of the items in a text, in their order.

        After a match that is no item, the search goes on one character further: an item may begin inside of it. A match
        inside of a span that is taken is not asked about: it would add nothing.
        """
        start = 0
        while match := self.pattern.search(text, start):
            first, last = match.span()
            if taken.holds((first, last)):
                start = last
                continue
            span = self.validator(match)
            if span is None:
                start = first + 1
            else:
                yield span
                start = max(span[1], first + 1)


def whole(match: re.Match[str]) -> Span | None:
    """The validator of patterns that decide alone."""
    return match.span()


def group(number: int) -> Validator:
    """The validator of patterns that decide alone, and whose item is one of their groups."""
    return lambda match: match.span(number)
