"""The key that signs receipts: made on this machine, kept privately, made known to the portal once."""

import base64
import stat
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from training_portal.errors import Misuse
from training_portal.http import Session
from training_portal.receipts import keyid
from training_portal.trust.memory import write_private

_FILE = "receipt-key.pem"


def load(state: Path) -> Ed25519PrivateKey | None:
    """The key in the state directory; None where there is none yet. Raises Misuse for a file that others can read."""
    path = state / _FILE
    if not path.exists():
        return None
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise Misuse(
            f"{path} can be read by others, and it signs your receipts.",
            f"End it (training-portal keys end), then chmod 600 {path} or remove it.",
            code="not_private",
        )
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise Misuse(f"{path} is no Ed25519 key.", "Remove it; the next use makes a new one.")
    return key


def load_or_make(state: Path) -> Ed25519PrivateKey:
    """The key in the state directory, made where there is none."""
    found = load(state)
    if found is not None:
        return found
    key = Ed25519PrivateKey.generate()
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(
        state / _FILE,
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )
    return key


def forget(state: Path) -> None:
    """Remove the key from this machine."""
    (state / _FILE).unlink(missing_ok=True)


def registered(session: Session) -> list[dict[str, Any]]:
    """Your keys at the portal, also those that have ended."""
    return list(session.get("me/keys").json["results"])


def trusted(state: Path, session: Session) -> list[Ed25519PublicKey]:
    """The keys whose receipts are accepted: the key of this machine, and the keys of your account that have not ended.

    A data set is often prepared on another machine than it is trained on. Raises what the session raises.
    """
    own = load(state)
    found = [own.public_key()] if own is not None else []
    for one in registered(session):
        if one["ended_at"] is None:
            found.append(Ed25519PublicKey.from_public_bytes(base64.b64decode(one["public_key"])))
    return found


def register(session: Session, key: Ed25519PrivateKey, name: str = "training-portal") -> str:
    """Make the key known to the portal for your account, if it is not yet; returns its id."""
    fingerprint = keyid(key.public_key())
    known = [one for one in registered(session) if one["fingerprint"] == fingerprint]
    if any(one["ended_at"] is None for one in known):
        return fingerprint
    if known:
        raise Misuse(
            "The key on this machine has ended: the portal takes no receipt of it.",
            "Make a new one: training-portal keys new.",
            code="key_ended",
        )
    challenge = session.post("me/keys/challenges").json["challenge"]
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    session.post(
        "me/keys",
        {
            "name": name,
            "public_key": base64.b64encode(public).decode(),
            "challenge": challenge,
            "signature": base64.b64encode(key.sign(challenge.encode())).decode(),
        },
    )
    return fingerprint


def end(session: Session, fingerprint: str) -> None:
    """End a key of yours at the portal. What it signed before still verifies."""
    session.delete(f"me/keys/{fingerprint}")
