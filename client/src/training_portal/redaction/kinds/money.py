"""Bank accounts and payment cards: check digits decide, and for cards the ranges of the brands.

A card number of 13 digits looks like the number of an article (EAN-13), of which one in ten passes the check: it is no item.
"""

import re

from stdnum import luhn
from stdnum.iso7064 import mod_97_10

from training_portal.redaction.kinds.cues import BLANK, HYPHEN
from training_portal.redaction.kinds.rule import FIVE_DIGITS, Rule
from training_portal.redaction.spans import Span

_GAP = rf"[ \-{BLANK}{HYPHEN}]"
_BODY = rf"[A-Za-z0-9 \-{BLANK}{HYPHEN}]"
_LENGTHS = {
    country: length
    for length, countries in {
        15: "NO", 16: "BE", 18: "DK FI FK FO GL NL SD", 19: "MK SI", 20: "AT BA EE KZ LT LU MN XK", 21: "CH HR LI LV",
        22: "BG BH CR DE GB GE IE ME RS VA", 23: "AE GI IL IQ OM SO TL", 24: "AD CZ ES MD PK RO SA SE SK TN VG", 25: "LY PT ST", 26: "IS TR",
        27: "BI DJ FR GR IT MC MR SM", 28: "AL AZ BY CY DO GT HU LB NI PL SV", 29: "BR EG PS QA UA", 30: "JO KW MU YE", 31: "MT SC", 32: "LC", 33: "RU",
    }.items()
    for country in countries.split()
}  # fmt: skip
"""Characters of an IBAN, by country (ISO 13616, the registry of SWIFT)."""
_BRANDS = re.compile(
    # ISO/IEC 7812, and the ranges that the brands publish.
    r"4(?:[0-9]{15}|[0-9]{18})"  # Visa
    r"|5[1-5][0-9]{14}|2(?:22[1-9]|2[3-9][0-9]|[3-6][0-9]{2}|7[01][0-9]|720)[0-9]{12}"  # Mastercard
    r"|3[47][0-9]{13}"  # American Express
    r"|(?:6011|64[4-9][0-9]|65[0-9]{2})(?:[0-9]{12}|[0-9]{15})|62[0-9]{14,17}"  # Discover, UnionPay
    r"|3(?:0[0-5]|[689][0-9])(?:[0-9]{11}|[0-9]{13})"  # Diners Club
    r"|(?:2131|1800)[0-9]{11}|35(?:[0-9]{14}|[0-9]{17})"  # JCB
    r"|(?:5018|5020|5038|5[6-8][0-9]{2}|6304|6390|6759|676[1-3]|0604)(?:[0-9]{8}|[0-9]{10,15})"  # Maestro
)
_NO_GAPS = {ord(sign): None for sign in f" -{BLANK}{HYPHEN}"}


def _iban(match: re.Match[str]) -> Span | None:
    """As many signs as the country's numbers have, if their check digits hold: the pattern takes the next word too."""
    text, start = match[0], match.start()
    wanted = _LENGTHS.get(text[:2].upper())
    compact = text.translate(_NO_GAPS)[:wanted].upper()
    if not wanted or len(compact) < wanted or not mod_97_10.is_valid(compact[4:] + compact[:4]):
        return None
    end = 0
    for _ in range(wanted):
        while not text[end].isalnum():
            end += 1
        end += 1
    return None if text[end : end + 1].isalnum() else (start, start + end)


def is_card(digits: str) -> bool:
    """Whether digits have a brand's prefix and length, and pass the check of Luhn.

    >>> is_card("4111111111111111"), is_card("4111111111111112")
    (True, False)
    """
    return bool(_BRANDS.fullmatch(digits)) and bool(luhn.is_valid(digits))


def _card(match: re.Match[str]) -> Span | None:
    text = match[0]
    for end in range(len(text), 11, -1):
        if end < len(text) and text[end].isdigit():
            continue
        digits = text[:end].translate(_NO_GAPS)
        if len(digits) >= 12 and is_card(digits) and len(set(digits)) > 1:
            return match.start(), match.start() + len(text[:end].rstrip(" -"))
    return None


RULES = (
    Rule(
        kind="iban",
        name="iban",
        glance=FIVE_DIGITS,
        trigger=rf"[A-Za-z]{{2}}{_GAP}?[0-9]{{2}}(?:{_GAP}?[A-Za-z0-9]){{11}}",
        pattern=re.compile(
            rf"[A-Za-z]{{2}}(?<![A-Za-z0-9][A-Za-z]{{2}}){_GAP}?[0-9]{{2}}(?={_BODY}{{0,40}}?[0-9](?:{_GAP}?[0-9]){{4}})(?:{_GAP}?[A-Za-z0-9]){{11,30}}(?![A-Za-z0-9])"
        ),
        validator=_iban,
    ),
    Rule(
        kind="card",
        name="card",
        glance=FIVE_DIGITS,
        trigger=rf"[0-9](?:{_GAP}{{0,2}}[0-9]){{11}}",
        pattern=re.compile(
            rf"[0-9](?<![A-Za-z0-9_][0-9])(?<![0-9][.,][0-9])(?:{_GAP}{{0,2}}[0-9]){{11,18}}(?![A-Za-z0-9_])"
        ),
        validator=_card,
    ),
)
