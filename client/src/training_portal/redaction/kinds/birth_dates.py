"""Dates of birth: a date beside a word that says so, in English, German or French."""

import datetime as dt
import re

from training_portal.redaction.kinds.cues import Cues
from training_portal.redaction.kinds.rule import Rule, Span

CUES = Cues(
    "born", r"births?", r"birth ?dates?", r"birth ?day", r"b-?day", r"d\.?o\.?b\.?", "date of birth",
    "geboren", r"geb\.?", "geburts(?:datum|tag|tags)", r"\*", "kam (?:sie|er|ich)?", "zur welt", "jahrgang",
    r"n[ée]+(?:e|\(e\))?s?", "naissance", "anniversaire", "vu le jour", "natif", "native",
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
_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))
_DATE = re.compile(
    r"(?<![\w.,/\-])(?:"
    r"(?P<y1>(?:19|20)[0-9]{2})(?P<s1>[.\-/])(?P<m1>[01]?[0-9])(?P=s1)(?P<d1>[0-3]?[0-9])"
    r"|(?P<a>[0-3]?[0-9])(?P<s2>\s?[.\-/]\s?)(?P<b>[0-3]?[0-9])(?P=s2)(?P<y2>(?:19|20)?[0-9]{2})"
    rf"|(?P<d3>[0-3]?[0-9])(?:st|nd|rd|th|er|\.)?[\s\-]{{0,2}}(?:of |de )?(?P<m3>{_MONTH})\.?,?[\s\-]{{0,2}}(?P<y3>(?:19|20)[0-9]{{2}}|'?[0-9]{{2}})"
    rf"|(?P<m4>{_MONTH})\.?[\s\-]{{1,2}}(?:the )?(?P<d4>[0-3]?[0-9])(?:st|nd|rd|th)?,?\s{{1,2}}(?P<y4>(?:19|20)[0-9]{{2}}|'[0-9]{{2}})"
    r")(?![\w])(?!\.[0-9])",
    re.IGNORECASE,
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


def _birth_date(match: re.Match[str]) -> Span | None:
    """A day of the calendar with a cue near it."""
    found = match.groupdict()
    if found["y1"]:
        exists = _exists(int(found["y1"]), int(found["m1"]), int(found["d1"]))
    elif found["y2"]:
        year, one, other = _year(found["y2"]), int(found["a"]), int(found["b"])
        exists = _exists(year, other, one) or _exists(year, one, other)
    else:
        n = "3" if found["y3"] else "4"
        exists = _exists(
            _year(found["y" + n]), _MONTHS[found["m" + n].lower()], int(found["d" + n])
        )
    return match.span() if exists and CUES.stand_near(match.string, match.span()) else None


RULES = (
    Rule(
        kind="birth_date",
        name="birth_date",
        glance=CUES.trigger,
        trigger=CUES.trigger_beside("[0-9]"),
        pattern=_DATE,
        validator=_birth_date,
    ),
)
