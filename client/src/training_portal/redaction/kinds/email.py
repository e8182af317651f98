"""E-mail addresses, also those that people hide from robots: `jane (at) example (dot) org`."""

import re

from training_portal.redaction.kinds.rule import Rule, whole
from training_portal.redaction.spans import Span

_FILES = re.compile(r"\.(?:png|jpe?g|gif|svg|webp|css|js|mp4|pdf)$", re.IGNORECASE)
_LABEL = r"[^\W_](?:[\w\-]{0,61}[^\W_])?"


def _address(match: re.Match[str]) -> Span | None:
    """Not the name of a picture for screens of high density (`logo@2x.png`), nor a handle with its server (`@ada@social.example`)."""
    is_handle = match.string[match.start() - 1 : match.start()] == "@"
    return None if is_handle or _FILES.search(match[0]) else match.span()


RULES = (
    Rule(
        kind="email",
        name="email.plain",
        trigger="@",
        pattern=re.compile(
            rf"(?<![\w.+\-])[\w][\w.+'&=~%#!$*/?^{{|}}\-]{{0,63}}@(?:{_LABEL}\.){{1,6}}(?:xn--[a-z0-9\-]{{2,30}}|[^\W\d_]{{2,24}})(?![^\W_])"
        ),
        validator=_address,
    ),
    Rule(
        kind="email",
        name="email.spelled_out",
        glance=r"\b(?:DOT|dot)\b|[(\[{<](?s:.){0,2}(?:[Aa][Tt]|@)",
        trigger=r"[(\[{<](?s:.){0,2}(?:[Aa][Tt]|@)|(?s:\b(?:AT|at)\b.*(?:DOT|dot)\b)",
        pattern=re.compile(
            r"(?<![\w.+\-])[\w][\w.+\-]{0,63}"
            r"(?:\s?[(\[{<]\s{0,2}(?:[Aa][Tt]|@)\s{0,2}[)\]}>]\s?(?:[^\W_][\w\-]{0,62}(?:\s?[(\[{<]\s?(?:[Dd][Oo][Tt]|[Pp]unkt|[Pp]oint)\s?[)\]}>]\s?|\s(?:dot|punkt|point)\s|\.)){1,4}"
            r"|\s(?:AT|at)\s(?:[^\W_][\w\-]{0,62}\s?(?:[(\[{<]\s?(?:DOT|dot)\s?[)\]}>]|\s(?:DOT|dot)\s)\s?){1,4})"
            r"[^\W\d_]{2,24}(?![^\W_])"
        ),
        validator=whole,
    ),
)
