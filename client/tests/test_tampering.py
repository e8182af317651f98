"""Whatever is not what was signed and sealed is refused before the first row is used: a table of what an attacker may do.

The attacker owns the network, the portal's web server and the disk of the cache, and not the ledger's key.
"""

import base64
import datetime as dt
import shutil
import time
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from conftest import new_run, switch_off_at
from training_portal.errors import LeaseOver, NotVerified
from training_portal.runs import Portal
from training_portal.settings import Settings
from training_portal.source import PortalSource
from training_portal.trust import Memory, Trust, VerifierKey, Withdrawals
from training_portal.trust.archives import read_delivery
from training_portal.trust.notes import read_proof
from training_portal.trust.sealed import SealedDelivery, SealedFile, read

pytestmark = pytest.mark.live


@dataclass
class Delivered:
    """A run with a delivery, its source, and its list on this machine."""

    run: str
    delivery: str
    source: PortalSource


@pytest.fixture(scope="module")
def two(facts, tmp_path_factory):
    """Two runs of one purpose, each with a delivery; a member left between them, so that they differ."""
    home = tmp_path_factory.mktemp("two")
    settings = Settings(
        facts["url"], facts["token"], (facts["key"],), None, "", home / "cache", home / "state", 60
    )
    found = []
    with Portal(settings) as portal:
        for _ in range(2):
            run = new_run(portal)
            run.freeze()
            delivery = run.deliver()["reference"]
            source = PortalSource(portal.session, portal.cache, portal.progress, patience=60)
            permission = run.verify(delivery)
            if not found:
                accounts = pq.read_table(permission.files[0].path)["account_ref"].to_pylist()
                switch_off_at(facts, accounts[7])
            found.append(Delivered(run.reference, delivery, source))
        yield found


class Tampered:
    """The source of the first run, with one answer replaced."""

    def __init__(self, own: Delivered, other: Delivered, home: Path) -> None:
        self.own, self.other, self.home = own, other, home
        self.lists_asked = 0

    def __getattr__(self, name):
        return getattr(self.own.source, name)

    def list_file(self, delivery: SealedDelivery, file: SealedFile) -> Path:
        self.lists_asked += 1
        return self.own.source.list_file(delivery, file)

    def copy(self, delivery: SealedDelivery, file: SealedFile) -> Path:
        path = self.home / file.name
        shutil.copy(self.own.source.list_file(delivery, file), path)
        return path


def entry_of(one: Delivered, keys) -> SealedDelivery:
    (sequence,) = one.source.deliveries_made(one.run)
    return read(read_proof(one.source.entry_proof(one.run, sequence), keys, "it"), one.run, bytes)


@pytest.fixture
def keys(facts):
    return (VerifierKey.parse(facts["key"]),)


@pytest.fixture
def trust(keys, tmp_path):
    return Trust(keys, Memory(tmp_path / "memory"))


@pytest.fixture
def source(two, tmp_path):
    return Tampered(*two, tmp_path)


def verify(trust: Trust, source: Tampered):
    return trust.verify(source, run=source.own.run, delivery=source.own.delivery)


def test_what_nobody_touched_is_permitted(trust, source):
    assert verify(trust, source).delivery == source.own.delivery


# --- The table ----------------------------------------------------------------------------------


def flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def a_bit_in_the_archive(source, keys):
    whole = source.own.source.delivery_archive
    source.delivery_archive = lambda entry: flip(whole(entry), -20)


def another_runs_archive(source, keys):
    other = entry_of(source.other, keys)
    source.delivery_archive = lambda entry: source.other.source.delivery_archive(other)


def another_runs_manifest(source, keys):
    other = source.other
    sealed = entry_of(other, keys)
    digest = read_delivery(other.source.delivery_archive(sealed), "it").header["manifest"]
    source.manifest_archive = lambda run, _, entry: other.source.manifest_archive(
        other.run, digest, sealed
    )


def a_bit_in_the_manifest(source, keys):
    whole = source.own.source.manifest_archive
    source.manifest_archive = lambda *asked: flip(whole(*asked), -20)


def another_runs_list(source, keys):
    other = entry_of(source.other, keys)
    source.list_file = lambda entry, file: source.other.source.list_file(other, other.files[0])


