"""Bank accounts and payment cards: check digits decide, and for cards the ranges of the brands.

A card number of 13 digits looks like the number of an article (EAN-13), of which one in ten passes the check: it is no item.
"""

import re

from stdnum import iban, luhn

from training_portal.redaction.kinds.cues import BLANK, HYPHEN
from training_portal.redaction.kinds.rule import Rule, Span

_GAP = rf"[ \-{BLANK}{HYPHEN}]"
_MIN_IBAN = 15  # Norway
_MAESTRO = frozenset({12, *range(14, 20)})
_BRANDS: tuple[tuple[int, int, int, frozenset[int]], ...] = (
    # digits of the prefix, first and last prefix, lengths (ISO/IEC 7812; the brands' published ranges)
    (1, 4, 4, frozenset({16, 19})),  # Visa
    (2, 51, 55, frozenset({16})),  # Mastercard
    (4, 2221, 2720, frozenset({16})),  # Mastercard
    (2, 34, 34, frozenset({15})),  # American Express
    (2, 37, 37, frozenset({15})),
    (4, 6011, 6011, frozenset({16, 19})),  # Discover
    (3, 644, 649, frozenset({16, 19})),
    (2, 65, 65, frozenset({16, 19})),
    (6, 622126, 622925, frozenset({16, 19})),
    (2, 62, 62, frozenset({16, 17, 18, 19})),  # UnionPay
    (3, 300, 305, frozenset({14, 16})),  # Diners Club
    (2, 36, 36, frozenset({14, 16})),
    (2, 38, 39, frozenset({14, 16})),
    (4, 2131, 2131, frozenset({15})),  # JCB, before 1989
    (4, 1800, 1800, frozenset({15})),
    (2, 35, 35, frozenset({16, 19})),  # JCB
    (4, 5018, 5018, _MAESTRO),  # Maestro
    (4, 5020, 5020, _MAESTRO),
    (4, 5038, 5038, _MAESTRO),
    (2, 56, 58, _MAESTRO),
    (4, 6304, 6304, _MAESTRO),
    (4, 6390, 6390, _MAESTRO),
    (4, 6759, 6759, _MAESTRO),
    (4, 6761, 6763, _MAESTRO),
    (4, 604, 604, _MAESTRO),
)


def _iban(match: re.Match[str]) -> Span | None:
    """The longest beginning of the match whose check digits hold: the pattern takes the next word too."""
    text = match[0]
    for end in range(len(text), _MIN_IBAN - 1, -1):
        part = text[:end]
        if end < len(text) and text[end].isalnum() and part[-1].isalnum() and text[end - 1] != " ":
            # Inside of a word: only its end may end the number.
            continue
        compact = re.sub(_GAP, "", part).upper()
        if len(compact) >= _MIN_IBAN and iban.is_valid(compact, check_country=False):
            return match.start(), match.start() + len(part.rstrip())
    return None


def is_card(digits: str) -> bool:
    """Whether digits have a brand's prefix and length, and pass the check of Luhn.

    >>> is_card("4111111111111111"), is_card("4111111111111112")
    (True, False)
    """
    brand = any(
        first <= int(digits[:size]) <= last and len(digits) in lengths
        for size, first, last, lengths in _BRANDS
    )
    return brand and luhn.is_valid(digits)


def _card(match: re.Match[str]) -> Span | None:
    text = match[0]
    for end in range(len(text), 11, -1):
        if end < len(text) and text[end].isdigit():
            continue
        digits = re.sub(r"[^0-9]", "", text[:end])
        if len(digits) >= 12 and is_card(digits) and len(set(digits)) > 1:
            return match.start(), match.start() + len(text[:end].rstrip(" -"))
    return None


RULES = (
    Rule(
        kind="iban",
        name="iban",
        trigger=rf"[A-Za-z]{{2}}{_GAP}?[0-9]{{2}}{_GAP}?[A-Za-z0-9]{{2}}",
        pattern=re.compile(
            rf"(?<![A-Za-z0-9])[A-Za-z]{{2}}{_GAP}?[0-9]{{2}}(?:{_GAP}?[A-Za-z0-9]){{11,30}}(?![A-Za-z0-9])"
        ),
        validator=_iban,
    ),
    Rule(
        kind="card",
        name="card",
        trigger=rf"[0-9](?:{_GAP}{{0,2}}[0-9]){{11}}",
        pattern=re.compile(
            rf"(?<![A-Za-z0-9_])(?<![0-9][.,])[0-9](?:{_GAP}{{0,2}}[0-9]){{11,18}}(?![A-Za-z0-9_])"
        ),
        validator=_card,
    ),
)
