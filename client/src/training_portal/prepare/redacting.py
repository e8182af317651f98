"""The redaction of text, in a form from which each process makes its own redactor."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # An extra of its own, loaded by the methods: a preparation without redaction does without it.
    from training_portal.redaction import KnownValue, Profile, RedactionList, Redactor


@dataclass(frozen=True)
class Redaction:
    """The parts of a redactor."""

    profile: "Profile"
    known_values: "tuple[KnownValue, ...]" = field(default=(), repr=False)
    redaction_list: "RedactionList | None" = field(default=None, repr=False)
    key: bytes | None = field(default=None, repr=False)

    def redactor(self) -> "Redactor":
        from training_portal.redaction import Redactor

        lent = self.redaction_list if self.redaction_list is not None else ()
        return Redactor(self.profile, self.known_values, lent, self.key)

    @property
    def names_people(self) -> bool:
        """Whether it holds values of people, which may not be written to a disk."""
        return bool(self.known_values) or self.redaction_list is not None

    @property
    def fingerprint(self) -> str | None:
        """A digest of the parts that decide the result; None with known values, of which not even a digest is kept."""
        from training_portal.redaction import ENGINE, VERSION

        if self.known_values:
            return None
        version = self.redaction_list.version if self.redaction_list is not None else ""
        key = "" if self.key is None else sha256(self.key).hexdigest()
        return sha256(
            "\n".join((ENGINE, VERSION, self.profile.digest, version, key)).encode()
        ).hexdigest()

    def for_receipt(
        self, by_kind: Mapping[str, int], by_entry: Mapping[int, int]
    ) -> dict[str, Any]:
        """The part `redaction` of a receipt."""
        from training_portal.redaction import Hits
        from training_portal.redaction.redactor import for_receipt

        lent = self.redaction_list
        return for_receipt(
            Hits(dict(by_kind), dict(by_entry)),
            self.profile,
            None if lent is None else lent.version,
        )
