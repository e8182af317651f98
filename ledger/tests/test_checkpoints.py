"""The signer believes nothing it did not read itself, and what it signed can be proved."""

import base64
import threading
from pathlib import Path

import pytest
from django.conf import settings
from django.core import mail
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from auditing import checkpoint_mail
from ledger import entries
from ledger.checkpoints import signing
from ledger.checkpoints.notes import Signer, TreeHead, open_note, sign
from ledger.errors import LedgerRewritten, NoSigningKey, ProofNotPossible
from ledger.merkle.proofs import is_consistent, root_of_inclusion
from ledger.merkle.tree import Frontier, leaf_hash
from ledger.models import Checkpoint, CheckpointDelivery, Entry, LedgerHead, LedgerTile
from ledger.reads.recording import record_read
from ledger.verification.leaves import recomputed
from ledger.verification.verifying import verify_ledger
from tools.outside import behind_the_back, hashes_of

pytestmark = pytest.mark.django_db(transaction=True)


def write(count):
    for number in range(count):
        with entries.entry("test.act", actor="test", subject=f"test:{number}", reason="why"):
            pass


def test_a_checkpoint_is_the_head_signed_by_the_key_of_the_file():
    write(5)

    checkpoint = signing.sign_now()

    text = open_note(checkpoint.note, [signer.verifier for signer in signing.signers()])
    assert TreeHead.parse(text) == TreeHead(
        settings.LEDGER_NAME, checkpoint.size, bytes.fromhex(entries.read_head().root)
    )
    assert checkpoint.size == Entry.objects.count()


def test_nothing_new_is_signed_when_the_ledger_did_not_grow():
    write(1)

    first, second = signing.sign_now(), signing.sign_now()

    assert first == second
    assert Checkpoint.objects.count() == 1


@pytest.mark.parametrize(
    ("table", "statement"),
    [
        ("ledger_entry", "UPDATE ledger_entry SET reason = 'other' WHERE sequence = 3"),
        ("ledger_entry", "DELETE FROM ledger_entry WHERE sequence = 3"),
        ("ledger_entry", "UPDATE ledger_entry SET actor_name = 'another' WHERE sequence = 4"),
    ],
)
def test_rows_changed_before_they_were_signed_are_not_signed(table, statement):
    write(5)
    behind_the_back(table, statement)

    with pytest.raises(LedgerRewritten):
        signing.sign_now()

    assert not Checkpoint.objects.exists()


def test_a_checkpoint_with_another_frontier_is_not_continued():
    write(5)
    signing.sign_now()
    write(1)
    behind_the_back(
        "ledger_checkpoint",
        "UPDATE ledger_checkpoint SET frontier = %s",
        "00" * 32 + " " + "11" * 32,
    )

    with pytest.raises((LedgerRewritten, ValueError)):
        signing.sign_now()


def test_a_checkpoint_signed_by_a_foreign_key_is_not_continued():
    write(5)
    checkpoint = signing.sign_now()
    write(1)
    Path(settings.CHECKPOINT_KEY_FILE + ".last").unlink()
    behind_the_back(
        "ledger_checkpoint",
        "UPDATE ledger_checkpoint SET note = %s",
        checkpoint.note.replace("— ", "— x"),
    )

    with pytest.raises(LedgerRewritten, match="not one of ours"):
        signing.sign_now()


def test_a_restored_backup_is_noticed_before_anything_is_signed_over_it():
    write(3)
    signing.sign_now()
    write(3)
    behind_the_back("ledger_checkpointdelivery", "DELETE FROM ledger_checkpointdelivery")
    behind_the_back("ledger_checkpoint", "DELETE FROM ledger_checkpoint")

    with pytest.raises(LedgerRewritten, match="remembers a checkpoint"):
        signing.sign_now()


def test_in_production_no_key_is_made_silently(settings):
    settings.DEVELOPMENT = False
    write(1)

    with pytest.raises(NoSigningKey, match="checkpoint_key add"):
        signing.sign_now()

    assert not Path(settings.CHECKPOINT_KEY_FILE).exists()


