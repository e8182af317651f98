"""The whole ledger as files."""

import json
from hashlib import sha256

import pytest
from django.core.management import CommandError, call_command

from auditing.exports import exporting
from ledger import entries
from ledger.checkpoints import signing
from ledger.merkle.tree import leaf_hash, root_of
from ledger.models import AccessRecord, Checkpoint

pytestmark = pytest.mark.django_db(transaction=True)


def test_an_export_has_what_its_page_says(manifest, auditor, tmp_path, capsys):
    directory = tmp_path / "export"

    call_command("export_ledger", str(directory), by="ada", purpose="the yearly audit")

    checkpoint = Checkpoint.objects.get()
    lines = (directory / "ledger.ndjson").read_bytes().splitlines()
    assert root_of(map(leaf_hash, lines)).hex() == checkpoint.root
    assert json.loads((directory / "checkpoints.ndjson").read_bytes()) == {
        "note": checkpoint.note,
        "size": checkpoint.size,
    }
    (read,) = (directory / "reads.ndjson").read_bytes().splitlines()
    assert json.loads(read)["purpose"] == "the yearly audit"
    archive = directory / "manifests" / f"{manifest.run.reference}.manifest"
    assert sha256(archive.read_bytes()).hexdigest() == manifest.digest
    assert archive.with_suffix(".checkpoint").read_text() == manifest.checkpoint.note
    assert AccessRecord.objects.get().kind == "export.ledger"
    assert "Check it:" in capsys.readouterr().out


def test_a_directory_that_is_there_is_left_alone(manifest, auditor, tmp_path):
    (tmp_path / "kept").write_text("mine")

    with pytest.raises(CommandError, match="exists already"):
        call_command("export_ledger", str(tmp_path), by="ada", purpose="x")

    assert (tmp_path / "kept").read_text() == "mine"


def test_an_export_that_breaks_off_leaves_nothing(manifest, tmp_path):
    def stop(count):
        raise KeyboardInterrupt

    original = exporting.archives.path_of(manifest.digest)
    original.unlink()

    with pytest.raises(FileNotFoundError):
        exporting.export(tmp_path / "export", progress=stop)

    assert list(tmp_path.glob("export*")) == []


def test_what_is_signed_while_it_is_written_belongs_to_the_next_export(
    manifest, tmp_path, monkeypatch
):
    def meanwhile():
        with entries.entry("test.act", actor="test"):
            pass
        signing.sign_now()

    size = Checkpoint.objects.get().size
    # Between the ledger and the checkpoints, as a clock would.
    checkpoint_lines = exporting.checkpoint_lines
    monkeypatch.setattr(
        exporting, "checkpoint_lines", lambda upto: (meanwhile(), checkpoint_lines(upto))[1]
    )

    done = exporting.export(tmp_path / "export")

    (line,) = (done.directory / "checkpoints.ndjson").read_bytes().splitlines()
    assert (done.size, json.loads(line)["size"]) == (size, size)
    assert Checkpoint.objects.count() == 2


def test_an_export_is_for_auditors(manifest, engineer, tmp_path):
    with pytest.raises(CommandError, match="not an auditor"):
        call_command("export_ledger", str(tmp_path / "export"), by="emil", purpose="x")
