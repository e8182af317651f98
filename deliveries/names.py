"""Names of files, folders and data sets that could be the account of a member."""

import re
from collections.abc import Iterable, Iterator

from consent import members

_LIKE_AN_ACCOUNT = re.compile(r"(?=.*[A-Za-z])(?=.*[0-9]).{4,}")
"""With letters and digits. A number alone could be a member's too, and is a date or a counter in most names."""

_MAX_DOTS = 10
"""A bound of the work that a name of dots makes."""


def accounts_like(name: str) -> Iterator[str]:
    """The parts of a name that look like an account: folders, values of partitions, files without their suffixes.

    >>> sorted(accounts_like("clean/author=anna.b1.parquet"))
    ['anna.b1', 'anna.b1.parquet']
    """
    for part in re.split(r"[/=]", name):
        # An account may have dots itself: each of them may begin the suffixes.
        ends = [dot.start() for dot in re.finditer(r"\.", part)][:_MAX_DOTS]
        yield from filter(_LIKE_AN_ACCOUNT.fullmatch, [part, *(part[:end] for end in ends)])


def is_any_an_account(names: Iterable[str]) -> bool:
    """Whether a part of any name is the account of a member: neither which nor whose is told."""
    return bool(members.referred({part for name in names for part in accounts_like(name)}))
