"""Countries as ISO 3166-1 alpha-2 codes, and the groups rules speak of.

Sources: ISO 3166-1 (its codes and names come with pycountry); Treaty on European Union Art. 52 with TFEU Art. 349 and 355 (territories); EEA Agreement.
XK (Kosovo) is missing from ISO's list and accepted. Whatever is not in `NAMES` is unknown, and unknown is out.
"""

from collections.abc import Iterable
from typing import Final

import pycountry

EU: Final = frozenset(
    "AT BE BG HR CY CZ DE DK EE ES FI FR GR HU IE IT LT LU LV MT NL PL PT RO SE SI SK".split()
)
# Codes of their own inside the Union: the outermost regions and Saint-Martin (FR), Åland (FI).
WITH_THE_EU: Final = frozenset("GP GF MQ RE YT MF AX".split())
# French law that mirrors the GDPR; Svalbard and Bouvet Island go with Norway.
WITH_FRANCE: Final = frozenset("BL PM NC PF WF TF".split())
WITH_NORWAY: Final = frozenset("SJ BV".split())
# For review, and excluded whenever the EU is, unless a rule says otherwise.
FOLLOWING_THE_EU: Final = frozenset("FO GL AW CW SX BQ AD MC SM VA".split())
EEA: Final = EU | {"IS", "LI", "NO"}
UNITED_KINGDOM: Final = frozenset("GB GI JE GG IM".split())

TERRITORIES: Final = {
    "FR": WITH_FRANCE | (WITH_THE_EU - {"AX"}),
    "FI": frozenset({"AX"}),
    "NO": WITH_NORWAY,
    "GB": UNITED_KINGDOM,
}

GROUPS: Final[dict[str, frozenset[str]]] = {
    "EU": EU | WITH_THE_EU | WITH_FRANCE,
    "EEA": EEA | WITH_THE_EU | WITH_FRANCE | WITH_NORWAY,
    "EU-FOLLOWERS": FOLLOWING_THE_EU,
    "UK": UNITED_KINGDOM,
}

ALIASES: Final = {
    "UK": "GB", "EL": "GR", "IC": "ES", "EA": "ES", "FX": "FR", "CP": "FR", "XI": "GB",
}  # fmt: skip

UNKNOWN: Final = ""

# User-assigned codes for the canary accounts (training_runs.eligibility.canaries). No import can produce them.
CANARY_OPEN, CANARY_EXCLUDED, CANARY_NO_NOTICE, CANARY_OPT_IN = "QM", "QN", "QO", "QP"
CANARIES: Final = frozenset({CANARY_OPEN, CANARY_EXCLUDED, CANARY_NO_NOTICE, CANARY_OPT_IN})

# What ISO's list calls otherwise than people do, and Kosovo, which it has not.
_OURS: Final = {
    "BN": "Brunei",
    "CD": "Congo (Democratic Republic)",
    "FK": "Falkland Islands",
    "FM": "Micronesia",
    "PS": "Palestine",
    "RU": "Russia",
    "SX": "Sint Maarten",
    "VA": "Vatican City",
    "VG": "British Virgin Islands",
    "VI": "US Virgin Islands",
    "XK": "Kosovo",
}

NAMES: Final[dict[str, str]] = dict(
    sorted(
        {
            **{one.alpha_2: getattr(one, "common_name", one.name) for one in pycountry.countries},
            **_OURS,
        }.items()
    )
)
"""Every country the portal knows, by its code. Another release of ISO's list may know others: a test counts them."""


def normalise(given: str) -> str:
    """The ISO code for what a sender wrote, or UNKNOWN.

    >>> normalise(" uk ")
    'GB'
    >>> normalise("EU")
    ''
    """
    code = given.strip().upper()
    code = ALIASES.get(code, code)
    return code if code in NAMES else UNKNOWN


def expand(codes: Iterable[str]) -> list[str]:
    """Country codes and group names as a sorted list of codes. Raises ValueError naming the unknown ones."""
    found: set[str] = set()
    unknown = []
    for code in codes:
        if code == "ALL":
            found |= set(NAMES)
        elif code in GROUPS:
            found |= GROUPS[code]
        elif normalise(code):
            found.add(normalise(code))
        else:
            unknown.append(code)
    if unknown:
        raise ValueError(f"unknown countries: {', '.join(sorted(unknown))}")
    return sorted(found)


def with_followers(codes: Iterable[str], *, is_excluded: bool) -> list[str]:
    """The codes and those that go with them when a rule tightens: the territories of GB, FR, FI and NO, and,
    where all of the EU is excluded, the countries that follow it."""
    found = set(codes)
    for country, territories in TERRITORIES.items():
        if country in found:
            found |= territories
    if is_excluded and found >= EU:
        found |= FOLLOWING_THE_EU
    return sorted(found)


def name(code: str) -> str:
    if code in CANARIES:
        return f"test country {code}"
    return NAMES.get(code, "unknown country")