def test_a_key_is_replaced_with_overlap(officer, capsys):
    write(1)
    old = signing.sign_now()
    (first,) = signing.signers()

    call_command("checkpoint_key", "add", "--by", "olga")
    both = signing.sign_now()
    call_command(
        "checkpoint_key",
        "retire",
        first.verifier.key_id.hex(),
        "--by",
        "olga",
        "--reason",
        "a year",
    )
    new = signing.sign_now()

    (second,) = signing.signers()
    assert open_note(old.note, [first.verifier])
    assert open_note(both.note, [first.verifier]) == open_note(both.note, [second.verifier])
    assert open_note(new.note, [second.verifier])
    assert signing.verifiers() == [first.verifier, second.verifier]
    # Who only knows the old key finds the new one in an entry that the old one covers.
    added = Entry.objects.filter(kind=signing.KEY_ADDED).latest("sequence")
    assert (added.reason, added.sequence <= both.size) == (second.verifier.text, True)
    retired = Entry.objects.get(kind=signing.KEY_RETIRED)
    assert retired.reason == f"{first.verifier.text} a year"


def test_the_only_key_is_not_retired(officer):
    (only,) = signing.signers()

    with pytest.raises(CommandError, match="the only key"):
        call_command(
            "checkpoint_key", "retire", only.verifier.key_id.hex(), "--by", "olga", "--reason", "x"
        )

    assert signing.signers() == [only]


def test_the_key_file_is_readable_by_its_owner_only():
    signing.signers()

    assert Path(settings.CHECKPOINT_KEY_FILE).stat().st_mode & 0o077 == 0


# --- Against an attacker who owns the database ----------------------------------------------------------


def appoint(signer):
    """An entry that makes a key known, as the portal writes one."""
    with entries.entry(
        signing.KEY_ADDED, actor="test", subject="key:00000000", reason=signer.verifier.text
    ):
        pass


def test_a_key_that_is_not_in_the_key_file_is_not_signed_over():
    write(1)
    signing.sign_now()
    appoint(Signer.new(settings.LEDGER_NAME))

    with pytest.raises(LedgerRewritten, match="not in the key file"):
        signing.sign_now()


def test_a_checkpoint_by_a_key_that_only_the_database_names_is_not_continued():
    mallory = Signer.new(settings.LEDGER_NAME)
    write(3)
    signing.sign_now()
    appoint(mallory)
    head = entries.read_head()
    Checkpoint(
        size=head.size,
        root=head.root,
        frontier=LedgerHead.objects.get().frontier,
        note=sign(
            TreeHead(settings.LEDGER_NAME, head.size, bytes.fromhex(head.root)).text, [mallory]
        ),
        signed_at=timezone.now(),
    ).save()
    write(1)

    with pytest.raises(LedgerRewritten, match="not one of ours"):
        signing.sign_now()


def rewritten_from_the_beginning():
    """Another reason in entry 2, and every leaf and the head as if it had always been so."""
    behind_the_back("ledger_entry", "UPDATE ledger_entry SET reason = 'x' WHERE sequence = 2")
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
    return frontier


def test_history_rewritten_so_that_all_of_it_fits_is_not_signed():
    """The old checkpoint is left where it was, and its frontier is what the new tree had at that size."""
    write(5)
    old = signing.sign_now()
    write(2)
    rewritten_from_the_beginning()

    with pytest.raises(LedgerRewritten):
        signing.sign_now()

    assert Checkpoint.objects.get() == old
    assert f"Checkpoint {old.size} has another root than its entries." in verify_ledger().problems


def test_what_a_thief_of_the_key_signed_over_rewritten_history_is_not_continued():
    write(5)
    old = signing.sign_now()
    write(2)
    frontier = rewritten_from_the_beginning()
    stolen = signing.signers()
    head = TreeHead(settings.LEDGER_NAME, frontier.size, frontier.root())
    Checkpoint(
        size=head.size,
        root=head.root.hex(),
        frontier=frontier.to_text(),
        note=sign(head.text, stolen),
        signed_at=timezone.now(),
    ).save()
    write(1)

    with pytest.raises(LedgerRewritten, match=f"the checkpoint of size {old.size}"):
        signing.sign_now()


def test_signing_at_the_same_time_is_signing_one_after_the_other():
    write(300)
    failed = []

    def signer():
        try:
            for _ in range(3):
                write(1)
                signing.sign_now()
        except BaseException as error:
            failed.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=signer) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failed == []
    newest = Checkpoint.objects.first()
    assert Path(f"{settings.CHECKPOINT_KEY_FILE}.last").read_text() == newest.note
    assert (Path(settings.CHECKPOINT_DIR) / "latest.checkpoint").read_text() == newest.note
    assert verify_ledger().problems == []


def test_a_key_does_not_go_before_one_that_stays_has_signed(officer):
    write(1)
    signing.sign_now()
    (first,) = signing.signers()
    signing.add_key(actor=officer)

    with pytest.raises(NoSigningKey, match="sign_checkpoint"):
        signing.retire_key(first.verifier.key_id.hex(), actor=officer, reason="x")

    assert len(signing.signers()) == 2


