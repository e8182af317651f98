"""Numbers that a state gives a person. Check digits decide where there are any, a cue word where there are none.

What no authority would give out (an SSN that begins with 000) is no item.
"""

import re

from stdnum.at import vnr
from stdnum.ca import sin
from stdnum.ch import ssn as avs
from stdnum.de import idnr
from stdnum.fr import nif, nir
from stdnum.gb import nhs
from stdnum.us import ssn

from training_portal.redaction.kinds.cues import BLANK, HYPHEN, Cues
from training_portal.redaction.kinds.rule import FIVE_DIGITS, Rule, Validator
from training_portal.redaction.spans import Span

_GAP = rf"[ .\-/{BLANK}{HYPHEN}]"

CUES = Cues(
    r"ssn", r"social[ -]?security", r"social insurance", r"sin", r"nino", r"ni (?:number|no)", r"national insurance", r"nhs(?: number| no)?",
    r"passport", r"driver'?s? licen[cs]e", r"tax[ -]?(?:id|number|payer)?", r"itin", r"id (?:card|number|no)", "identity (?:card|number)",
    r"steuer[ -]?(?:id|identifikationsnummer|nummer)?", "idnr", "steueridentifikationsnummer", "tin", r"sozialversicherung(?:s?nummer|s-?nr)?", r"sv[ -]?(?:nr|nummer)", "svnr", "rentenversicherungsnummer",
    "versicherungsnummer", "rvnr", "ahv(?:[ -]?(?:nr|nummer))?", "avs", "personalausweis(?:nummer)?", "ausweis(?:nummer)?", "reisepass(?:nummer)?", "führerschein(?:nummer)?",
    r"s[ée]curit[ée] sociale", "sécu", "n[°o] ?ss", "nir", r"num[ée]ro fiscal", "spi", "nif", "carte (?:nationale )?d.identit[ée]", "cni", "passeport", "carte vitale",
    "permis de conduire", "assurance sociale", "nas", "numéro d.assur[ée]", "insee",
    before=45, after=30,
)  # fmt: skip
_PAPERS = Cues(
    "passport", "driver'?s? licen[cs]e", "id (?:card|number|no)", "identity card", "personalausweis(?:nummer)?", "ausweis(?:nummer)?",
    "reisepass(?:nummer)?", "führerschein(?:nummer)?", "carte (?:nationale )?d.identit[ée]", "cni", "passeport", "permis de conduire",
    before=30, after=0,
)  # fmt: skip


def _digits(match: re.Match[str]) -> str:
    return re.sub(r"[^0-9A-Za-z]", "", match[0]).upper()


def _by_check(module: object, *, with_cue: bool) -> Validator:
    """Decided by the check of a module of `stdnum`, and by a cue where the check alone would let too much through."""
    is_valid = module.is_valid  # type: ignore[attr-defined]  # its modules have no common type

    def decide(match: re.Match[str]) -> Span | None:
        if with_cue and not CUES.stand_near(match.string, match.span()):
            return None
        return match.span() if is_valid(_digits(match)) else None

    return decide


def _with_cue(match: re.Match[str]) -> Span | None:
    return match.span() if CUES.stand_near(match.string, match.span()) else None


def _ssn(match: re.Match[str]) -> Span | None:
    """With its hyphens it has its own shape; otherwise a cue is needed."""
    if "-" not in match[0] and not CUES.stand_near(match.string, match.span()):
        return None
    return match.span() if ssn.is_valid(_digits(match)) else None


def _tax_id(match: re.Match[str]) -> Span | None:
    """In groups of 2, 3, 3, 3 it has its own shape; otherwise a cue is needed."""
    shaped = re.fullmatch(r"[0-9]{2} [0-9]{3} [0-9]{3} [0-9]{3}", match[0])
    if not shaped and not CUES.stand_near(match.string, match.span()):
        return None
    return match.span() if idnr.is_valid(_digits(match)) else None


def is_nir(compact: str) -> bool:
    """A French number of 13 signs and its key; Corsica's departments are 2A and 2B."""
    return nir.is_valid(compact)


def _nir(match: re.Match[str]) -> Span | None:
    compact = _digits(match)
    if is_nir(compact):
        return match.span()
    # Without its key there is no check.
    return (
        match.span() if len(compact) == 13 and CUES.stand_near(match.string, match.span()) else None
    )


