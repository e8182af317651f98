"""A small maker of receipts, for the demo and the tests: what a client of the ML team does, without the portal's code."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

PAYLOAD_TYPE = "application/vnd.in-toto+json"


class Runner:
    """A runner with its key."""

    def __init__(self, private_key: Ed25519PrivateKey | None = None) -> None:
        self.private_key = private_key or Ed25519PrivateKey.generate()
        self.public_bytes = self.private_key.public_key().public_bytes(
            serialization.Encoding.Raw, serialization.PublicFormat.Raw
        )

    @property
    def public_key(self) -> str:
        return base64.b64encode(self.public_bytes).decode()

    @property
    def keyid(self) -> str:
        return hashlib.sha256(self.public_bytes).hexdigest()

    def answer(self, challenge: str, name: str = "runner") -> dict[str, str]:
        """The body that registers the key."""
        signature = self.private_key.sign(challenge.encode())
        return {
            "name": name,
            "public_key": self.public_key,
            "challenge": challenge,
            "signature": base64.b64encode(signature).decode(),
        }

    def sign(self, statement: Mapping[str, Any]) -> dict[str, Any]:
        """The statement in a DSSE envelope."""
        return self.seal(json.dumps(statement, sort_keys=True).encode())

    def seal(self, payload: bytes) -> dict[str, Any]:
        """Any bytes in a DSSE envelope."""
        kind = PAYLOAD_TYPE.encode()
        signed = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
        return {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [
                {
                    "keyid": self.keyid,
                    "sig": base64.b64encode(self.private_key.sign(signed)).decode(),
                }
            ],
        }


def file(name: str, content: bytes, rows: int) -> dict[str, Any]:
    """An input or an output, as a receipt names it."""
    digest = hashlib.sha256(content).hexdigest()
    return {"name": name, "sha256": digest, "bytes": len(content), "rows": rows}


def statement(
    run: Mapping[str, Any],
    delivery: Mapping[str, Any],
    *,
    inputs: Sequence[Mapping[str, Any]],
    outputs: Sequence[Mapping[str, Any]],
    dropped: Mapping[str, int],
    started_at: str,
    ended_at: str,
    **more: Any,
) -> dict[str, Any]:
    """The in-toto statement of a preparation; `run` and `delivery` are answers of the API."""
    kept = sum(one["rows"] for one in outputs)
    predicate = {
        "run": run["reference"],
        "purpose": run["purpose"],
        "data_categories": run["data_categories"],
        "manifest": delivery["manifest"],
        "delivery": {
            "reference": delivery["reference"],
            "archive": delivery["digest"],
            "files": [one["sha256"] for one in delivery["files"]],
            "subtraction": {
                "count": delivery["subtracted"],
                "digest": delivery["subtraction_digest"],
                "cut": delivery["cut"],
            },
            "leased_until": delivery["leased_until"],
        },
        "inputs": list(inputs),
        "outputs": list(outputs),
        "member_column": {"name": "author", "type": "string"},
        "rows": {"in": kept + sum(dropped.values()), "kept": kept, "dropped": dict(dropped)},
        "distinct_members": "1-9",
        "unknown_per_mille": 0,
        "tokens": {"text": 40 * kept},
        "bytes": {"text": 160 * kept},
        "tool": {"name": "sample-preparation", "version": "1.0"},
        "started_at": started_at,
        "ended_at": ended_at,
        **more,
    }
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": one["name"], "digest": {"sha256": one["sha256"]}} for one in outputs],
        "predicateType": "https://training-portal.example/receipt/v1",
        "predicate": predicate,
    }
