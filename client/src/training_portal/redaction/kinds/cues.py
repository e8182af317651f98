"""Words beside an item that say what it is: `born`, `Steuer-ID`, `numéro de téléphone`."""

import re
from functools import lru_cache

BLANK = "\u00a0\u2007\u2009\u202f"
"""Blanks, apart from the common one, that are written inside of numbers."""
HYPHEN = "\u2010\u2011\u2012\u2013\u2212"
"""Hyphens, apart from the common one, that are written inside of numbers."""


@lru_cache(maxsize=64)
def _small(text: str) -> str:
    """A text in small letters, as long as before: the patterns of one row ask for it many times."""
    small = text.lower()
    # One capital letter (İ) has a small one of two characters.
    return small if len(small) == len(text) else "".join(one.lower()[0] for one in text)


class Cues:
    """A set of cue words, and how far from an item they count.

    >>> born = Cues("born", "geboren", before=20)
    >>> born.stand_near("She was born on 3 March 1975.", (16, 28))
    True
    """

    def __init__(self, *words: str, before: int = 40, after: int = 0) -> None:
        """
        :param words: regular expressions in small letters, of letters, blanks, `.`, `?`, `[…]` and `(?:…)`.
        :param before: characters before an item in which a cue counts.
        :param after: characters after an item in which a cue counts.
        """
        self.words = "|".join(words)
        self.before = before
        self.after = after
        # Small letters on both sides: a search without regard to case tries each word at each place.
        self.pattern = re.compile(rf"(?<![^\W_])(?:{self.words})(?![^\W\d_])")

    @property
    def opening(self) -> str:
        """The same for RE2, without the end of the word. Letters beyond ASCII bound no word: it finds more, and is small."""
        return rf"(?:^|[^A-Za-z0-9])(?i:{for_re2(self.words)})"

    @property
    def trigger(self) -> str:
        """The same for RE2: a cue as a word of its own."""
        return rf"{self.opening}(?:$|[^A-Za-z])"

    def trigger_beside(self, item: str) -> str:
        """For RE2: a cue, and an item somewhere before or after it."""
        after = f"|(?:{item}).*(?:{self.trigger})" if self.after else ""
        return f"(?s:(?:{self.trigger}).*(?:{item}){after})"

    def stand_near(self, text: str, span: tuple[int, int]) -> bool:
        """Whether a cue stands before or after a span of a text."""
        (start, end), small = span, _small(text)
        if self.pattern.search(small, max(0, start - self.before), start):
            return True
        return bool(self.after and self.pattern.search(small, end, end + self.after))


def for_re2(words: str) -> str:
    """Words for a search of RE2 without regard to case, which takes only `i` for `I`, where Python knows two more."""
    return re.sub("i(?![^[]*])", "[iıİ]", words)
