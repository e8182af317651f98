"""in-toto-attestation validates the statement of a kept receipt; securesystemslib verifies its envelope."""

import base64
import copy
import json

import securesystemslib.signer
from facts import FACTS, get
from google.protobuf.json_format import Parse
from in_toto_attestation.v1.statement import Statement
from in_toto_attestation.v1.statement_pb2 import Statement as StatementMessage
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError

envelope = get(f"receipts/{FACTS['receipt']}")["envelope"]
payload = base64.b64decode(envelope["payload"])

message = Parse(payload, StatementMessage())
Statement.copy_from_pb(message).validate()
print(f"statement of {FACTS['receipt']}: {len(message.subject)} subject, {message.predicate_type}")

key = securesystemslib.signer.SSlibKey(
    FACTS["keyid"], "ed25519", "ed25519", {"public": FACTS["public_key"]}
)


def verify(one: dict) -> None:
    signed = copy.deepcopy(one)
    Envelope.from_dict(signed).verify([key], 1)


verify(envelope)
said = json.loads(payload)
said["predicate"]["rows"]["kept"] += 1
forged = {**envelope, "payload": base64.b64encode(json.dumps(said).encode()).decode()}
try:
    verify(forged)
except VerificationError:
    print("the envelope verifies, and a changed one does not")
else:
    raise SystemExit("A changed statement verifies.")
