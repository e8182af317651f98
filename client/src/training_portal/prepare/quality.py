"""The match of authors with a delivery: a wrong key column looks like strict privacy.

The list cannot tell an unknown account from an excluded member: neither is in it. So the share of authors that it does not
have is measured against the share of members that the manifest leaves out (docs/explanation/decisions/0046 of the portal).
"""

import math
import re
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from training_portal.errors import Misuse
from training_portal.permission import Permission

TOLERANCE: Final = 0.05
"""The margin by which the share of unmatched authors may be above the share that the delivery leaves out."""
PICK: Final = 1 << 17
"""Up to so many authors are all counted; of more, those with so many of the smallest hashes."""

_WORDS: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/=+:-]{2,199}")


@dataclass(frozen=True)
class Quality:
    """The match of the authors of the inputs with a delivery."""

    authors: int
    """Distinct authors that were looked at; empty ones are none."""
    known: int
    """Those of them that the delivery has."""
    is_sample: bool = False
    """Whether a hash has picked the authors. It picks without knowing the list."""

    @property
    def unknown_per_mille(self) -> int:
        """Of 1,000 distinct authors, how many the delivery does not have, as a receipt says it."""
        return round(1000 * (self.authors - self.known) / self.authors) if self.authors else 0


class Authors:
    """Distinct authors in little memory: the smallest hashes stand for all, as each author has the same chance.

    With 131,072 of them the share is right within 0.5 per cent (three standard errors).
    """

    def __init__(self) -> None:
        self._smallest: npt.NDArray[np.uint64] = np.zeros(0, np.uint64)
        self._limit: np.uint64 | None = None

    def saw(self, hashes: npt.NDArray[np.uint64], known: npt.NDArray[np.bool_]) -> None:
        """Authors of some rows, by a 64-bit hash, and whether the delivery has them. An author may come often."""
        if self._limit is not None:
            small = hashes < self._limit
            hashes, known = hashes[small], known[small]
        # The last bit says whether the delivery has the author.
        marked = (hashes & ~np.uint64(1)) | known.astype(np.uint64)
        self._smallest = _each_once(np.concatenate([self._smallest, marked]))
        if len(self._smallest) > PICK:
            self._smallest = self._smallest[:PICK]
            self._limit = self._smallest[-1] & ~np.uint64(1)

    def quality(self) -> Quality:
        known = int(np.count_nonzero(self._smallest & np.uint64(1)))
        return Quality(len(self._smallest), known, self._limit is not None)


def _each_once(marked: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The values in their order, each once. (`np.unique` makes a table of hashes first, at ten times the cost.)"""
    marked.sort()
    is_new = np.ones(len(marked), np.bool_)
    np.not_equal(marked[1:], marked[:-1], out=is_new[1:])
    return marked[is_new]


def check_words(accept_unknown: str) -> None:
    """Whether the words can stand in a receipt, before any work. Raises Misuse."""
    if accept_unknown and not _WORDS.fullmatch(accept_unknown):
        raise Misuse(
            "The words that accept unknown authors cannot stand in a receipt.",
            "3 to 200 letters, digits and . _ / = + : - such as backfill-with-deleted-accounts.",
            code="unknown_members",
        )


def allowed_share(permission: Permission, authors: int) -> float:
    """The share of authors that may be missing in the delivery: what it leaves out, the tolerance, and chance.

    Chance is three standard errors of a sample of so many authors: of five authors, two more than expected say nothing.
    """
    out = permission.left_out_per_mille / 1000
    chance = 3 * math.sqrt(out * (1 - out) / authors) if authors else 0
    return out + TOLERANCE + chance


def check(quality: Quality, permission: Permission, accept_unknown: str) -> None:
    """Raises Misuse where more authors are unknown than the delivery explains, unless words accept it."""
    if accept_unknown or not quality.authors:
        return
    share = (quality.authors - quality.known) / quality.authors
    out = permission.left_out_per_mille / 1000
    if quality.known and share <= allowed_share(permission, quality.authors):
        return
    raise Misuse(
        f"{share:.1%} of the authors are not in {permission.delivery}, which leaves out {out:.1%} of all members:"
        " the member column may be the wrong one, or spelt otherwise than the product's accounts.",
        "Check the member column. If the share is right, say why: --accept-unknown backfill-with-deleted-accounts.",
        code="unknown_members",
    )
