"""The tamper table of deliveries: whatever was changed, the outsider's script refuses it before a row is used."""

import datetime as dt
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.conf import settings

from auditing.exports import exporting
from deliveries.made import archives, stores
from deliveries.models import Delivery
from ledger.checkpoints import signing
from ledger.errors import ProofNotPossible
from ledger.models import Entry
from tools import factories
from training_runs.manifests import archives as stored
from training_runs.manifests.container import pack
from training_runs.models import Run
from training_runs.runs import freezing

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow, pytest.mark.one_engine]

VERIFY = Path(settings.BASE_DIR) / "outsider" / "verify.py"


def verify(*arguments):
    command = [sys.executable, "-I", "-S", VERIFY, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture
def world(officer, second_officer, engineer, product):
    """Two runs, each with a delivery of several row groups, and a member who left before."""
    factories.open_world(officer, second_officer)
    factories.add_members(30)
    factories.add_member("young", adult_on=dt.date(2025, 5, 6))
    runs = [factories.freeze(engineer).run for _ in range(2)]
    factories.decide("acc-3", "deny", actor=product)
    return [factories.deliver(run, engineer) for run in runs]


@pytest.fixture
def signed(world):
    return signing.sign_now()


def proof_of(delivery: Delivery, checkpoint) -> str:
    entry = Delivery.history.get(reference=delivery.reference, state="delivered").entry_id
    assert Entry.objects.get(pk=entry).kind == "delivery.made"
    return signing.prove_entry(entry, checkpoint)


class Held:
    """A delivery as its receiver holds it, in files."""

    def __init__(self, delivery: Delivery, checkpoint, home: Path) -> None:
        home.mkdir()
        self.archive = home / "delivery"
        self.archive.write_bytes(stored.path_of(delivery.digest).read_bytes())
        self.list = home / "members.parquet"
        shutil.copy(stores.path_of(delivery.reference, delivery.files[0]["sha256"]), self.list)
        self.proof = home / "proof"
        self.proof.write_text(proof_of(delivery, checkpoint))
        self.manifest = home / "manifest"
        self.manifest.write_bytes(stored.path_of(delivery.manifest.digest).read_bytes())
        self.key = signing.signers()[0].verifier.text

    def check(self):
        return verify(
            "delivery", self.archive, self.list, "--proof", self.proof, "--manifest", self.manifest,
            "--key", self.key,
        )  # fmt: skip


@pytest.fixture
def held(world, signed, tmp_path):
    return Held(world[0], signed, tmp_path / "held")


@pytest.fixture
def other(world, signed, tmp_path):
    return Held(world[1], signed, tmp_path / "other")


def test_an_untouched_delivery_is_what_the_ledger_seals(held):
    done = held.check()

    assert (done.returncode, done.stderr) == (0, "")
    assert "30 members of" in done.stdout and "1 subtracted" in done.stdout
    assert "its included are the delivered and the subtracted together" in done.stdout


def swap_two_accounts(held, other):
    table = pq.read_table(held.list)
    refs = table["account_ref"].to_pylist()
    refs[0], refs[1] = refs[1], refs[0]
    changed = table.set_column(1, "account_ref", pa.array(refs, pa.string()))
    pq.write_table(changed, held.list)


def leave_out_rows(held, other):
    pq.write_table(pq.read_table(held.list).slice(0, 20), held.list)


def drop_the_subtraction(held, other):
    archive = archives.parse(held.archive.read_bytes())
    facts = {key: value for key, value in archive.header.items() if key != "parts"}
    sets = {"delivered": archive.delivered | archive.subtracted, "subtracted": archive.subtracted}
    sets["subtracted"] = archive.subtracted - archive.subtracted
    held.archive.write_bytes(pack(archives.MAGIC, facts, sets)[1])


def flip_a_bit(held, other):
    data = bytearray(held.archive.read_bytes())
    data[-3] ^= 1
    held.archive.write_bytes(bytes(data))


CHANGES = {
    "a bit in the archive": flip_a_bit,
    "the archive of another run": lambda held, other: shutil.copy(other.archive, held.archive),
    "the list of another run": lambda held, other: shutil.copy(other.list, held.list),
    "rows left out": leave_out_rows,
    "two accounts swapped": swap_two_accounts,
    "the subtraction dropped": drop_the_subtraction,
    "the manifest of another run": lambda held, other: shutil.copy(other.manifest, held.manifest),
    "the proof of another delivery": lambda held, other: shutil.copy(other.proof, held.proof),
    "an empty list": lambda held, other: held.list.write_bytes(b""),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_delivery_is_refused(held, other, change):
    before = held.list.read_bytes()
    CHANGES[change](held, other)
    if change == "the list of another run" and other.list.read_bytes() == before:
        # Two runs over the same members: it is the same list, to the byte.
        held.list.write_bytes(before + b"x")

    done = held.check()

    assert done.returncode == 1, done.stdout
    assert "Nothing is wrong" not in done.stdout


def test_another_key_says_nothing(held):
    name, _, rest = held.key.partition("+")
    held.key = signing.signers()[0].verifier.text[:-2] + "AA"

    assert held.check().returncode != 0
    assert name and rest


def test_a_proof_under_a_checkpoint_that_is_too_old_cannot_be_made(world, officer):
    old = signing.sign_now()
    later = factories.deliver(freezing.Manifest.objects.latest("pk").run, officer, form="set")

    with pytest.raises(ProofNotPossible, match="covers entries 1 to"):
        proof_of(later, old)


def test_an_export_says_what_is_wrong_with_a_delivery(world, signed, tmp_path):
    key = signing.signers()[0].verifier.text
    exporting.export(tmp_path / "export")
    home = tmp_path / "export" / "deliveries"
    first, second = sorted(home.iterdir())
    assert verify("export", tmp_path / "export", "--key", key).returncode == 0

    whole = first.read_bytes()
    first.write_bytes(second.read_bytes())
    swapped = verify("export", tmp_path / "export", "--key", key)
    first.unlink()
    missing = verify("export", tmp_path / "export", "--key", key)
    first.write_bytes(whole)
    (home / "DL-1999-000001.delivery").write_bytes(whole)
    added = verify("export", tmp_path / "export", "--key", key)

    assert "does not have the digest" in swapped.stdout and swapped.returncode == 1
    assert "is missing" in missing.stdout and missing.returncode == 1
    assert "belongs to no delivery" in added.stdout and added.returncode == 1


def test_a_delivery_that_kept_a_member_who_was_out_is_derived_and_found(
    world, engineer, product, monkeypatch, tmp_path
):
    """A portal that does not subtract seals a delivery that is consistent in itself; the entries say who was out."""
    from deliveries.made import making  # noqa: PLC0415

    true = making.subtract

    def lax(delivery):
        split = true(delivery)
        everybody = split.delivered | split.subtracted
        return making.Subtraction(
            split.cut, split.as_of, everybody, split.subtracted - everybody, split.cohorts,
            split.policies,
        )  # fmt: skip

    monkeypatch.setattr(making, "subtract", lax)
    run = Run.objects.earliest("pk")
    factories.deliver(run, engineer, form="set")
    signing.sign_now()
    exporting.export(tmp_path / "export")

    done = verify("export", tmp_path / "export", "--key", signing.signers()[0].verifier.text)

    assert done.returncode == 1
    assert "do not agree on who was out: members" in done.stdout
