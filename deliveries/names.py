"""Names of files, folders, columns and data sets that could be, or have inside, the account of a member."""

import re
from collections.abc import Iterable, Iterator

from consent import members

_LIKE_AN_ACCOUNT = re.compile(r"(?=.*[A-Za-z])(?=.*[0-9]).{4,}")
"""With letters and digits. A number alone could be a member's too, and is a date or a counter in most names."""

_MIN_INSIDE = 8
"""Characters of an account inside of a longer name: a shorter one is in many names by chance, as `c000` in those by Spark."""
_MAX_SEPARATORS = 12
"""A bound of the work that a name of separators makes."""


def accounts_like(name: str) -> Iterator[str]:
    """The parts of a name that look like an account: folders, values of partitions, what stands between separators.

    >>> sorted(accounts_like("clean/author=anna.b1.parquet"))
    ['anna.b1', 'anna.b1.parquet', 'b1.parquet']
    """
    for part in re.split(r"[/=]", name):
        # An account may have separators itself: each of them may begin it or end it.
        places = [one.start() for one in re.finditer(r"[._+:-]", part)][:_MAX_SEPARATORS]
        for start in [0, *(place + 1 for place in places)]:
            for end in [*places, len(part)]:
                like = part[start:end]
                is_whole = start == 0 and part[end : end + 1] in ("", ".")
                if (is_whole or len(like) >= _MIN_INSIDE) and _LIKE_AN_ACCOUNT.fullmatch(like):
                    yield like


def is_any_an_account(names: Iterable[str]) -> bool:
    """Whether a part of any name is the account of a member: neither which nor whose is told."""
    return bool(members.referred({part for name in names for part in accounts_like(name)}))
