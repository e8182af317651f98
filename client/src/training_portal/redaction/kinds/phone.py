"""Phone numbers: with a country's code, with the zero of a trunk, in the shape of North America, or after a cue word.

Ten digits in a row are a number of anything, so without a cue word they are no phone number.
"""

import re
from functools import lru_cache

import phonenumbers

from training_portal.redaction.kinds.cues import BLANK, HYPHEN, Cues
from training_portal.redaction.kinds.rule import FIVE_DIGITS, Rule
from training_portal.redaction.spans import Span

TRUNK_REGIONS = ("DE", "FR", "GB", "CH", "AT", "BE", "NL", "AU", "IN")
"""Countries in which a national number begins with a zero."""

CUES = Cues(
    r"call(?:s|ed|ing)?", r"phones?", r"telephone", r"tele?", r"t\.", r"mobiles?", r"cell(?:phone)?", "fax", r"whats?app",
    "sms", "text (?:me|him|her|us|them)", "ring (?:me|him|her|us|them)", "reach (?:me|him|her|us|them)",
    "handy(?:nummer)?", r"an(?:ge)?ruf(?:en|e)?", "rufnummer", r"ruf(?:en|e|t)?", "telefon(?:nummer|isch)?", "mobil(?:nummer)?",
    "durchwahl", "festnetz", "erreich(?:en|e|st|bar)", r"appel(?:er|ez|le|les)", "t[ée]l[ée]phon(?:e|er|ez|ique)",
    r"t[ée]l", "portable", "joindre", "joignable", "ligne fixe", "hotline", "signal", "telegram", "dial", "numéro de t[ée]l[ée]phone",
    before=40, after=0,
)  # fmt: skip

_SEPARATOR = rf"[ .\-/(){BLANK}{HYPHEN}]"
_EXTENSION = r"(?:[ ,;]{0,2}(?:x|ext\.?|extension|Durchwahl|DW|poste)[ .:]?[0-9]{1,6})"
_CANDIDATE = re.compile(
    # Its first sign comes first: the search jumps to one of these, and only then looks back.
    r"[(+0-9](?<![A-Za-z0-9_+#$€£][(+0-9])(?<![0-9][.,/:\-][(+0-9])"
    rf"(?:(?<=[0-9])|[(]?\+?[(]?[0-9])(?:{_SEPARATOR}{{0,3}}[0-9]){{5,16}}{_EXTENSION}?(?![\w@%€$£])"
)
_WITH_EXTENSION = re.compile(rf"{_EXTENSION}$")
_GAP = rf"[ .\-{BLANK}{HYPHEN}]"
_NORTH_AMERICA = re.compile(
    rf"\(?(?:\+?1{_GAP}?)?(?:\([2-9][0-9]{{2}}\){_GAP}{{0,2}}|[2-9][0-9]{{2}}{_GAP})[0-9]{{3}}{_GAP}[0-9]{{4}}"
)
_NORTH_AMERICA_FIRST = re.compile(rf"{_NORTH_AMERICA.pattern}{_EXTENSION}?(?![0-9])")
_LAST_GROUP = re.compile(rf"(?:{_SEPARATOR}+|{_EXTENSION})[0-9]*$")
_SMALL_DATE = re.compile(
    r"\(?(?:[0-3]?[0-9][.\-/ ]{1,2}[01]?[0-9][.\-/ ]{1,2}(?:19|20)?[0-9]{2}|(?:19|20)[0-9]{2}[.\-/][01]?[0-9][.\-/][0-3]?[0-9])(?![0-9])"
)
_GROUPS = re.compile(r"[0-9]+")
_NOT_A_PLUS = re.compile(r"[^0-9+]")


@lru_cache(maxsize=65_536)
def is_international(text: str) -> bool:
    """Whether a text of digits and signs, with `+` or `00` before, can be a number of the country it names.

    Two zeros and digits in a row may be the number of an article: they have to be a number that is given out.
    """
    digits = "+" + text.lstrip("(+").removeprefix("00")
    try:
        number = phonenumbers.parse(digits)
    except phonenumbers.NumberParseException:
        return False
    asked = phonenumbers.is_valid_number if text.isdigit() else phonenumbers.is_possible_number
    return bool(asked(number))


@lru_cache(maxsize=65_536)
def is_national(digits: str) -> bool:
    """Whether digits that begin with a zero are a number that some country with a trunk zero gives out."""
    for region in TRUNK_REGIONS:
        try:
            number = phonenumbers.parse(digits, region)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(number):
            return True
    return False


def _is_phone(text: str, *, has_cue: bool) -> bool:
    number = _WITH_EXTENSION.sub("", text)
    groups = _GROUPS.findall(number)
    digits = "".join(groups)
    if _SMALL_DATE.match(number) and not (has_cue and len(digits) > 8):
        return False
    if has_cue:
        return 6 <= len(digits) <= 15
    if number.lstrip("(")[0] == "+" or (digits.startswith("00") and len(digits) >= 10):
        return is_international(number)
    return bool(_NORTH_AMERICA.fullmatch(number)) or _has_trunk_zero(groups, digits)


def _has_trunk_zero(groups: list[str], digits: str) -> bool:
    """Whether groups of digits look like an area behind a zero and a number: two digits at least in each."""
    if digits[0] != "0" or digits[1] == "0" or not 9 <= len(digits) <= 13:
        return False
    if len(groups) == 1:
        return 10 <= len(digits) <= 12 and is_national(digits)
    return 2 <= len(groups[0]) <= 6 and min(map(len, groups)) >= 2


def _phone(match: re.Match[str]) -> Span | None:
    """The longest beginning of the match that is a phone number: what follows may be another number."""
    text = match[0]
    has_cue = CUES.stand_near(match.string, match.span())
    if not has_cue and text.lstrip("(")[0] not in "+0":
        # Only one shape is left: tables of numbers are full of candidates.
        shaped = _NORTH_AMERICA_FIRST.match(text)
        return _without_open_brackets(match, shaped.end()) if shaped else None
    end = len(text)
    while end >= 7:
        part = text[:end]
        if _is_phone(part, has_cue=has_cue):
            return _without_open_brackets(match, end)
        cut = _LAST_GROUP.search(part.rstrip(" .-/()"))
        if cut is None:
            break
        end = cut.start()
    return None


def _without_open_brackets(match: re.Match[str], end: int) -> Span:
    """The span of a number, without the brackets of the sentence around it: those that do not close inside."""
    text = match[0][:end]
    opened = len(text) - len(text.lstrip("("))
    return match.start() + max(0, opened - text.count(")")), match.start() + end


RULES = (
    Rule(
        kind="phone",
        name="phone.any",
        glance=FIVE_DIGITS,
        trigger=rf"[0-9](?:[ .\-/(){BLANK}{HYPHEN}]{{0,3}}[0-9]){{5}}",
        pattern=_CANDIDATE,
        validator=_phone,
    ),
)
