"""Settings: the address of the portal, the token, and the key that verifies its answers.

The environment comes first, then a TOML file (`PORTAL_CONFIG`, else `~/.config/training-portal/config.toml`):

| environment | file | what |
|---|---|---|
| PORTAL_URL | url | address of the portal, such as https://portal.example |
| PORTAL_TOKEN | token | the token; in a file only if the file is private |
| PORTAL_TOKEN_FILE | token_file | a private file that holds the token and nothing else |
| PORTAL_KEY | key | the verifier key as people handed it over; two, with a space between, while one replaces the other |
| PORTAL_CA | ca | certificates to trust in place of the usual ones |
| PORTAL_TEAM | team | the team that runs are registered for; not needed by who is in one team |
| PORTAL_CACHE | cache | directory of downloads; they end with their lease |
| PORTAL_STATE | state | directory of the signing key and of the last checkpoint that was seen |
| PORTAL_PATIENCE | patience | seconds for which a worker of the portal is waited for, 3600 unless told; a network that fails gets 120 at most |

A token is never an argument: arguments stand in the list of processes and in shell histories.
"""

import os
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from training_portal.errors import Misuse

_NAMES = ("url", "token", "token_file", "key", "ca", "team", "cache", "state", "patience")
PATIENCE = 3600.0
"""Seconds: a manifest over a billion members takes minutes, and others may wait before it."""
_MAX_CONFIG_BYTES = 1 << 20


@dataclass(frozen=True)
class Settings:
    url: str
    """Without a slash at the end."""
    token: str = field(repr=False)
    keys: tuple[str, ...]
    """Verifier keys. Empty: nothing can be verified, and so nothing is permitted."""
    ca: Path | None
    team: str
    cache: Path
    state: Path
    patience: float = PATIENCE
    """Seconds for which a worker of the portal is waited for."""


def load(environment: Mapping[str, str] | None = None) -> Settings:
    """The settings of this process. Raises Misuse with what is missing or wrong, and never with the token."""
    said = _said(environment)
    ca = Path(said["ca"]).expanduser() if said.get("ca") else None
    if ca is not None and not ca.is_file():
        raise Misuse(
            f"PORTAL_CA names {ca}, which is no file.", "It is a file of certificates (PEM)."
        )
    cache, state = directories(environment)
    return Settings(
        url=_url(said.get("url", "")),
        token=_token(said),
        keys=tuple(said.get("key", "").split()),
        ca=ca,
        team=said.get("team", ""),
        cache=cache,
        state=state,
        patience=_seconds(said.get("patience", "")),
    )


def directories(environment: Mapping[str, str] | None = None) -> tuple[Path, Path]:
    """The directories of the cache and of the state; for these no portal has to be known."""
    env = os.environ if environment is None else environment
    said, home = _said(env), _home(env)
    cache = Path(env.get("XDG_CACHE_HOME") or home / ".cache") / "training-portal"
    state = Path(env.get("XDG_STATE_HOME") or home / ".local" / "state") / "training-portal"
    return (
        Path(said["cache"]).expanduser() if said.get("cache") else cache,
        Path(said["state"]).expanduser() if said.get("state") else state,
    )


def _said(environment: Mapping[str, str] | None) -> dict[str, str]:
    env = os.environ if environment is None else environment
    return {**_from_file(env, _home(env)), **_from_environment(env)}


def _home(env: Mapping[str, str]) -> Path:
    return Path(env.get("HOME") or Path.home())


def _from_environment(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name in _NAMES if (value := env.get(f"PORTAL_{name.upper()}", ""))}


def _from_file(env: Mapping[str, str], home: Path) -> dict[str, str]:
    named = env.get("PORTAL_CONFIG")
    config = Path(env.get("XDG_CONFIG_HOME") or home / ".config")
    path = Path(named).expanduser() if named else config / "training-portal" / "config.toml"
    if not named and not path.exists():
        return {}
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_CONFIG_BYTES)
        found = tomllib.loads(data.decode("utf-8"))
    except OSError as error:
        raise Misuse(f"{path} cannot be read: {error.strerror}.") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError):
        # Its own message would repeat the line, which may hold the token.
        raise Misuse(f"{path} is no TOML.", 'A line is: url = "https://portal.example"') from None
    if unknown := sorted(set(found) - set(_NAMES)):
        raise Misuse(f"{path} has the unknown name {unknown[0]!r}.", f"Known: {', '.join(_NAMES)}.")
    said: dict[str, str] = {}
    for name, value in found.items():
        if name == "key" and isinstance(value, list):
            value = " ".join(map(str, value))  # noqa: PLW2901  one form from here on
        if name == "patience" and type(value) is int:
            value = str(value)  # noqa: PLW2901  likewise
        if not isinstance(value, str):
            raise Misuse(f"{name} in {path} is no text.", "Put it in quotation marks.")
        said[name] = value
    if "token" in said:
        _check_private(path, "it holds a token")
    return said


def _token(said: Mapping[str, str]) -> str:
    if said.get("token"):
        token = said["token"].strip()
    elif said.get("token_file"):
        path = Path(said["token_file"]).expanduser()
        _check_private(path, "it holds the token")
        token = path.read_text().strip()
    else:
        raise Misuse(
            "There is no token.",
            "Set PORTAL_TOKEN, or PORTAL_TOKEN_FILE to a private file that holds it. An administrator issues tokens.",
            code="no_token",
        )
    if not token.isascii() or not token.isprintable() or " " in token or not token:
        raise Misuse("The token has characters that no token has.", "Copy it again, as one word.")
    return token


def _check_private(path: Path, why: str) -> None:
    try:
        mode = path.stat()
    except OSError as error:
        raise Misuse(f"{path} cannot be read: {error.strerror}.") from None
    if stat.S_IMODE(mode.st_mode) & 0o077:
        raise Misuse(
            f"{path} can be read by others, and {why}.", f"chmod 600 {path}", code="not_private"
        )


def _seconds(text: str) -> float:
    if not text:
        return PATIENCE
    if not (text.isascii() and text.isdecimal() and len(text) < 7):
        raise Misuse("PORTAL_PATIENCE is no number of seconds.", "For example: 600.")
    return float(text)


def _url(text: str) -> str:
    if not text:
        raise Misuse(
            "There is no address.", "Set PORTAL_URL, for example to https://portal.example."
        )
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.username:
        raise Misuse(
            "PORTAL_URL is no address of a portal.", "It looks like https://portal.example."
        )
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise Misuse("PORTAL_URL is not https.", "Only a portal on this machine is asked in clear.")
    return text.rstrip("/")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
