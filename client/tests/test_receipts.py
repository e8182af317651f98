import base64
import copy

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from lying_portal import DELIVERY, RUN, LyingPortal

from training_portal import receipts
from training_portal.errors import NotVerified
from training_portal.trust import Memory, Trust, VerifierKey


@pytest.fixture
def permission(tmp_path):
    lying = LyingPortal(tmp_path)
    trust = Trust((VerifierKey.parse(lying.verifier_key),), Memory(tmp_path / "memory"))
    return trust.verify(lying, run=RUN, delivery=DELIVERY)


FACTS = {
    "inputs": [{"name": "raw.parquet", "sha256": "ab" * 32, "bytes": 10, "rows": 10}],
    "outputs": [{"name": "clean.parquet", "sha256": "cd" * 32, "bytes": 9, "rows": 9}],
    "member_column": {"name": "author", "type": "string"},
    "dropped": {"excluded": 1},
    "distinct_members": 9,
    "unknown_per_mille": 0,
    "tokens": {"text": 90},
    "bytes_by_modality": {"text": 900},
    "started_at": "2026-11-26T10:00:00Z",
    "ended_at": "2026-11-26T10:05:00Z",
}


@pytest.fixture
def key():
    return Ed25519PrivateKey.generate()


def test_an_envelope_opens_with_the_key_that_closed_it(permission, key):
    statement = receipts.statement(permission, **FACTS)

    sealed = receipts.envelope(statement, key)

    assert receipts.opened(sealed, key.public_key()) == statement


def test_the_same_statement_gives_the_same_bytes(permission, key):
    statement = receipts.statement(permission, **FACTS)

    assert receipts.envelope(statement, key) == receipts.envelope(copy.deepcopy(statement), key)


def test_another_key_opens_nothing(permission, key):
    sealed = receipts.envelope(receipts.statement(permission, **FACTS), key)

    with pytest.raises(NotVerified, match="another key"):
        receipts.opened(sealed, Ed25519PrivateKey.generate().public_key())


def test_a_changed_statement_is_noticed(permission, key):
    sealed = receipts.envelope(receipts.statement(permission, **FACTS), key)
    payload = base64.b64decode(sealed["payload"]).replace(b'"kept":9', b'"kept":8')
    sealed["payload"] = base64.b64encode(payload).decode()

    with pytest.raises(NotVerified, match="is false"):
        receipts.opened(sealed, key.public_key())


def test_rows_that_do_not_add_up_are_no_receipt(permission):
    with pytest.raises(ValueError, match="rows kept and the rows dropped"):
        receipts.statement(permission, **{**FACTS, "dropped": {"excluded": 2}})


def test_a_reason_that_the_portal_does_not_know_is_no_receipt(permission):
    with pytest.raises(ValueError, match="no reason to drop a row"):
        receipts.statement(permission, **{**FACTS, "dropped": {"too_old": 1}})


@pytest.mark.parametrize(
    ("count", "told"),
    [(0, "0"), (1, "1-9"), (9, "1-9"), (10, "10-99"), (999_999_999, "100000000-999999999")],
)
def test_counts_of_members_are_told_in_bands(count, told):
    assert receipts.band(count) == told
