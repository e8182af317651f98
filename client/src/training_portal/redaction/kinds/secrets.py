"""Secrets: keys of services, tokens, private keys, passwords after a cue."""

import re

from training_portal.redaction.kinds.cues import for_re2
from training_portal.redaction.kinds.rule import Rule, whole
from training_portal.redaction.spans import Span

_SHAPES = (
    r"(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{16}",  # AWS
    r"gh[pousr]_[A-Za-z0-9]{20,255}",  # GitHub
    r"github_pat_[A-Za-z0-9_]{22,255}",
    r"glpat-[A-Za-z0-9_\-]{20,64}",  # GitLab
    r"xox[abeoprs]-[A-Za-z0-9\-]{10,250}",  # Slack
    r"(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{16,250}",  # Stripe
    r"AIza[A-Za-z0-9_\-]{35}",  # Google
    r"ya29\.[A-Za-z0-9_\-]{20,250}",
    r"sk-(?:ant-|proj-)?[A-Za-z0-9_\-]{20,250}",  # providers of language models
    r"hf_[A-Za-z0-9]{30,64}",  # Hugging Face
    r"npm_[A-Za-z0-9]{36}",
    r"pypi-[A-Za-z0-9_\-]{50,250}",
    r"SG\.[A-Za-z0-9_\-]{16,64}\.[A-Za-z0-9_\-]{16,64}",  # SendGrid
    r"dop_v1_[a-f0-9]{64}",  # DigitalOcean
    r"[0-9]{8,10}:AA[A-Za-z0-9_\-]{32,33}",  # Telegram
    r"eyJ[A-Za-z0-9_\-]{8,2000}\.eyJ[A-Za-z0-9_\-]{8,4000}\.[A-Za-z0-9_\-]{8,1000}",  # JSON Web Token
)
_LITERALS = r"AKIA|ASIA|AROA|AIDA|gh[pousr]_|github_pat_|glpat-|xox[abeoprs]-|[srp]k_(?:live|test)_|AIza|ya29\.|sk-|hf_|npm_|pypi-|SG\.|dop_v1_|:AA|eyJ"
_WORDS = (
    "password", "passwd", "passwort", "passphrase", "kennwort", "pwd", "passcode", "zugangscode", "pin", "mot de passe", "mdp", "code secret",
    "api[ _-]?key", "apikey", "api[ _-]?token", "access[ _-]?token", "auth[ _-]?token", "secret(?:[ _-]?key)?", "client[ _-]?secret", "bearer",
    "clé (?:api|d.api|secrète)", "api-schlüssel", "schlüssel", "token", "jeton",
)  # fmt: skip
_ASSIGNED = re.compile(
    rf"(?<![^\W_])(?:{'|'.join(_WORDS)})[\"']?(?:(?:\s[\w\-]{{1,20}}){{0,3}}?\s(?:is|was|ist|lautet|war|est|était))?\s{{0,2}}"
    r"(?:[:=]|:=|=>|(?<=is)|(?<=was)|(?<=ist)|(?<=lautet)|(?<=war)|(?<=est)|(?<=était)|(?<=[Bb]earer))\s{0,2}[\"'`«“„]?(?P<value>[^\s\"'`<>«»“”„\[\]]{4,200})",
    re.IGNORECASE,
)
_ONLY_DIGITS = re.compile(r"[0-9]{4,8}")


def _assigned(match: re.Match[str]) -> Span | None:
    """A value that no word is: letters with digits or signs, or the digits of a PIN."""
    value = match["value"].rstrip(".,;:!?)")
    start = match.start("value")
    letters = any(map(str.isalpha, value))
    others = any(not one.isalpha() for one in value.strip("-'’.")) and not re.fullmatch(
        r"[^\W\d_]+(?:[\-'’/.][^\W\d_]+)*", value
    )
    if (len(value) >= 6 and letters and others) or _ONLY_DIGITS.fullmatch(value):
        return start, start + len(value)
    return None


def _in_address(match: re.Match[str]) -> Span:
    return match.span("value")


RULES = (
    Rule(
        kind="secret",
        name="secret.shape",
        trigger=_LITERALS,
        pattern=re.compile(rf"(?<![A-Za-z0-9_])(?:{'|'.join(_SHAPES)})(?![A-Za-z0-9_])"),
        validator=whole,
    ),
    Rule(
        kind="secret",
        name="secret.private_key",
        trigger="-----BEGIN",
        pattern=re.compile(
            r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[A-Za-z0-9+/=\s:,\-]{0,6000}?(?:-----END [A-Z ]{0,30}PRIVATE KEY-----|\Z)"
        ),
        validator=whole,
    ),
    Rule(
        kind="secret",
        name="secret.assigned",
        trigger=rf"(?:^|[^A-Za-z0-9])(?i:{for_re2('|'.join(_WORDS))})",
        pattern=_ASSIGNED,
        validator=_assigned,
    ),
    Rule(
        kind="secret",
        name="secret.in_address",
        glance="/",
        trigger="://[^/@]+:[^/@]+@",
        pattern=re.compile(
            r"[a-z][a-z0-9+.\-]{1,20}://[^\s/:@\[\]]{1,100}:(?P<value>[^\s/@\[\]]{3,100})@(?=[\w\-]{1,63}[.:/\w])",
            re.ASCII,
        ),
        validator=_in_address,
    ),
)