_RVNR_WEIGHTS = (2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1)


def is_rvnr(compact: str) -> bool:
    """The German pension insurance's number: area, birthday, letter, serial, check digit (§ 4 VKVV).

    >>> is_rvnr("15070649C103"), is_rvnr("15070649C104")
    (True, False)
    """
    letter = f"{ord(compact[8]) - 64:02}"
    digits = compact[:8] + letter + compact[9:11]
    products = (int(digit) * weight for digit, weight in zip(digits, _RVNR_WEIGHTS, strict=True))
    return sum(sum(map(int, str(one))) for one in products) % 10 == int(compact[11])


def _rvnr(match: re.Match[str]) -> Span | None:
    if is_rvnr(_digits(match)) or CUES.stand_near(match.string, match.span()):
        return match.span()
    return None


def _paper(match: re.Match[str]) -> Span | None:
    """The number of a passport or a card: no check that can be had, so only close after its name."""
    enough = sum(map(str.isdigit, match[0])) >= 4
    return match.span() if enough and _PAPERS.stand_near(match.string, match.span()) else None


def _alone(trigger: str) -> str:
    """A trigger that is no part of a longer number or word, as the patterns ask too."""
    return f"(?:^|[^0-9A-Za-z]){trigger}(?:$|[^0-9A-Za-z])"


_SIX = rf"[0-9](?:{_GAP}{{0,2}}[0-9]){{5}}"