def a_bit_in_the_list(source, keys):
    def changed(entry, file):
        path = source.copy(entry, file)
        path.write_bytes(flip(path.read_bytes(), file.bytes // 2))
        return path

    source.list_file = changed


def rewritten(change):
    """The list as a well-formed Parquet file with other rows."""

    def tamper(source, keys):
        def changed(entry, file):
            path = source.copy(entry, file)
            table = change(pq.read_table(path))
            pq.write_table(table, path, row_group_size=500)
            return path

        source.list_file = changed

    return tamper


def two_accounts_swapped(table: pa.Table) -> pa.Table:
    accounts = table["account_ref"].to_pylist()
    accounts[0], accounts[1] = accounts[1], accounts[0]
    return table.set_column(1, table.schema.field(1), pa.array(accounts))


def another_runs_proof(source, keys):
    (sequence,) = source.other.source.deliveries_made(source.other.run)
    source.entry_proof = lambda run, _: source.other.source.entry_proof(source.other.run, sequence)


def a_bit_in_the_entry(source, keys):
    proof = source.own.source.entry_proof

    def changed(run, sequence):
        lines = proof(run, sequence).split("\n")
        entry = base64.b64decode(lines[1].removeprefix("extra "))
        later = entry.replace(b'"rows":', b'"rows" :', 1)
        lines[1] = "extra " + base64.b64encode(later).decode()
        return "\n".join(lines)

    source.entry_proof = changed


def a_later_lease_in_the_entry(source, keys):
    proof = source.own.source.entry_proof

    def changed(run, sequence):
        lines = proof(run, sequence).split("\n")
        entry = base64.b64decode(lines[1].removeprefix("extra "))
        later = entry.replace(b"2026-12-", b"2027-12-").replace(b"2027-01-", b"2028-01-")
        assert later != entry
        lines[1] = "extra " + base64.b64encode(later).decode()
        return "\n".join(lines)

    source.entry_proof = changed


def a_proof_of_another_entry(source, keys):
    session = source.own.source._session
    entries = session.get(f"runs/{source.own.run}/entries").json["results"]
    another = next(one for one in entries if one["kind"] != "delivery.made")
    proof = source.own.source.entry_proof
    source.entry_proof = lambda run, _: proof(run, another["sequence"])


def the_checkpoint_of_another_tree(source, keys):
    source.manifest_checkpoint = lambda run: source.other.source.manifest_checkpoint(
        source.other.run
    )


def the_ledgers_checkpoint_for_the_tree(source, keys):
    session = source.own.source._session
    source.manifest_checkpoint = lambda run: session.get("me/checkpoint").text


def withdrawals_left_out_of_their_digest(source, keys):
    answer = source.own.source.withdrawn
    source.withdrawn = lambda run: Withdrawals(type(answer(run).numbers)([4]), answer(run).digest)


TABLE = [
    a_bit_in_the_archive,
    another_runs_archive,
    another_runs_manifest,
    a_bit_in_the_manifest,
    another_runs_list,
    a_bit_in_the_list,
    another_runs_proof,
    a_bit_in_the_entry,
    a_later_lease_in_the_entry,
    a_proof_of_another_entry,
    the_checkpoint_of_another_tree,
    the_ledgers_checkpoint_for_the_tree,
    withdrawals_left_out_of_their_digest,
]


@pytest.mark.parametrize("tamper", TABLE, ids=lambda one: one.__name__)
def test_what_was_changed_is_refused(trust, source, keys, tamper):
    tamper(source, keys)

    with pytest.raises(NotVerified) as refused:
        verify(trust, source)

    assert refused.value.exit_code == 4


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.slice(0, 500),
        two_accounts_swapped,
        lambda table: pa.concat_tables([table, table.slice(0, 1)]),
        lambda table: table.set_column(2, table.schema.field(2), pa.nulls(len(table), pa.date32())),
    ],
    ids=["a row group is missing", "two accounts are swapped", "a row is there twice", "no days"],
)
def test_a_list_with_other_rows_is_refused(trust, source, keys, change):
    rewritten(change)(source, keys)

    with pytest.raises(NotVerified, match="not the file that the ledger seals"):
        verify(trust, source)


def test_a_key_of_somebody_else_is_refused(source, tmp_path):
    public = Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    data = b"\x01" + public
    name = "portal.example/ledger"
    key_id = sha256(f"{name}\n".encode() + data).hexdigest()[:8]
    other = VerifierKey.parse(f"{name}+{key_id}+{base64.b64encode(data).decode()}")

    with pytest.raises(NotVerified) as refused:
        verify(Trust((other,), Memory(tmp_path / "memory")), source)

    assert (refused.value.exit_code, refused.value.code) == (4, "other_key")


def test_a_lease_that_has_ended_is_over_on_either_clock(trust, source):
    source.now = lambda: dt.datetime.now(dt.UTC) + dt.timedelta(days=400)

    with pytest.raises(LeaseOver) as refused:
        verify(trust, source)

    assert (refused.value.exit_code, source.lists_asked) == (5, 0)


# --- What was seen before -----------------------------------------------------------------------


@pytest.fixture
def checkpoints(two):
    """An older proof under a smaller checkpoint, and how to get newer ones."""
    one = two[0]
    (sequence,) = one.source.deliveries_made(one.run)
    return one.source.entry_proof(one.run, sequence)


def test_an_older_checkpoint_is_refused(trust, source, portal, checkpoints):
    new_run(portal).freeze()
    verify_newer(trust, source, checkpoints)
    source.entry_proof = lambda run, sequence: checkpoints

    with pytest.raises(NotVerified) as refused:
        verify(trust, source)

    assert (refused.value.exit_code, refused.value.code) == (4, "older_checkpoint")


def test_a_newer_checkpoint_must_continue_the_last_one(trust, source, portal, checkpoints):
    older = Tampered(source.own, source.other, source.home)
    older.entry_proof = lambda run, sequence: checkpoints
    verify(trust, older)
    new_run(portal).freeze()
    proof = source.own.source.consistency

    def forged(old, new):
        lines = proof(old, new).split("\n")
        lines[2] = base64.b64encode(bytes(32)).decode()
        return "\n".join(lines)

    source.consistency = forged

    with pytest.raises(NotVerified) as refused:
        verify_newer(trust, source, checkpoints)

    assert (refused.value.exit_code, refused.value.code) == (4, "ledger_rewritten")


def verify_newer(trust, source, older) -> None:
    """Verify once the portal has signed a larger checkpoint than that one."""
    size = _size(older)
    for _ in range(100):
        (sequence,) = source.own.source.deliveries_made(source.own.run)
        if _size(source.own.source.entry_proof(source.own.run, sequence)) > size:
            break
        time.sleep(0.2)
    else:
        raise AssertionError("no newer checkpoint came")
    verify(trust, source)


def _size(proof: str) -> int:
    return int(proof.partition("\n\n")[2].split("\n")[1])
