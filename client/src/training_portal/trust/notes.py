"""Verifier keys, signed notes, checkpoints and proofs, as docs/reference/proof-format.md of the portal has them.

Every function raises NotVerified for what is not exactly in its form.
"""

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from training_portal.errors import Misuse, NotVerified
from training_portal.trust.merkle import (
    HASH_BYTES,
    MAX_PATH,
    WrongPath,
    leaf_hash,
    root_of_leaf,
    roots_of_growth,
)

_ED25519 = b"\x01"
_KEY = re.compile(r"([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")
_MAX_SIZE = 2**63
_MAX_SIGNATURES = 100


@dataclass(frozen=True)
class VerifierKey:
    """A public key of the ledger, as people handed it over: `<name>+<key id>+<base64>`."""

    name: str
    id: bytes
    public: bytes

    @classmethod
    def parse(cls, text: str) -> "VerifierKey":
        """Raises Misuse: the key is part of the settings."""
        found = _KEY.fullmatch(text)
        if text.startswith("PRIVATE+"):
            raise Misuse(
                "PORTAL_KEY holds a signing key.",
                "Only the portal may have it: tell its people, and ask for the verifier key.",
            )
        data = _decoded(found[3]) if found else None
        if found is None or data is None or len(data) != 33 or data[:1] != _ED25519:
            raise Misuse(
                "PORTAL_KEY is no verifier key.",
                "It looks like portal.example/ledger+1a2b3c4d+AbCd…; the person who issued the token has it.",
            )
        key_id = sha256(found[1].encode() + b"\n" + data).digest()[:4]
        if key_id.hex() != found[2]:
            raise Misuse(
                f"The verifier key {found[1]}+{found[2]} does not have its key id.",
                "It was miscopied: take it again from the person who issued the token.",
            )
        return cls(found[1], key_id, data[1:])

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}"

    def has_signed(self, text: bytes, signature: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True)
class Checkpoint:
    """A signer's statement that the tree of `size` leaves under `origin` has this root."""

    origin: str
    size: int
    root: bytes
    note: str
    """The signed note it was read from."""

    @classmethod
    def read(cls, note: str, keys: Sequence[VerifierKey], what: str) -> "Checkpoint":
        """The checkpoint of a signed note that one of the keys has signed; a false signature of a known key refuses it."""
        text, signatures = _parts_of_note(note, what)
        signers = _signers(text, signatures, keys, what)
        lines = text.split("\n")
        if len(lines) != 4 or lines[3]:
            raise NotVerified(f"{what} is no checkpoint.")
        origin, size, root = lines[:3]
        for key in signers:
            if origin != key.name and not origin.startswith(f"{key.name}/"):
                raise NotVerified(f"{what} is of {origin[:80]}, for which {key} does not speak.")
        return cls(origin, _number(size, what), _hash(root, what), note)


def _parts_of_note(note: str, what: str) -> tuple[str, list[tuple[str, bytes]]]:
    """The signed text and, of each signature, the name and the bytes."""
    head, gap, block = note.rpartition("\n\n")
    if not gap or not head or not block.endswith("\n"):
        raise NotVerified(f"{what} is no signed note.")
    if any(ord(one) < 0x20 and one != "\n" for one in note):
        raise NotVerified(f"{what} has control characters.")
    signatures = []
    for line in block[:-1].split("\n"):
        found = re.fullmatch(r"\u2014 ([^\s+]+) ([A-Za-z0-9+/]+={0,2})", line)
        data = _decoded(found[2]) if found else None
        if found is None or data is None or len(data) < 5:
            raise NotVerified(f"{what} has a line among its signatures that is none.")
        signatures.append((found[1], data))
    if len(signatures) > _MAX_SIGNATURES:
        raise NotVerified(f"{what} has more than {_MAX_SIGNATURES} signatures.")
    return f"{head}\n", signatures


