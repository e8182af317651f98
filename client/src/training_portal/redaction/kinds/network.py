"""Addresses in networks: IPv4, IPv6, and MAC."""

import ipaddress
import re

from training_portal.redaction.kinds.cues import Cues
from training_portal.redaction.kinds.rule import Rule, whole
from training_portal.redaction.spans import Span

NOT_AN_ADDRESS = Cues(
    r"v(?:er)?\.?", r"versions?", r"release", r"build", r"firmware", r"chapters?", r"chap\.?", r"sections?", r"sec\.", r"articles?", r"art\.",
    r"clauses?", r"figures?", r"kapitel", r"kap\.", r"abschnitt", r"abs\.", r"absatz", r"ziffer", r"chapitres?", r"paragraphes?", r"annexe",
    r"rubrique", r"appendix", r"anhang", "table", "tabelle", "tableau", before=12,
)  # fmt: skip
"""Words before four numbers with dots that number parts of a text or a program."""

_HEX = "[0-9A-Fa-f]"


def _ip(match: re.Match[str]) -> Span | None:
    """An address of a host: not of the own machine, not one that names no machine."""
    try:
        address = ipaddress.ip_address(match[0].rstrip(":."))
    except ValueError:
        return None
    if address.is_unspecified or address.is_loopback:
        return None
    if address.version == 4 and NOT_AN_ADDRESS.stand_near(match.string, match.span()):
        return None
    return match.start(), match.start() + len(match[0].rstrip(":."))


def _ip6(match: re.Match[str]) -> Span | None:
    # `a::b` is a valid address, and the name of something in a program.
    text = match[0]
    if sum(map(str.isdigit, text)) == 0 or len(text) < 6:
        return None
    return _ip(match)


RULES = (
    Rule(
        kind="mac",
        name="mac",
        glance=rf"{_HEX}{{2}}[:\-]{_HEX}{{2}}[:\-]|{_HEX}{{4}}\.{_HEX}{{4}}\.",
        trigger=rf"{_HEX}{{2}}[:\-]{_HEX}{{2}}[:\-]{_HEX}{{2}}[:\-]{_HEX}{{2}}|{_HEX}{{4}}\.{_HEX}{{4}}\.{_HEX}{{4}}",
        pattern=re.compile(
            rf"(?<![\w:\-])(?:{_HEX}{{2}}:){{5}}(?:{_HEX}{{2}}:{_HEX}{{2}}:)?{_HEX}{{2}}(?![\w:])"
            rf"|(?<![\w:\-])(?:{_HEX}{{2}}-){{5}}(?:{_HEX}{{2}}-{_HEX}{{2}}-)?{_HEX}{{2}}(?![\w\-])"
            rf"|(?<![\w.])(?:{_HEX}{{4}}\.){{2}}{_HEX}{{4}}(?![\w.])"
        ),
        validator=whole,
    ),
    Rule(
        kind="ip",
        name="ip.v4",
        trigger=r"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]",
        pattern=re.compile(
            r"[0-9](?<![\w.\-][0-9])[0-9]{0,2}\.(?:[0-9]{1,3}\.){2}[0-9]{1,3}(?!\.?\w)(?!-[0-9])"
        ),
        validator=_ip,
    ),
    Rule(
        kind="ip",
        name="ip.v6",
        glance=rf":{_HEX}{{0,4}}:",
        trigger=rf"{_HEX}{{0,4}}:{_HEX}{{0,4}}:{_HEX}",
        pattern=re.compile(
            rf"(?<![\w:.])(?:{_HEX}{{1,4}}:|::)(?:{_HEX}{{0,4}}:){{0,6}}(?:{_HEX}{{1,4}}|(?:[0-9]{{1,3}}\.){{3}}[0-9]{{1,3}}|:)(?![\w:])"
        ),
        validator=_ip6,
    ),
)
