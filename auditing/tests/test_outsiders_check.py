"""The outsider's two files against the real portal: what it exports, serves and proves, and what was changed behind its back."""

import datetime as dt
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command

from auditing.exports import exporting
from common.identity import tokens
from consent import accounts
from ledger import entries
from ledger.checkpoints import signing
from ledger.merkle.tree import Frontier
from ledger.reads import batches
from ledger.reads.recording import record_read
from ledger.verification.leaves import recomputed
from tools import factories
from tools.outside import behind_the_back
from training_runs.downloads import proofs

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

OUTSIDER = Path(settings.BASE_DIR) / "outsider"


@pytest.fixture
def outside(tmp_path):
    """Run one of the two files with a plain Python in a directory that has nothing else in it."""
    home = tmp_path / "elsewhere"
    home.mkdir()
    for name in ("verify.py", "witness.py"):
        shutil.copy(OUTSIDER / name, home)

    def run(script, *arguments):
        command = [sys.executable, "-I", "-S", script, *map(str, arguments)]
        return subprocess.run(
            command, cwd=home, capture_output=True, text=True, check=False, timeout=120
        )

    return run


@pytest.fixture
def key():
    """The verifier key, as people would hand it over."""
    return signing.signers()[0].verifier.text


@pytest.fixture
def lived(key, officer, second_officer, engineer, auditor, product):
    """Runs, a child, decisions, objections, an erasure, reads; the checkpoint kept in the middle of it."""
    factories.open_world(officer, second_officer)
    factories.add_members(200)
    factories.add_member("young", adult_on=dt.date(2025, 5, 6))
    factories.decide("acc-60", "deny", actor=product)
    factories.decide("acc-60", "allow", actor=product)
    for number in range(10):
        factories.decide(f"acc-{number}", "deny", actor=product)
    first = factories.freeze(engineer)
    factories.uphold(factories.objection("acc-20"), officer)
    record_read(auditor, "test.read", "test:1")
    kept = signing.sign_now()
    accounts.erase_member(account_ref="acc-30", actor=officer, reason="test")
    factories.send_letters(
        factories.withdraw(factories.objection("acc-40"), officer, second_officer)
    )
    child = factories.freeze(engineer, parent=first.run)
    record_read(auditor, "test.read", "test:2")
    factories.decide("acc-50", "deny", actor=product)
    factories.deliver(child.run, engineer)
    signing.sign_now()
    return kept


@pytest.fixture
def kept(lived, tmp_path):
    """The file of the checkpoint that was kept."""
    path = tmp_path / "kept.checkpoint"
    path.write_text(lived.note)
    return path


def test_a_true_export_has_nothing_wrong(lived, kept, key, outside, tmp_path):
    exporting.export(tmp_path / "export")

    done = outside("verify.py", "export", tmp_path / "export", "--key", key, "--kept", kept)

    assert (done.returncode, done.stderr) == (0, "")
    assert "manifests: 2 of 2 archives are those the ledger seals." in done.stdout
    assert "deliveries: 1 of 1 archives are those the ledger seals" in done.stdout
    assert ": derived from the entries" in done.stdout
    assert done.stdout.count("the sets are those of the archive") == 2
    assert done.stdout.splitlines()[-1] == "Nothing is wrong."


def test_after_a_key_was_replaced_a_holder_of_the_old_one_still_checks_everything(
    lived, kept, key, officer, outside, tmp_path
):
    call_command("checkpoint_key", "add", "--by", "olga")
    signing.sign_now()
    old = signing.signers()[0].verifier.key_id.hex()
    call_command("checkpoint_key", "retire", old, "--by", "olga", "--reason", "a year has gone")
    signing.sign_now()
    exporting.export(tmp_path / "export")

    done = outside("verify.py", "export", tmp_path / "export", "--key", key, "--kept", kept)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "Nothing is wrong."


