"""Heirs: the accounts that refuse what another account refused, because the product merged or split the two.

A merge passes on whatever was refused, also later; a split what was refused up to then. A *yes* is never passed on.
"""

import datetime as dt
from collections.abc import Collection

from consent.choices import AccountChangeKind
from consent.models import AccountChange

Edge = tuple[int, int, str, dt.datetime]


def heirs_of(number: int, at: dt.datetime) -> list[int]:
    """The accounts that refuse what the account refused at that time, through any number of changes."""
    found: list[int] = []
    seen, asked = {number}, {number}
    while asked:
        edges = AccountChange.objects.filter(member__in=asked).order_by("pk")
        asked = set()
        for heir, kind, held_at in edges.values_list("heir_id", "kind", "held_at"):
            if heir not in seen and (kind == AccountChangeKind.MERGED or at <= held_at):
                seen.add(heir)
                asked.add(heir)
                found.append(heir)
    return found


def with_heirs(numbers: Collection[int]) -> set[int]:
    """Those of the accounts that have heirs: one question, however many they are."""
    found = AccountChange.objects.filter(member__in=numbers).order_by()
    return set(found.values_list("member_id", flat=True))


def with_predecessors(number: int) -> list[int]:
    """The account, and those whose refusals come to it by any number of changes."""
    seen, asked = [number], {number}
    while asked:
        edges = AccountChange.objects.filter(heir__in=asked).order_by("pk")
        asked = set(edges.values_list("member_id", flat=True)) - set(seen)
        seen += sorted(asked)
    return seen


def merges_of(numbers: Collection[int]) -> list[tuple[int, int]]:
    """The merges that an account of these went into or received: pairs of the one that went and the one that stays."""
    merges = AccountChange.objects.filter(kind=AccountChangeKind.MERGED).order_by("pk")
    pairs = list(merges.values_list("member_id", "heir_id"))
    return [pair for pair in pairs if pair[0] in numbers or pair[1] in numbers]
