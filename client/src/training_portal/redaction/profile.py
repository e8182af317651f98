"""Profiles: the kinds of items that are replaced, as a file with a digest."""

import re
from dataclasses import dataclass
from hashlib import sha256
from importlib import resources
from pathlib import Path
from typing import Any, Final

from training_portal import toml
from training_portal.errors import Misuse
from training_portal.redaction.kinds import KINDS_OF_PATTERNS

SHIPPED: Final = ("default",)
"""Profiles that come with the package, by name."""
_FIELDS = frozenset({"name", "version", "kinds"})
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]{0,49}")


@dataclass(frozen=True)
class Profile:
    """The kinds of items that are replaced. Two profiles are the same if their bytes are."""

    name: str
    version: str
    kinds: tuple[str, ...]
    digest: str
    """SHA-256 of the file's bytes, in hexadecimal: what a receipt names the profile by."""

    @classmethod
    def load(cls, name_or_path: str | Path = "default") -> "Profile":
        """A profile that comes with the package, by its name, or one of your own, by its path. Raises Misuse."""
        if name_or_path in SHIPPED:
            shipped = resources.files("training_portal.redaction") / f"{name_or_path}.toml"
            return cls.read(shipped.read_bytes())
        try:
            return cls.read(Path(name_or_path).read_bytes())
        except OSError as error:
            raise Misuse(
                f"The redaction profile {name_or_path} cannot be read: {error.strerror}.",
                f"Give the path of a TOML file, or one of: {', '.join(SHIPPED)}.",
            ) from None

    @classmethod
    def read(cls, data: bytes) -> "Profile":
        """The profile in the bytes of a TOML file. Raises Misuse, which names the fault."""
        said = toml.read(data, _fault)
        if unknown := sorted(said.keys() - _FIELDS):
            raise _fault(
                f"unknown fields: {', '.join(unknown)}",
                f"Its fields are {', '.join(sorted(_FIELDS))}.",
            )
        if missing := sorted(_FIELDS - said.keys()):
            raise _fault(f"missing fields: {', '.join(missing)}", "Add them.")
        for field in ("name", "version"):
            if not isinstance(said[field], str) or not _PLAIN.fullmatch(said[field]):
                raise _fault(
                    f"`{field}` is not plain",
                    "Up to 50 letters, digits, dots, hyphens and underscores, as text.",
                )
        return cls(said["name"], said["version"], _kinds(said["kinds"]), sha256(data).hexdigest())


def _kinds(said: Any) -> tuple[str, ...]:
    known = f"Kinds that patterns find: {', '.join(KINDS_OF_PATTERNS)}."
    if not isinstance(said, list) or not all(isinstance(kind, str) for kind in said):
        raise _fault("`kinds` is no list of texts", known)
    if unknown := sorted(set(said) - set(KINDS_OF_PATTERNS)):
        raise _fault(f"unknown kinds: {', '.join(unknown)}", known)
    if len(set(said)) < len(said):
        raise _fault("a kind is there twice", "Name each kind once.")
    return tuple(said)


def _fault(problem: str, remedy: str) -> Misuse:
    return Misuse(f"The redaction profile cannot be used: {problem}.", remedy)