def _signers(
    text: str, signatures: Sequence[tuple[str, bytes]], keys: Sequence[VerifierKey], what: str
) -> list[VerifierKey]:
    known = {(key.name, key.id): key for key in keys}
    signers = []
    for name, data in signatures:
        key = known.get((name, data[:4]))
        if key is None:
            continue
        if not key.has_signed(text.encode(), data[4:]):
            raise NotVerified(f"{what} has a signature of {key} that is false.")
        signers.append(key)
    if not signers:
        found = ", ".join(f"{name}+{data[:4].hex()}"[:80] for name, data in signatures[:3])
        raise NotVerified(
            f"{what} is signed by {found}, and not by a key in PORTAL_KEY.",
            "Either the portal has a new key (ask people for it, never the portal), or this is another portal.",
            code="other_key",
        )
    return signers


@dataclass(frozen=True)
class Proved:
    """That these bytes are the leaf `index` (from 0) of the tree that the checkpoint signs."""

    data: bytes
    index: int
    checkpoint: Checkpoint


def read_proof(proof: str, keys: Sequence[VerifierKey], what: str) -> Proved:
    """The statement that a C2SP tlog-proof proves under one of the keys."""
    head, _, note = proof.partition("\n\n")
    lines = head.split("\n")
    if lines[0] != "c2sp.org/tlog-proof@v1" or not 3 <= len(lines) <= 3 + MAX_PATH:
        raise NotVerified(f"{what} is no tlog-proof with the data of its leaf.")
    data = _decoded(_after("extra ", lines[1], what))
    if data is None:
        raise NotVerified(f"{what} has data that is not base 64.")
    index = _number(_after("index ", lines[2], what), what)
    path = [_hash(line, what) for line in lines[3:]]
    checkpoint = Checkpoint.read(note, keys, f"The checkpoint of {what}")
    try:
        root = root_of_leaf(leaf_hash(data), index, checkpoint.size, path)
    except WrongPath as error:
        raise NotVerified(f"{what} has a path that fits no tree: {error}.") from None
    if root != checkpoint.root:
        raise NotVerified(f"{what} does not lead to the root that was signed.")
    return Proved(data, index, checkpoint)


def check_growth(
    old: Checkpoint, new: Checkpoint, proof: str, keys: Sequence[VerifierKey], what: str
) -> None:
    """Raises NotVerified unless the proof says that the new checkpoint continues the old one, under the keys."""
    head, _, note = proof.partition("\n\n")
    lines = head.split("\n")
    if lines[0] != "training-portal/consistency@v1" or not 2 <= len(lines) <= 3 + MAX_PATH:
        raise NotVerified(f"{what} is no consistency proof.")
    size = _number(_after("old ", lines[1], what), what)
    path = [_hash(line, what) for line in lines[2:]]
    proved = Checkpoint.read(note, keys, f"The checkpoint of {what}")
    if size != old.size or (proved.origin, proved.size, proved.root) != (
        new.origin,
        new.size,
        new.root,
    ):
        raise NotVerified(f"{what} is about other checkpoints.")
    try:
        roots = roots_of_growth(old.root, old.size, new.size, path)
    except WrongPath as error:
        raise NotVerified(f"{what} has a path that fits no tree: {error}.") from None
    if roots != (old.root, new.root):
        raise NotVerified(
            f"The ledger of {new.size} entries does not continue the one of {old.size} entries that was seen before.",
            "History was rewritten, or a backup was restored: use nothing, and tell the portal's people and an auditor.",
            code="ledger_rewritten",
        )


def _after(word: str, line: str, what: str) -> str:
    if not line.startswith(word):
        raise NotVerified(f"{what} has no line that begins with {word.strip()!r}.")
    return line.removeprefix(word)


def _decoded(text: str) -> bytes | None:
    """Base 64 in the one form that each value has; None for other texts."""
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        return None
    return data if base64.b64encode(data).decode() == text else None


def _hash(text: str, what: str) -> bytes:
    data = _decoded(text)
    if data is None or len(data) != HASH_BYTES:
        raise NotVerified(f"{what} has a line that is no hash.")
    return data


def _number(text: str, what: str) -> int:
    if not _NUMBER.fullmatch(text) or int(text) >= _MAX_SIZE:
        raise NotVerified(f"{what} has a line that is no number.")
    return int(text)
