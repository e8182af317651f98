"""Data sets of many files: each is read, written and named in the receipt, or the preparation says so before any work."""

import resource
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from making import COLUMNS, KEY, NOW, OPTIONS, account, make_permission, write_raw

from training_portal import receipts
from training_portal.errors import Misuse
from training_portal.prepare import prepare, verify_directory
from training_portal.prepare.inputs import Inputs, named


@pytest.fixture
def few_open_files():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (300, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _prepare(inputs, output, permission):
    return prepare(
        inputs,
        output,
        permission=permission,
        columns=COLUMNS,
        redaction=None,
        options=OPTIONS,
        key=KEY,
    )


def test_more_files_than_a_process_may_open_at_first(tmp_path, few_open_files):
    permission = make_permission(tmp_path, [1, 2], population=3)
    inputs = [
        write_raw(
            tmp_path / f"raw/part-{number:05d}.parquet",
            {
                "author": [account(1), account(3)],
                "body": [f"{number}", "no"],
                "ip_address": ["", ""],
            },
        )
        for number in range(600)
    ]

    made = _prepare(inputs, tmp_path / "clean", permission)

    said = made.statement["predicate"]
    assert (len(said["inputs"]), len(said["outputs"])) == (600, 600)
    assert said["rows"]["kept"] == 600
    assert (
        made.statement
        == verify_directory(tmp_path / "clean", keys=[KEY.public_key()], now=NOW).statement
    )


def test_more_files_than_a_receipt_has_room_for_are_refused_before_any_work(tmp_path):
    permission = make_permission(tmp_path, [1], population=1)
    nowhere = [Path(f"raw/part-{number:05d}.parquet") for number in range(9_000)]

    with pytest.raises(Misuse, match="9000 inputs are too many for one receipt") as told:
        _prepare(nowhere, tmp_path / "clean", permission)

    most = int(str(told.value.remedy).split(" ")[2])
    assert 5_000 < most < 9_000
    assert not (tmp_path / "clean").exists()
    # As many as that do fit.
    files = [
        {"name": one.name, "sha256": "0" * 64, "bytes": 2**40, "rows": 2**31}
        for one in nowhere[:most]
    ]
    statement = {
        "subject": [{"name": one["name"], "digest": {"sha256": one["sha256"]}} for one in files],
        "predicate": {"inputs": files, "outputs": files},
    }
    payload = receipts.envelope(statement, Ed25519PrivateKey.generate())["payload"]
    assert len(payload) * 3 // 4 < receipts.MAX_STATEMENT_BYTES


def test_a_limit_of_open_files_that_cannot_be_raised_is_named(tmp_path, monkeypatch):
    raw = write_raw(
        tmp_path / "raw/posts.parquet", {"author": [account(1)], "body": [""], "ip_address": [""]}
    )
    monkeypatch.setattr(resource, "getrlimit", lambda which: (100, 200))

    with pytest.raises(Misuse, match="1 inputs need 258 open files, and this process may have 200"):
        Inputs(named([raw])).__enter__()