def test_a_damaged_memory_is_said_and_not_signed_over():
    write(1)
    signing.sign_now()
    Path(f"{settings.CHECKPOINT_KEY_FILE}.last").write_text("damaged")
    write(1)

    with pytest.raises(LedgerRewritten, match="is damaged"):
        signing.sign_now()


# --- Proofs -------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 255, 256, 257, 600])
def test_every_entry_is_proved_to_be_below_every_later_checkpoint(count):
    signing.signers()
    write(count)
    first = signing.sign_now()
    write(7)
    second = signing.sign_now()

    for checkpoint in (first, second):
        for sequence in {1, checkpoint.size // 2 or 1, checkpoint.size}:
            proof = signing.prove_entry(sequence, checkpoint)
            head = proof.partition("\n\n")[0].split("\n")
            extra = base64.b64decode(head[1].removeprefix("extra "))
            assert head[0] == "c2sp.org/tlog-proof@v1"
            assert head[2] == f"index {sequence - 1}"
            root = root_of_inclusion(
                leaf_hash(extra), sequence - 1, checkpoint.size, hashes_of(proof)
            )
            assert root.hex() == checkpoint.root
            assert proof.endswith(f"\n\n{checkpoint.note}")
    assert LedgerTile.objects.count() == second.size // 256


def test_a_later_checkpoint_is_proved_to_continue_an_earlier_one():
    write(300)
    first = signing.sign_now()
    write(400)
    second = signing.sign_now()

    proof = signing.prove_consistency(first.size, second)

    roots = [bytes.fromhex(checkpoint.root) for checkpoint in (first, second)]
    assert proof.startswith(f"training-portal/consistency@v1\nold {first.size}\n")
    assert is_consistent(first.size, roots[0], second.size, roots[1], hashes_of(proof))


def test_an_entry_above_the_checkpoint_is_not_proved():
    write(1)
    checkpoint = signing.sign_now()

    for sequence in (0, checkpoint.size + 1):
        with pytest.raises(ProofNotPossible):
            signing.prove_entry(sequence, checkpoint)


def test_an_entry_that_was_changed_after_it_was_signed_is_not_proved():
    write(5)
    checkpoint = signing.sign_now()
    behind_the_back("ledger_entry", "UPDATE ledger_entry SET reason = 'x' WHERE sequence = 2")

    with pytest.raises(LedgerRewritten):
        signing.prove_entry(2, checkpoint)


# --- Where they go ------------------------------------------------------------------------------


def test_a_checkpoint_is_put_where_others_read_it():
    write(1)

    checkpoint = signing.sign_now()

    directory = Path(settings.CHECKPOINT_DIR)
    assert (directory / "latest.checkpoint").read_text() == checkpoint.note
    assert (directory / f"{checkpoint.size}.checkpoint").read_text() == checkpoint.note
    assert CheckpointDelivery.objects.get().channel == "directory"


def test_a_directory_that_cannot_be_written_delays_no_checkpoint(settings, tmp_path):
    (tmp_path / "file").write_text("in the way")
    settings.CHECKPOINT_DIR = str(tmp_path / "file")
    write(1)

    checkpoint = signing.sign_now()

    assert Checkpoint.objects.get() == checkpoint
    assert not CheckpointDelivery.objects.exists()


def test_the_newest_checkpoint_goes_to_every_auditor_once(auditor, officer):
    auditor.email = "ada@example.org"
    auditor.save()
    write(1)
    checkpoint = signing.sign_now()

    assert [checkpoint_mail.send_to_auditors() for _ in range(2)] == [1, 0]

    (message,) = mail.outbox
    assert message.to == ["ada@example.org"]
    assert checkpoint.note in message.body
    assert CheckpointDelivery.objects.filter(channel="email", holder="ada").exists()


def test_how_long_the_oldest_entry_waits_for_a_checkpoint_is_known():
    signing.signers()
    write(1)
    signing.sign_now()
    assert signing.oldest_unsigned(timezone.now()) is None

    write(1)

    assert signing.oldest_unsigned(timezone.now()).total_seconds() >= 0


def test_the_command_signs_and_says_what(capsys):
    write(1)

    call_command("sign_checkpoint")

    assert capsys.readouterr().out.startswith(f"{settings.LEDGER_NAME}\n")


def test_reads_are_covered_by_the_next_checkpoint(auditor):
    record_read(auditor, "test.read", "test:1")

    checkpoint = signing.sign_now()

    assert Entry.objects.get(kind="reads.sealed").sequence <= checkpoint.size
