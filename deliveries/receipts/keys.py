"""Keys of runners: Ed25519 public keys under which receipts are signed. Registering proves that the private key is there."""

import base64
import hashlib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.contrib.auth.models import User
from django.core import signing

from deliveries.models import RunnerKey
from ledger import entries
from ledger.errors import InvalidInput, NotFound, RuleViolation

MAX_KEYS = 20
"""Keys of one person that have not ended."""
CHALLENGE_SECONDS = 600
_SALT = "deliveries.runner_key"
_PRIME = 2**255 - 19
# The y coordinates of the points of small order on edwards25519 (RFC 8032): under such a key one signature fits many
# messages, so that it proves nothing.
_SMALL_ORDER = {
    0,
    1,
    _PRIME - 1,
    2707385501144840649318225287225658788936804267575313519463743609750303402022,
    55188659117513257062467267217118295137698188065244968500265048394206261417927,
}


class KeyTaken(RuleViolation):
    """Another account has registered the key."""

    code = "key_taken"


class TooManyKeys(RuleViolation):
    code = "too_many_keys"


def challenge_for(user: User) -> str:
    """The text to sign with the private key, within ten minutes. It is bound to the account."""
    return signing.TimestampSigner(salt=_SALT).sign(f"runner-key:{user.pk}")


def register(
    *, user: User, name: str, public_key: str, challenge: str, signature: str
) -> tuple[RunnerKey, bool]:
    """Register a key for the account; the same key again gives the same row and False.

    `public_key` and `signature` are base64; the signature is over the challenge's bytes. Raises InvalidInput, KeyTaken,
    TooManyKeys.
    """
    raw = decoded(public_key, 32, "public_key")
    check_strength(raw)
    _check_challenge(user, challenge)
    try:
        Ed25519PublicKey.from_public_bytes(raw).verify(
            decoded(signature, 64, "signature"), challenge.encode()
        )
    except InvalidSignature:
        raise InvalidInput(
            "This is not the key's signature over the challenge.", field="signature"
        ) from None
    fingerprint = hashlib.sha256(raw).hexdigest()
    with entries.entry(
        "runner_key.registered", actor=user, subject=f"runner_key:{fingerprint[:16]}"
    ) as opened:
        known = RunnerKey.objects.filter(fingerprint=fingerprint).first()
        if known is not None:
            opened.abandon()
            if known.user_id != user.pk:
                raise KeyTaken("Another account has registered this key: make a new one.")
            if known.ended_at is not None:
                raise KeyTaken("This key has ended: make a new one.")
            return known, False
        if RunnerKey.objects.filter(user=user, ended_at=None).count() >= MAX_KEYS:
            raise TooManyKeys(f"You have {MAX_KEYS} keys: end one first.")
        key = RunnerKey(
            user=user,
            name=name,
            public_key=base64.b64encode(raw).decode(),
            fingerprint=fingerprint,
            registered_at=opened.recorded_at,
        )
        key.save()
    return key, True


def end(*, user: User, fingerprint: str) -> RunnerKey:
    """End one's own key: what it signed before still verifies. Raises NotFound."""
    with entries.entry(
        "runner_key.ended", actor=user, subject=f"runner_key:{fingerprint[:16]}"
    ) as opened:
        key = (
            RunnerKey.objects.select_for_update().filter(user=user, fingerprint=fingerprint).first()
        )
        if key is None:
            raise NotFound("You have no such key.")
        if key.ended_at is not None:
            opened.abandon()
            return key
        key.ended_at = opened.recorded_at
        key.save()
    return key


def decoded(text: str, length: int, field: str) -> bytes:
    """The bytes of base64 in its one form. Raises InvalidInput."""
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        raw = b""
    if len(raw) != length or base64.b64encode(raw).decode() != text:
        raise InvalidInput(f"{length} bytes in base64.", field=field)
    return raw


def check_strength(raw: bytes) -> None:
    """Raises InvalidInput for a key of small order, or one that is not written in its one form."""
    y = int.from_bytes(raw, "little") & (2**255 - 1)
    if y >= _PRIME or y in _SMALL_ORDER:
        raise InvalidInput(
            "This is no key of Ed25519 that proves anything. Make a new one.", field="public_key"
        )


def _check_challenge(user: User, challenge: str) -> None:
    try:
        said = signing.TimestampSigner(salt=_SALT).unsign(challenge, max_age=CHALLENGE_SECONDS)
    except signing.BadSignature:
        said = ""
    if said != f"runner-key:{user.pk}":
        raise InvalidInput(
            "The challenge is another account's, or older than ten minutes: fetch a new one.",
            field="challenge",
        )
