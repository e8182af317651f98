"""Words beside an item that say what it is: `born`, `Steuer-ID`, `numéro de téléphone`."""

import re
from dataclasses import dataclass, field

BLANK = "\u00a0\u2007\u2009\u202f"
"""Blanks, apart from the common one, that are written inside of numbers."""
HYPHEN = "\u2010\u2011\u2012\u2013\u2212"
"""Hyphens, apart from the common one, that are written inside of numbers."""


@dataclass(frozen=True)
class Cues:
    """A set of cue words, and how far from an item they count.

    >>> born = Cues("born", "geboren", before=20)
    >>> text = "She was born on 3 March 1975."
    >>> born.stand_near(text, (16, 28))
    True
    """

    words: tuple[str, ...]
    before: int
    """Characters before an item in which a cue counts."""
    after: int
    """Characters after an item in which a cue counts."""
    pattern: re.Pattern[str] = field(repr=False)

    def __init__(self, *words: str, before: int = 40, after: int = 0) -> None:
        """Words are regular expressions of letters, `.`, `?`, `[…]` and `(?:…)`; letters count in both cases."""
        alternatives = "|".join(words)
        object.__setattr__(self, "words", words)
        object.__setattr__(self, "before", before)
        object.__setattr__(self, "after", after)
        pattern = re.compile(rf"(?<![^\W_])(?:{alternatives})(?![^\W\d_])", re.IGNORECASE)
        object.__setattr__(self, "pattern", pattern)

    @property
    def trigger(self) -> str:
        """The same for RE2, without the bounds of words."""
        # Python takes dotless i for i where case does not count, RE2 does not.
        alternatives = "|".join(self.words)
        return f"(?i:{re.sub('i(?![^[]*])', '[iıİ]', alternatives)})"

    def stand_near(self, text: str, span: tuple[int, int]) -> bool:
        """Whether a cue stands before or after a span of a text."""
        start, end = span
        # One character more shows whether a word begins or ends at the edge.
        first, last = max(0, start - self.before), end + self.after
        if self.pattern.search(text, first, start):
            return True
        return bool(self.after and self.pattern.search(text, end, last))
