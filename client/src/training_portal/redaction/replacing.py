"""Replacements of items: `[email]`, or with a key `[email:qhzktwbnmxra]`, the same for the same value."""

import hmac
import re
import unicodedata
from hashlib import sha256
from typing import Final

from training_portal.errors import Misuse
from training_portal.redaction.kinds import KINDS

MIN_KEY: Final = 16
"""Bytes of a key."""
LETTERS: Final = 12
"""Letters of a stand-in: two of a million values share one with a chance of 1 in 190,000."""

STAND_IN: Final = re.compile(rf"\[(?:{'|'.join(KINDS)})(?::[a-z]{{{LETTERS}}})?\]")
"""A replacement in a text. It is never part of an item: redacting twice changes nothing."""
_NUMBERS: Final = frozenset({"phone", "iban", "card", "national_id", "mac"})


class Replacing:
    """Writes replacements. With a key, a value has the same one wherever it stands in a run.

    The letters are HMAC-SHA-256 of the value, truncated. A person who has the key can test guesses, so it is made for one run
    and forgotten.
    """

    def __init__(self, key: bytes | None = None) -> None:
        if key is not None and len(key) < MIN_KEY:
            raise Misuse(
                f"The key of the replacements has {len(key)} bytes.",
                f"At least {MIN_KEY} random ones: secrets.token_bytes(32).",
            )
        self._key = key

    def stand_in(self, kind: str, value: str) -> str:
        """The replacement of a value of a kind."""
        if self._key is None:
            return f"[{kind}]"
        digest = hmac.digest(
            self._key, f"{kind}\0{_same(kind, value)}".encode("utf-8", "surrogatepass"), sha256
        )
        number = int.from_bytes(digest[:16])
        letters = []
        for _ in range(LETTERS):
            number, letter = divmod(number, 26)
            letters.append(chr(ord("a") + letter))
        return f"[{kind}:{''.join(letters)}]"


def _same(kind: str, value: str) -> str:
    """The form that two spellings of one value have in common."""
    said = unicodedata.normalize("NFKC", value).casefold()
    if kind in _NUMBERS:
        return "".join(filter(str.isalnum, said))
    return " ".join(said.split())
