"""Erasing a member after every act of the portal: no personal data is left, and everything still verifies."""

import re
from hashlib import sha256
from pathlib import Path

import pytest
from django.conf import settings
from django.core import mail
from django.db import connection
from django.urls import reverse

from auditing import services
from auditing.exports import exporting
from consent import accounts
from consent.models import AccountReference
from ledger.checkpoints import signing
from ledger.merkle.tree import leaf_hash, root_of
from ledger.models import Checkpoint
from ledger.verification.verifying import verify_ledger
from objections.ticket import uploads
from tools import factories
from training_runs.downloads import proofs
from training_runs.manifests import archives
from training_runs.runs import verifying

pytestmark = pytest.mark.django_db(transaction=True)

WORD = "wilhelmina-unforgettable"
REFERENCE = f"{WORD}-4711"


def everything(tmp_path: Path) -> bytes:
    """Each row of each table as text, the SQLite file byte by byte, and every file the portal keeps."""
    found = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            found.append(repr(cursor.fetchall()).encode())
    if connection.vendor == "sqlite":
        found.append(Path(connection.settings_dict["NAME"]).read_bytes())
    kept = [settings.MANIFEST_DIR, settings.ATTACHMENT_DIR, settings.CHECKPOINT_DIR, tmp_path]
    for directory in map(Path, kept):
        found += [p.name.encode() + p.read_bytes() for p in directory.rglob("*") if p.is_file()]
    return b"\n".join(found).lower()


def roots_and_digests():
    """Everything that was promised: checkpoints, manifests, trees."""
    return (
        list(Checkpoint.objects.order_by("size").values_list("size", "root", "note")),
        {manifest.digest for manifest in proofs.Manifest.objects.all()},
        list(proofs.ManifestCheckpoint.objects.order_by("pk").values_list("root", flat=True)),
    )


@pytest.fixture
def lived(officer, second_officer, engineer, auditor, product, client_of):
    """A member who was imported, chose, objected with words and a file, was looked at, revealed and answered."""
    factories.open_world(officer, second_officer)
    factories.add_members(5)
    number = factories.add_member(REFERENCE)
    factories.decide(REFERENCE, "deny", actor=product)
    manifest = factories.freeze(engineer)
    ticket = factories.objection(
        REFERENCE,
        name=WORD,
        email=f"{WORD}@example.org",
        statement=f"I am {WORD}.",
        purposes=["safety"],
        files=[uploads.check(f"{WORD}.txt", WORD.encode())],
    )
    factories.note(ticket=ticket, text=f"{WORD} called.", actor=officer)
    factories.send_letters(factories.uphold(ticket, officer))
    signing.sign_now()
    for subject in (f"member:{number}", ticket.reference):
        reveal = services.grant(
            auditor=auditor, subject=subject, hours=1, reason="an audit", actor=officer
        )
        assert WORD in str(services.look(reveal, auditor))
    client_of(officer).get(reverse("admin:consent_member_change", args=[number]))
    client_of(officer).post(
        reverse("admin:auditing_answer", args=[number]),
        {"run": manifest.run.reference, "purpose": ticket.reference},
    )
    signing.sign_now()
    mail.outbox.clear()
    return number


def test_after_an_erasure_nothing_is_left_and_every_root_and_manifest_still_verifies(
    lived, officer, engineer, tmp_path
):
    assert WORD.encode() in everything(tmp_path)
    promised = roots_and_digests()
    proof = proofs.prove_member(proofs.Manifest.objects.get(), lived)
    salt = AccountReference.objects.get(member=lived).salt

    accounts.erase_member(account_ref=REFERENCE, actor=officer, reason="on request")

    factories.freeze(engineer)
    newest = signing.sign_now()
    exported = exporting.export(tmp_path / "export")
    left = everything(tmp_path)
    assert WORD.encode() not in left
    assert salt.encode() not in left
    assert sha256(REFERENCE.encode()).hexdigest().encode() not in left
    assert verify_ledger().problems == []
    for manifest in proofs.Manifest.objects.all():
        assert verifying.verify(manifest).agreement == "agrees"
        assert sha256(archives.load(manifest.digest)).hexdigest() == manifest.digest
    kept, digests, trees = roots_and_digests()
    assert kept[: len(promised[0])] == promised[0]
    assert promised[1] <= digests
    assert trees[: len(promised[2])] == promised[2]
    assert proofs.prove_member(proofs.Manifest.objects.order_by("pk").first(), lived) == proof
    lines = (exported.directory / "ledger.ndjson").read_bytes().splitlines()
    assert root_of(map(leaf_hash, lines)).hex() == newest.root


def test_the_search_would_find_what_is_there(lived, tmp_path):
    """A search that finds nothing proves something only if it finds what is there."""
    places = everything(tmp_path)

    assert len(re.findall(WORD.encode(), places)) >= 8