CHANGES = {
    "a country": (
        "consent_historicalmember",
        "UPDATE consent_historicalmember SET country = 'FR' WHERE id = 150",
    ),
    "a choice": (
        "consent_decision",
        "UPDATE consent_decision SET choice = 'allow' WHERE member_id = 5",
    ),
    "a choice put in": (
        "consent_decision",
        "INSERT INTO consent_decision (entry_id, member_id, purpose, choice, channel, source_id,"
        " decided_at, notice_version, privacy_signal, evidence_only, body_digest)"
        " SELECT entry_id, 160, purpose, choice, channel, 'forged', decided_at, notice_version,"
        " privacy_signal, evidence_only, body_digest FROM consent_decision"
        " ORDER BY id LIMIT 1",
    ),
    "a reason": ("ledger_entry", "UPDATE ledger_entry SET reason = 'none' WHERE sequence = 5"),
    "an actor": ("ledger_entry", "UPDATE ledger_entry SET actor_name = 'emil' WHERE sequence = 5"),
    "an effect": (
        "objections_historicalobjection",
        "UPDATE objections_historicalobjection SET effect = 'restriction_lifted' WHERE effect = 'restricting'",
    ),
    "a read taken away": (
        "ledger_accessrecord",
        "DELETE FROM ledger_accessrecord WHERE subject = 'test:1'",
    ),
    "an archive's digest": (
        "training_runs_manifest",
        "UPDATE training_runs_manifest SET included = included + 1",
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_behind_the_portals_back_is_noticed(what, lived, kept, key, outside, tmp_path):
    behind_the_back(*CHANGES[what])
    exporting.export(tmp_path / "export")

    done = outside("verify.py", "export", tmp_path / "export", "--key", key, "--kept", kept)

    assert done.returncode == 1
    assert "WRONG:" in done.stdout
    assert "Traceback" not in done.stderr


def test_a_ledger_that_was_rewritten_and_signed_again_contradicts_the_kept_checkpoint(
    lived, kept, key, outside, tmp_path
):
    """An attacker with the database and the key can make everything fit again, except a checkpoint kept elsewhere."""
    behind_the_back("ledger_entry", "UPDATE ledger_entry SET reason = 'none' WHERE sequence = 5")
    _make_everything_fit_again()
    exporting.export(tmp_path / "export")
    command = ["verify.py", "export", tmp_path / "export", "--key", key, "--no-derive"]

    without, with_kept = outside(*command), outside(*command, "--kept", kept)

    # The manifests' roots are of the past too; a thorough attacker would rewrite those as well.
    assert "kept checkpoint" not in without.stdout
    assert with_kept.returncode == 1
    assert f"The kept checkpoint {kept}: entries 1 to {lived.size} do not have the root" in (
        with_kept.stdout
    )


def _make_everything_fit_again():
    """Every leaf, the head and a checkpoint anew, with the real key; the old checkpoints and the memory are gone."""
    frontier = Frontier()
    for one in list(recomputed(0, entries.read_head().size)):
        frontier.append(one.leaf)
        if not one.is_as_sealed:
            behind_the_back(
                "ledger_entry",
                "UPDATE ledger_entry SET leaf = %s WHERE sequence = %s",
                one.leaf.hex(),
                one.entry.sequence,
            )
    behind_the_back(
        "ledger_ledgerhead", "UPDATE ledger_ledgerhead SET frontier = %s", frontier.to_text()
    )
    for table in ("ledger_checkpointdelivery", "ledger_checkpoint", "ledger_ledgertile"):
        behind_the_back(table, f"DELETE FROM {table}")
    Path(f"{settings.CHECKPOINT_KEY_FILE}.last").unlink()
    signing.sign_now()


def test_proofs_say_what_they_prove(lived, key, outside, tmp_path):
    manifest = proofs.Manifest.objects.order_by("pk").first()
    member, entry = tmp_path / "member.tlog-proof", tmp_path / "entry.tlog-proof"
    out = accounts.member_by_reference("acc-3").pk
    member.write_text(proofs.prove_member(manifest, out))
    entry.write_text(signing.prove_entry(2, signing.latest()))

    of_member = outside("verify.py", "proof", member, "--member", out, "--key", key)
    of_another = outside("verify.py", "proof", member, "--member", out + 128, "--key", key)
    of_entry = outside("verify.py", "proof", entry, "--entry", "--key", key)

    assert of_member.returncode == of_entry.returncode == 0
    assert f"member {out} is out of {manifest.run.reference}: opted_out" in of_member.stdout
    assert of_another.returncode == 1
    assert '"sequence":2' in of_entry.stdout.replace(" ", "")


@pytest.mark.usefixtures("lived")
def test_a_witness_polls_the_portal_and_refuses_what_does_not_continue(
    auditor, administrator, key, outside, tmp_path, live_server, settings
):
    settings.ALLOWED_HOSTS = ["*"]
    _, secret = tokens.issue_token(
        user=auditor, name="witness", scopes=["audit:read"], days=1, actor=administrator
    )
    token = tmp_path / "token"
    token.write_text(secret)
    state = tmp_path / "state"
    poll = ["witness.py", state, "--key", key, "--url", live_server.url, "--token-file", token]

    first = outside(*poll)
    with entries.entry("test.act", actor="test"):
        pass
    signing.sign_now()
    second = outside(*poll)
    behind_the_back("ledger_entry", "UPDATE ledger_entry SET reason = 'none' WHERE sequence = 5")
    _make_everything_fit_again()
    third = outside(*poll)

    assert (first.returncode, first.stderr) == (0, "")
    assert (second.returncode, second.stderr) == (0, "")
    assert third.returncode == 1, third.stdout + third.stderr
    assert any((state / "conflicts").iterdir())
    assert batches.seal() is not None
