"""Dates of birth: a date beside a word that says so, in English, German or French."""

import datetime as dt
import re

from training_portal.redaction.kinds.cues import Cues
from training_portal.redaction.kinds.rule import Rule
from training_portal.redaction.spans import Span

CUES = Cues(
    "born", r"births?", r"birth ?dates?", r"birth ?day", r"b-?day", r"d\.?o\.?b\.?", "date of birth",
    "geboren", r"geb\.?", "geburts(?:datum|tag|tags)", r"\*", "zur welt", "jahrgang",
    r"né(?:e|\(e\))?s?", "nee", "naissance", "anniversaire", "vu le jour",
    before=45, after=35,
)  # fmt: skip

_MONTHS = {
    word: number
    for number, words in enumerate(
        (
            "january jan januar jänner jän janvier janv", "february feb februar feber février fevrier févr fév fevr",
            "march mar märz maerz mrz mär mars", "april apr avril avr", "may mai", "june jun juni juin",
            "july jul juli juillet juil", "august aug août aout", "september sept sep septembre", "october oct oktober okt octobre",
            "november nov novembre", "december dec dezember dez décembre decembre déc",
        ),
        start=1,
    )
    for word in words.split()
}  # fmt: skip
_TAILS = "|".join(sorted({word[1:] for word in _MONTHS}, key=len, reverse=True))
_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))
_END = r"(?![\w])(?!\.[0-9])"
# The first sign comes first: the search jumps to one of these, and only then looks back.
_NUMBER_FIRST = re.compile(
    r"[0-9](?<![\w.,/\-][0-9])(?:"
    r"(?P<y1>(?<=[12])[09][0-9]{2})(?P<s1>[.\-/])(?P<m1>[01]?[0-9])(?P=s1)(?P<d1>[0-3]?[0-9])"
    r"|(?P<a>[0-9]?)(?P<s2>\s?[.\-/]\s?)(?P<b>[0-3]?[0-9])(?P=s2)(?P<y2>(?:19|20)?[0-9]{2})"
    rf"|(?P<d3>[0-9]?)(?:st|nd|rd|th|er|\.)?[\s\-]{{0,2}}(?:of |de )?(?P<m3>(?i:{_MONTH}))\.?,?[\s\-]{{0,2}}(?P<y3>(?:19|20)[0-9]{{2}}|'?[0-9]{{2}})"
    rf"){_END}"
)
_MONTH_FIRST = re.compile(
    rf"[JFMASONDjfmasond](?<![^\W_][JFMASONDjfmasond])(?P<m4>(?i:{_TAILS}))\.?[\s\-]{{1,2}}(?:the )?(?P<d4>[0-3]?[0-9])(?:st|nd|rd|th)?,?\s{{1,2}}"
    rf"(?P<y4>(?:19|20)[0-9]{{2}}|'[0-9]{{2}}){_END}"
)
OLDEST = 1890


def _exists(year: int, month: int, day: int) -> bool:
    try:
        dt.date(year, month, day)
    except ValueError:
        return False
    return year >= OLDEST


def _year(text: str) -> int:
    number = int(text.lstrip("'’"))
    # 29 February is in either century's leap years alike, but for 1900.
    return number if number > 99 else 2000 + number


def _number_first(match: re.Match[str]) -> Span | None:
    """A day of the calendar that begins with a number, with a cue near it."""
    found, first = match.groupdict(), match[0][0]
    if found["y1"]:
        exists = _exists(int(first + found["y1"]), int(found["m1"]), int(found["d1"]))
    elif found["y2"]:
        year, one, other = _year(found["y2"]), int(first + found["a"]), int(found["b"])
        exists = _exists(year, other, one) or _exists(year, one, other)
    else:
        month = _MONTHS.get(found["m3"].lower(), 0)
        exists = _exists(_year(found["y3"]), month, int(first + found["d3"]))
    return match.span() if exists and CUES.stand_near(match.string, match.span()) else None


def _month_first(match: re.Match[str]) -> Span | None:
    """The same of one that begins with the month: `March 3rd, 1975`."""
    month = _MONTHS.get((match[0][0] + match["m4"]).lower(), 0)
    exists = _exists(_year(match["y4"]), month, int(match["d4"]))
    return match.span() if exists and CUES.stand_near(match.string, match.span()) else None


RULES = tuple(
    Rule(
        kind="birth_date",
        name=name,
        glance=CUES.trigger,
        trigger=CUES.trigger_beside("[0-9]"),
        pattern=pattern,
        validator=validator,
    )
    for name, pattern, validator in (
        ("birth_date.number_first", _NUMBER_FIRST, _number_first),
        ("birth_date.month_first", _MONTH_FIRST, _month_first),
    )
)
