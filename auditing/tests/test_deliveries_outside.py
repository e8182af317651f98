"""The tamper table of deliveries: whatever was changed, the outsider's script refuses it before a row is used."""

import datetime as dt
import io
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.conf import settings

from auditing.exports import exporting
from deliveries.made import archives, lists, stores
from deliveries.models import Delivery
from ledger.checkpoints import signing
from ledger.checkpoints.notes import Signer, sign
from ledger.errors import ProofNotPossible
from ledger.models import Checkpoint, Entry
from tools import factories
from training_runs.manifests import archives as stored
from training_runs.manifests.container import pack
from training_runs.models import Run
from training_runs.runs import freezing

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow, pytest.mark.one_engine]

HOUR = dt.timedelta(hours=1)
VERIFY = Path(settings.BASE_DIR) / "outsider" / "verify.py"


def verify(*arguments):
    command = [sys.executable, "-I", "-S", VERIFY, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture
def world(officer, second_officer, engineer, product, monkeypatch):
    """Two runs, each with a delivery of several row groups, a member who left one of them, and an older checkpoint."""
    monkeypatch.setattr(lists, "PAGE", 10)
    factories.open_world(officer, second_officer)
    factories.add_members(30)
    factories.add_member("young", adult_on=dt.date(2025, 5, 6))
    runs = [factories.freeze(engineer, purpose=one).run for one in ("generative-ai", "safety")]
    signing.sign_now()
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


def rewrite_list(held, change):
    """Write the row groups that `change` gives back, in every other respect as the portal wrote them."""
    with pq.ParquetFile(held.list) as file:
        groups = [file.read_row_group(place) for place in range(file.num_row_groups)]
    assert len(groups) == 3
    assert _written(held, groups) == held.list.read_bytes()
    held.list.write_bytes(_written(held, change(groups)))


def _written(held, groups):
    to = io.BytesIO()
    cohorts = archives.parse(held.archive.read_bytes()).cohorts
    lists.write([lists.Page(*_columns(group)) for group in groups], to, cohorts)
    return to.getvalue()


def _columns(group):
    return [group[name].to_pylist() for name in ("member_number", "account_ref")]


def leave_out_a_row_group(held, other):
    rewrite_list(held, lambda groups: [groups[0], groups[2]])


def swap_two_accounts(held, other):
    def swapped(groups):
        refs = groups[1]["account_ref"].to_pylist()
        refs[0], refs[1] = refs[1], refs[0]
        groups[1] = groups[1].set_column(1, "account_ref", pa.array(refs, pa.string()))
        return groups

    rewrite_list(held, swapped)


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


def put_under(held, note):
    head, _, _ = held.proof.read_text().partition("\n\n")
    held.proof.write_text(f"{head}\n\n{note}")


def sign_with_another_key(held, other):
    said, _, _ = Checkpoint.objects.latest("size").note.partition("\n\n")
    put_under(held, sign(f"{said}\n", [Signer.new(settings.LEDGER_NAME)]))


def put_under_an_older_checkpoint(held, other):
    put_under(held, Checkpoint.objects.earliest("size").note)


CHANGED_ARCHIVE = r"delivery does not have the digest that entry \d+ seals"
CHANGED_LIST = r"members\.parquet is no file of DL-\d+-\d+: it was changed, or is another's"
CHANGES = {
    "a bit in the archive": (flip_a_bit, CHANGED_ARCHIVE),
    "the archive of another run": (
        lambda held, other: shutil.copy(other.archive, held.archive),
        CHANGED_ARCHIVE,
    ),
    "the list of another run": (
        lambda held, other: shutil.copy(other.list, held.list),
        CHANGED_LIST,
    ),
    "a row group missing": (leave_out_a_row_group, CHANGED_LIST),
    "two accounts swapped": (swap_two_accounts, CHANGED_LIST),
    "an empty list": (lambda held, other: held.list.write_bytes(b""), CHANGED_LIST),
    "the subtraction dropped": (drop_the_subtraction, CHANGED_ARCHIVE),
    "the manifest of another run": (
        lambda held, other: shutil.copy(other.manifest, held.manifest),
        "manifest is not the manifest that DL-",
    ),
    "the proof of another delivery": (
        lambda held, other: shutil.copy(other.proof, held.proof),
        CHANGED_ARCHIVE,
    ),
    "another key": (sign_with_another_key, "is signed by no key you trust, but by"),
    "an older checkpoint": (
        put_under_an_older_checkpoint,
        "its hashes do not lead to the root that was signed",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_delivery_is_refused_with_a_sentence(held, other, change):
    alter, sentence = CHANGES[change]
    alter(held, other)

    done = held.check()

    assert done.returncode == 1
    assert re.search(sentence, done.stdout), done.stdout
    assert "Nothing is wrong" not in done.stdout


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
            split.policies, split.consents,
        )  # fmt: skip

    monkeypatch.setattr(making, "subtract", lax)
    run = Run.objects.earliest("pk")
    factories.deliver(run, engineer, form="set")
    signing.sign_now()
    exporting.export(tmp_path / "export")

    done = verify("export", tmp_path / "export", "--key", signing.signers()[0].verifier.text)

    assert done.returncode == 1
    assert "do not agree on who was out: members" in done.stdout


def test_a_delivery_as_of_an_hour_before_its_cut_is_found(world, engineer, monkeypatch, tmp_path):
    """A rule that came into force on the day of the cut would not apply to it."""
    from deliveries.made import making  # noqa: PLC0415

    true = making.subtract
    monkeypatch.setattr(
        making,
        "subtract",
        lambda delivery: (split := true(delivery)) and replace(split, as_of=split.as_of - HOUR),
    )
    factories.deliver(Run.objects.earliest("pk"), engineer, form="set")
    signing.sign_now()
    exporting.export(tmp_path / "export")

    done = verify("export", tmp_path / "export", "--key", signing.signers()[0].verifier.text)

    assert done.returncode == 1
    assert "is as of a moment before entry" in done.stdout
