"""DSSE envelopes (Dead Simple Signing Envelope, v1) around in-toto statements, signed by Ed25519."""

import base64
import re
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from common.text import strict_json
from ledger.errors import InvalidInput

PAYLOAD_TYPE = "application/vnd.in-toto+json"
MAX_BYTES = 7 * 2**19
"""Of a statement: some 8,000 files, read and written. In base64 it fits into the largest body (MAX_BODY_BYTES)."""


@dataclass(frozen=True)
class Envelope:
    """A read envelope. Nothing in it is believed before `check_signature`."""

    payload: bytes
    keyid: str
    """SHA-256 of the public key, hexadecimal."""
    signature: bytes


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """The bytes that are signed: the protocol of DSSE v1.

    >>> pre_authentication_encoding("http://example.com/HelloWorld", b"hello world")
    b'DSSEv1 29 http://example.com/HelloWorld 11 hello world'
    """
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def read(sent: Any) -> Envelope:
    """The envelope that a body holds: one signature, strict base64. Raises InvalidInput."""
    if not isinstance(sent, dict) or sent.keys() != {"payload", "payloadType", "signatures"}:
        raise InvalidInput(
            "A DSSE envelope has payload, payloadType and signatures, and nothing else.",
            field="envelope",
        )
    if sent["payloadType"] != PAYLOAD_TYPE:
        raise InvalidInput(f"The payload's type is {PAYLOAD_TYPE}.", field="payloadType")
    signatures = sent["signatures"]
    if not isinstance(signatures, list) or len(signatures) != 1:
        raise InvalidInput("One signature: the runner's.", field="signatures")
    one = signatures[0]
    if (
        not isinstance(one, dict)
        or one.keys() != {"keyid", "sig"}
        or not isinstance(one["keyid"], str)
    ):
        raise InvalidInput("A signature has keyid and sig, and nothing else.", field="signatures")
    if not re.fullmatch(r"[0-9a-f]{64}", one["keyid"]):
        raise InvalidInput(
            "`keyid` is the SHA-256 of the public key's 32 bytes, in 64 lower-case hexadecimal digits.",
            field="signatures.keyid",
        )
    payload = _bytes(sent["payload"], "payload")
    if len(payload) > MAX_BYTES:
        raise InvalidInput(f"A statement has at most {MAX_BYTES:,} bytes.", field="payload")
    return Envelope(payload, one["keyid"], _bytes(one["sig"], "signatures.sig"))


def _bytes(text: Any, field: str) -> bytes:
    """Base64 in its one form: a second spelling of the same bytes would be another envelope."""
    try:
        raw = base64.b64decode(text, validate=True) if isinstance(text, str) else None
    except ValueError:
        raw = None
    if raw is None or base64.b64encode(raw).decode() != text:
        raise InvalidInput("Base64 (RFC 4648, section 4) with its padding.", field=field)
    return raw


def check_signature(envelope: Envelope, public_key: str) -> None:
    """Raises InvalidInput unless the key (32 bytes in base64) signed the payload."""
    signed = pre_authentication_encoding(PAYLOAD_TYPE, envelope.payload)
    try:
        Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key)).verify(
            envelope.signature, signed
        )
    except InvalidSignature:
        raise InvalidInput(
            "The signature is not that of the key over this payload.",
            field="signatures.sig",
            code="wrong_signature",
        ) from None


def statement_in(envelope: Envelope) -> Any:
    """The JSON of the payload. Raises InvalidInput."""
    try:
        return strict_json.read(envelope.payload)
    except strict_json.NotJson as error:
        raise InvalidInput(f"The payload is not JSON: {error}", field="payload") from None
