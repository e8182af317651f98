"""Keys, signed notes and checkpoints (C2SP signed-note and tlog-checkpoint) as docs/reference/proof-format.md has them.

Pure: nothing here reads a row, a file or a setting.
"""

import base64
import binascii
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ledger.errors import BadNote

_ED25519 = b"\x01"
_SIGNER = "PRIVATE+KEY+"
_DASH = "\N{EM DASH} "


def _key_id(name: str, public: bytes) -> bytes:
    return sha256(name.encode() + b"\n" + _ED25519 + public).digest()[:4]


def check_name(name: str) -> str:
    """The name, if a key can have it. Raises BadNote."""
    if not name or "+" in name or any(sign.isspace() for sign in name):
        raise BadNote(f"{name!r} is no name of a key: not empty, no spaces, no plus sign.")
    return name


@dataclass(frozen=True)
class Verifier:
    """A public key under its name."""

    name: str
    public: bytes

    @property
    def key_id(self) -> bytes:
        return _key_id(self.name, self.public)

    @property
    def text(self) -> str:
        """`<name>+<key id>+<base 64>`: what an auditor is given."""
        return (
            f"{self.name}+{self.key_id.hex()}+{base64.b64encode(_ED25519 + self.public).decode()}"
        )

    @classmethod
    def parse(cls, text: str) -> "Verifier":
        """Raises BadNote."""
        verifier = cls(*_parts(text))
        if verifier.text != text:
            raise BadNote("The verifier key contradicts itself.")
        return verifier

    def accepts(self, signature: bytes, text: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True)
class Signer:
    """A private key under its name."""

    name: str
    seed: bytes

    @classmethod
    def new(cls, name: str) -> "Signer":
        return cls(check_name(name), Ed25519PrivateKey.generate().private_bytes_raw())

    @classmethod
    def parse(cls, text: str) -> "Signer":
        """Raises BadNote, which does not repeat the key."""
        if not text.startswith(_SIGNER):
            raise BadNote(f"A signer key begins with {_SIGNER}.")
        signer = cls(*_parts(text.removeprefix(_SIGNER)))
        if signer.text != text:
            raise BadNote("The signer key contradicts itself.")
        return signer

    @property
    def text(self) -> str:
        """`PRIVATE+KEY+<name>+<key id>+<base 64>`: what the file outside the database holds."""
        seed = base64.b64encode(_ED25519 + self.seed).decode()
        return f"{_SIGNER}{self.name}+{self.verifier.key_id.hex()}+{seed}"

    @property
    def verifier(self) -> Verifier:
        key = Ed25519PrivateKey.from_private_bytes(self.seed)
        return Verifier(self.name, key.public_key().public_bytes_raw())

    def sign(self, text: bytes) -> bytes:
        return Ed25519PrivateKey.from_private_bytes(self.seed).sign(text)

    def __repr__(self) -> str:
        return f"<Signer {self.name}+{self.verifier.key_id.hex()}>"


def _parts(text: str) -> tuple[str, bytes]:
    try:
        name, _, encoded = text.split("+", 2)
        key = base64.b64decode(encoded, validate=True)
    except (ValueError, binascii.Error) as error:
        raise BadNote("A key is written <name>+<key id>+<base 64>.") from error
    if len(key) != 33 or key[:1] != _ED25519:
        raise BadNote("An Ed25519 key has 32 bytes behind a 1.")
    return check_name(name), key[1:]


def sign(text: str, signers: Iterable[Signer]) -> str:
    """The note: the text, which ends with a line break, with a signature of each signer."""
    lines = []
    for signer in signers:
        signature = signer.verifier.key_id + signer.sign(text.encode())
        lines.append(f"{_DASH}{signer.name} {base64.b64encode(signature).decode()}\n")
    return f"{text}\n{''.join(lines)}"


def open_note(note: str, verifiers: Sequence[Verifier]) -> str:
    """The text of a note that one of the verifiers signed. Raises BadNote.

    Lines by others are ignored; one in a known key's name that does not verify makes the note bad.
    """
    text, empty, rest = note.rpartition("\n\n")
    if not empty or not rest.endswith("\n"):
        raise BadNote("A note is a text, an empty line and signatures.")
    text += "\n"
    known = {(verifier.name, verifier.key_id): verifier for verifier in verifiers}
    good = 0
    for line in rest[:-1].split("\n"):
        try:
            name, encoded = line.removeprefix(_DASH).split(" ")
            signature = base64.b64decode(encoded, validate=True)
        except (ValueError, binascii.Error) as error:
            raise BadNote("A line of the note is no signature.") from error
        verifier = known.get((name, signature[:4]))
        if not line.startswith(_DASH) or len(signature) < 5:
            raise BadNote("A line of the note is no signature.")
        if verifier is None:
            continue
        if not verifier.accepts(signature[4:], text.encode()):
            raise BadNote(f"The signature of {name} is not over this text.")
        good += 1
    if not good:
        raise BadNote("The note is signed by no key that is known here.")
    return text


@dataclass(frozen=True)
class TreeHead:
    """The content of a checkpoint: a tree, its size and its root."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    @classmethod
    def parse(cls, text: str) -> "TreeHead":
        """Raises BadNote."""
        lines = text.split("\n")
        try:
            head = cls(lines[0], int(lines[1]), base64.b64decode(lines[2], validate=True))
        except (ValueError, IndexError, binascii.Error) as error:
            raise BadNote("A checkpoint is an origin, a size and a root, a line each.") from error
        if head.size < 0 or head.text != text or len(head.root) != sha256().digest_size:
            raise BadNote("A checkpoint is an origin, a size and a root, a line each.")
        return head
