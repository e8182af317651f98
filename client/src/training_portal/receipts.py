"""The receipt of a preparation: an in-toto statement in a DSSE envelope (docs/reference/receipt-format.md of the portal).

A receipt holds counts, digests and names of files and columns; never a member number, an account or a redacted value.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from training_portal.errors import NotVerified
from training_portal.permission import Permission
from training_portal.version import __version__

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://training-portal.example/receipt/v1"
DROPPED = (
    "null_member",
    "unknown_member",
    "excluded",
    "category",
    "before_use_from",
    "duplicate",
    "other",
)
"""The reasons for which rows are dropped; the portal takes no others."""
FILE = "receipt.json"
"""The receipt in the directory of its data set."""
MAX_STATEMENT_BYTES = 7 * 2**19
"""Of the portal: a longer statement is refused there."""


def band(count: int) -> str:
    """The band in which a count of members is told.

    >>> band(0), band(7), band(4711)
    ('0', '1-9', '1000-9999')
    """
    if count == 0:
        return "0"
    lowest = 10 ** (len(str(count)) - 1)
    return f"{lowest}-{10 * lowest - 1}"


def statement(
    permission: Permission,
    *,
    inputs: Sequence[Mapping[str, Any]],
    outputs: Sequence[Mapping[str, Any]],
    member_column: Mapping[str, str],
    dropped: Mapping[str, int],
    distinct_members: int,
    unknown_per_mille: int,
    tokens: Mapping[str, int],
    bytes_by_modality: Mapping[str, int],
    started_at: str,
    ended_at: str,
    data_categories: Sequence[str] | None = None,
    redaction: Mapping[str, Any] | None = None,
    content: Mapping[str, str] | None = None,
    tool: Mapping[str, str] | None = None,
    unknown_accepted: str = "",
) -> dict[str, Any]:
    """The statement of what was done with a delivery.

    `inputs` and `outputs` have `name`, `sha256`, `bytes`, `rows` and may have `schema`. `dropped` counts rows by
    `DROPPED`. `data_categories` are those of the data set, by default all of the run. Times are RFC 3339 with Z.
    `unknown_accepted` says why more authors are unknown than the delivery explains.
    Raises ValueError for a reason that the portal does not take, or where rows do not add up.
    """
    if strange := sorted(set(dropped) - set(DROPPED)):
        raise ValueError(f"{strange[0]} is no reason to drop a row: {', '.join(DROPPED)}.")
    kept = sum(one["rows"] for one in outputs)
    rows_in = sum(one["rows"] for one in inputs)
    if rows_in != kept + sum(dropped.values()):
        raise ValueError("The rows in are not the rows kept and the rows dropped.")
    predicate = {
        "run": permission.run,
        "purpose": permission.purpose,
        "data_categories": list(
            permission.data_categories if data_categories is None else data_categories
        ),
        "manifest": permission.manifest,
        "delivery": {
            "reference": permission.delivery,
            "archive": permission.archive,
            "files": [one.sha256 for one in permission.files],
            "subtraction": {
                "count": permission.subtraction.count,
                "digest": permission.subtraction.digest,
                "cut": permission.subtraction.cut,
            },
            "leased_until": permission.leased_until_text,
        },
        "inputs": [dict(one) for one in inputs],
        "outputs": [dict(one) for one in outputs],
        "member_column": dict(member_column),
        "rows": {"in": rows_in, "kept": kept, "dropped": dict(dropped)},
        "distinct_members": band(distinct_members),
        "unknown_per_mille": unknown_per_mille,
        "tokens": dict(tokens),
        "bytes": dict(bytes_by_modality),
        "tool": dict(tool or {"name": "training-portal", "version": __version__}),
        "started_at": started_at,
        "ended_at": ended_at,
        **({"redaction": dict(redaction)} if redaction else {}),
        **({"content": dict(content)} if content else {}),
        **({"unknown_accepted": unknown_accepted} if unknown_accepted else {}),
    }
    return {
        "_type": STATEMENT,
        "subject": [{"name": one["name"], "digest": {"sha256": one["sha256"]}} for one in outputs],
        "predicateType": PREDICATE,
        "predicate": predicate,
    }


def envelope(statement: Mapping[str, Any], key: Ed25519PrivateKey) -> dict[str, Any]:
    """The statement in a DSSE envelope, signed. Equal statements and keys give equal envelopes."""
    payload = json.dumps(
        statement, sort_keys=True, separators=(",", ":"), ensure_ascii=False
    ).encode()
    return {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [
            {
                "keyid": keyid(key.public_key()),
                "sig": base64.b64encode(key.sign(_signed(payload))).decode(),
            }
        ],
    }


def opened(sent: Mapping[str, Any], public: Ed25519PublicKey | None = None) -> dict[str, Any]:
    """The statement in an envelope, with `public` only if that key has signed it. Raises NotVerified.

    Without a key it says what the envelope holds, and nothing about who said it.
    """
    try:
        if sent["payloadType"] != PAYLOAD_TYPE or len(sent["signatures"]) != 1:
            raise ValueError("it is no envelope of one signature")
        payload = base64.b64decode(sent["payload"], validate=True)
        signature = sent["signatures"][0]
        if public is not None:
            if signature["keyid"] != keyid(public):
                raise ValueError("it is signed by another key")
            public.verify(base64.b64decode(signature["sig"], validate=True), _signed(payload))
        said = json.loads(payload)
        if said["_type"] != STATEMENT or said["predicateType"] != PREDICATE:
            raise ValueError("it is the envelope of something else")
    except InvalidSignature:
        raise NotVerified("The signature of the receipt is false.") from None
    except (ValueError, KeyError, TypeError) as error:
        raise NotVerified(f"The receipt cannot be read: {error}.") from None
    return dict(said)


def digest_in(directory: Path) -> str:
    """The SHA-256 of the statement beside a data set, by which the portal finds its receipt. Raises NotVerified, OSError."""
    sent = json.loads((directory / FILE).read_bytes())
    opened(sent)
    return sha256(base64.b64decode(sent["payload"])).hexdigest()


def keyid(public: Ed25519PublicKey) -> str:
    """SHA-256 of the public key's 32 bytes."""
    return sha256(public.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()


def _signed(payload: bytes) -> bytes:
    """The bytes that a DSSE signature covers (its PAE)."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
