"""Parts of a text that are taken already."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

Span = tuple[int, int]
"""First character of a part, and the first one after it."""


class Taken:
    """A set of parts of a text. It is asked once for each match, so it never walks through all of them.

    >>> taken = Taken([(2, 5), (4, 9)])
    >>> taken.holds((3, 8)), taken.touches((8, 12)), taken.touches((9, 12))
    (True, True, False)
    """

    def __init__(self, spans: Iterable[Span] = ()) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        for start, end in sorted(spans):
            if self._ends and start < self._ends[-1]:
                self._ends[-1] = max(end, self._ends[-1])
            else:
                self._starts.append(start)
                self._ends.append(end)

    def and_also(self, spans: Iterable[Span]) -> "Taken":
        """These parts and others."""
        return Taken([*zip(self._starts, self._ends, strict=True), *spans])

    def holds(self, span: Span) -> bool:
        """Whether the whole span is taken."""
        place = bisect_right(self._starts, span[0]) - 1
        return place >= 0 and span[1] <= self._ends[place]

    def touches(self, span: Span) -> bool:
        """Whether any of the span is taken."""
        place = bisect_left(self._starts, span[1]) - 1
        return place >= 0 and span[0] < self._ends[place]


NOTHING = Taken()