RULES = (
    Rule(
        kind="national_id",
        name="national_id.us",
        glance=FIVE_DIGITS,
        trigger=_alone(r"[0-9]{3}[ \-]?[0-9]{2}[ \-]?[0-9]{4}"),
        pattern=re.compile(r"[0-9](?<![\w\-][0-9])[0-9]{2}([ \-]?)[0-9]{2}\1[0-9]{4}(?![\w\-])"),
        validator=_ssn,
    ),
    Rule(
        kind="national_id",
        name="national_id.ca",
        glance=FIVE_DIGITS,
        trigger=_alone(r"[0-9]{3}[ \-]?[0-9]{3}[ \-]?[0-9]{3}"),
        pattern=re.compile(r"[0-9](?<![\w\-][0-9])[0-9]{2}([ \-]?)[0-9]{3}\1[0-9]{3}(?![\w\-])"),
        validator=_by_check(sin, with_cue=True),
    ),
    Rule(
        # HMRC NIM39110: no D F I Q U V first, no O second, and prefixes that are not given out.
        kind="national_id",
        name="national_id.gb",
        glance=FIVE_DIGITS,
        trigger=_alone(r"[A-Za-z]{2} ?[0-9]{2}[ \-]?[0-9]{2}[ \-]?[0-9]{2} ?[A-Da-d]"),
        pattern=re.compile(
            r"(?<!\w)(?!BG|GB|KN|NK|NT|TN|ZZ)[ABCEGHJ-PRSTW-Z][ABCEGHJ-NPRSTW-Z] ?[0-9]{2}([ \-]?)[0-9]{2}\1[0-9]{2} ?[A-D](?!\w)"
            r"|(?<!\w)(?!bg|gb|kn|nk|nt|tn|zz)[abceghj-prstw-z][abceghj-nprstw-z] ?[0-9]{2}([ \-]?)[0-9]{2}\2[0-9]{2} ?[a-d](?!\w)"
        ),
        validator=lambda match: match.span(),
    ),
    Rule(
        kind="national_id",
        name="national_id.nhs",
        glance=FIVE_DIGITS,
        trigger=_alone(r"[0-9]{3}[ \-]?[0-9]{3}[ \-]?[0-9]{4}"),
        pattern=re.compile(r"[0-9](?<![\w\-][0-9])[0-9]{2}([ \-]?)[0-9]{3}\1[0-9]{4}(?![\w\-])"),
        validator=_by_check(nhs, with_cue=True),
    ),
    Rule(
        kind="national_id",
        name="national_id.de_tax",
        glance=FIVE_DIGITS,
        trigger=_alone(rf"[0-9]{{2}}{_GAP}?[0-9]{{3}}{_GAP}?[0-9]{{3}}{_GAP}?[0-9]{{3}}"),
        pattern=re.compile(
            rf"[0-9](?<![\w+\-][0-9])[0-9]{_GAP}?[0-9]{{3}}{_GAP}?[0-9]{{3}}{_GAP}?[0-9]{{3}}(?![\w])"
        ),
        validator=_tax_id,
    ),
    Rule(
        kind="national_id",
        name="national_id.de_pension",
        glance=FIVE_DIGITS,
        trigger=_alone(rf"[0-9]{{2}}{_GAP}?{_SIX}{_GAP}?[A-Za-z]{_GAP}?[0-9]{{2}}{_GAP}?[0-9]"),
        pattern=re.compile(
            rf"[0-9](?<!\w[0-9])[0-9]{_GAP}?[0-9]{{2}}{_GAP}?[0-9]{{2}}{_GAP}?[0-9]{{2}}{_GAP}?[A-Za-z]{_GAP}?[0-9]{{2}}{_GAP}?[0-9](?![\w])"
        ),
        validator=_rvnr,
    ),
    Rule(
        kind="national_id",
        name="national_id.at",
        glance=FIVE_DIGITS,
        trigger=_alone(rf"[0-9]{{4}}{_GAP}?[0-9]{{2}}{_GAP}?[0-9]{{2}}{_GAP}?[0-9]{{2}}"),
        pattern=re.compile(
            rf"[0-9](?<![\w\-][0-9])[0-9]{{3}}{_GAP}?[0-9]{{2}}{_GAP}?[0-9]{{2}}{_GAP}?[0-9]{{2}}(?![\w\-])"
        ),
        validator=_by_check(vnr, with_cue=True),
    ),
    Rule(
        kind="national_id",
        name="national_id.ch",
        glance=FIVE_DIGITS,
        trigger=_alone(rf"756{_GAP}?[0-9]{{4}}{_GAP}?[0-9]{{4}}{_GAP}?[0-9]{{2}}"),
        pattern=re.compile(
            rf"756(?<![\w\-]756){_GAP}?[0-9]{{4}}{_GAP}?[0-9]{{4}}{_GAP}?[0-9]{{2}}(?![\w\-])"
        ),
        validator=_by_check(avs, with_cue=False),
    ),
    Rule(
        kind="national_id",
        name="national_id.fr",
        glance=FIVE_DIGITS,
        trigger=_alone(
            rf"[1-478]{_GAP}{{0,2}}[0-9]{{2}}{_GAP}{{0,2}}[0-9]{{2}}{_GAP}{{0,2}}(?:[0-9]{{2}}|2[ABab]){_GAP}{{0,2}}[0-9]{{3}}{_GAP}{{0,2}}[0-9]{{3}}"
            rf"(?:{_GAP}{{0,3}}[0-9]{{2}})?"
        ),
        pattern=re.compile(
            rf"[1-478](?<![\w\-][0-9]){_GAP}{{0,2}}[0-9]{{2}}{_GAP}{{0,2}}[0-9]{{2}}{_GAP}{{0,2}}(?:[0-9]{{2}}|2[ABab]){_GAP}{{0,2}}[0-9]{{3}}{_GAP}{{0,2}}[0-9]{{3}}"
            rf"(?:{_GAP}{{0,3}}[0-9]{{2}})?(?![\w])"
        ),
        validator=_nir,
    ),
    Rule(
        kind="national_id",
        name="national_id.fr_tax",
        glance=FIVE_DIGITS,
        trigger=_alone(
            rf"[0-3][0-9]{_GAP}?[0-9]{{2}}{_GAP}?[0-9]{{3}}{_GAP}?[0-9]{{3}}{_GAP}?[0-9]{{3}}"
        ),
        pattern=re.compile(
            rf"[0-3](?<![\w\-][0-9])[0-9]{_GAP}?[0-9]{{2}}{_GAP}?[0-9]{{3}}{_GAP}?[0-9]{{3}}{_GAP}?[0-9]{{3}}(?![\w\-])"
        ),
        validator=_by_check(nif, with_cue=True),
    ),
    Rule(
        kind="national_id",
        name="national_id.paper",
        glance=_PAPERS.trigger,
        trigger=_PAPERS.trigger_beside("[0-9]"),
        pattern=re.compile(r"(?<![\w\-.])[A-Za-z0-9]{2,4}[ ]?[A-Z0-9]{5,10}(?![\w\-])"),
        validator=_paper,
    ),
)
