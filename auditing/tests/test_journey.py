"""An audit as an auditor lives it, in a real browser: from the start page to a person's answer, checked without us."""

import re
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from playwright.sync_api import Download, Page, expect
from pypdf import PdfReader

from auditing import services, verification
from consent.models import Decision
from ledger import entries
from ledger.checkpoints import signing
from ledger.models import AccessRecord, Entry
from tools import factories
from tools.browsing import in_a_browser
from training_runs.models import Manifest

pytestmark = in_a_browser


@pytest.fixture
def frozen(officer: User, second_officer: User, engineer: User, product: User) -> Manifest:
    """A run that a member opted out of, verified and signed; the nightly check has run."""
    factories.open_world(officer, second_officer)
    factories.add_members(20)
    factories.decide("acc-7", "deny", actor=product)
    manifest = factories.freeze(engineer)
    signing.sign_now()
    verification.check_tonight(seconds=0)
    signing.sign_now()
    return manifest


def saved(page: Page, name: str, **where: Any) -> Download:
    """Click a link that downloads something."""
    with page.expect_download() as download:
        page.get_by_role("link", name=name, **where).first.click()
    return download.value


def checked(home: Path, *arguments: object) -> str:
    """What the outsider's file says, run by a plain Python."""
    script = Path(settings.BASE_DIR) / "outsider" / "verify.py"
    done = subprocess.run(
        [sys.executable, "-I", "-S", script, *map(str, arguments)],
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_from_the_start_page_to_a_persons_answer(
    frozen: Manifest, auditor: User, officer: User, visit: Any, tmp_path: Path
) -> None:
    denied = Decision.objects.get(entry__actor_name="product")
    number, reference = denied.member_id, frozen.run.reference
    key = signing.signers()[0].verifier.text
    visitor = visit(auditor)
    faults = {}

    # The start page says what was checked, and has the checkpoint to download.
    page = visitor.open("admin:index")
    expect(page.get_by_text("Ledger recomputed, complete to entry")).to_be_visible()
    expect(page.get_by_text("Verified against history: 1 of 1 manifests.")).to_be_visible()
    expect(page.get_by_text("No checkpoint is held outside")).to_be_visible()
    faults["start"] = visitor.faults_here()
    kept = tmp_path / "kept.checkpoint"
    saved(visitor.open("admin:index"), "Newest checkpoint").save_as(kept)
    page = visitor.open("admin:index")
    expect(page.get_by_text("Last checkpoint held outside: entry")).to_contain_text("by ada")
    faults["checkpoints"] = visitor.faults_of("/admin/ledger/checkpoint/")
    faults["checks"] = visitor.faults_of("/admin/ledger/ledgercheck/")

    # From the ledger to the entry behind a choice, before and after, with its proof.
    page = visitor.open("admin:ledger_entry_changelist")
    page.get_by_label("Everything about").fill(f"member:{number}")
    page.get_by_label("Kind").select_option("consent.decision")
    page.get_by_role("button", name="Show", exact=True).click()
    page.get_by_role("link", name=str(denied.entry_id), exact=True).click()
    expect(page.get_by_role("heading", name="Decision: 1 row added")).to_be_visible()
    entry = tmp_path / "entry.tlog-proof"
    saved(page, "Download the proof").save_as(entry)
    assert '"kind": "consent.decision"' in checked(
        tmp_path, "proof", entry, "--entry", "--key", key
    ).replace('"kind":"', '"kind": "')

    # To the person: all that decided, in or out then and now, and the answer.
    page.get_by_role("link", name=re.compile(rf"member {number}\b")).first.click()
    page = visitor.page
    expect(page.get_by_role("heading", name=f"Dossier of member {number}")).to_be_visible()
    expect(page.get_by_text("the member's setting for the purpose is off").first).to_be_visible()
    page.get_by_role("link", name="Prove it").first.click()
    faults["answer"] = visitor.faults_here()
    page.reload()
    page.get_by_label("What for").fill("OBJ-2026-000001")
    with page.expect_download() as download:
        page.get_by_role("button", name="Write the answer (PDF)").click()
    document = PdfReader(BytesIO(Path(download.value.path()).read_bytes()))
    assert "Your data was not in the list" in " ".join(document.pages[0].extract_text().split())
    ((name, (proof,)),) = document.attachments.items()
    (tmp_path / name).write_bytes(proof)
    said = checked(tmp_path, "proof", tmp_path / name, "--member", number, "--key", key)
    assert f"member {number} is out of {reference}: opted_out" in said

    # Who it is, only by an officer's leave.
    services.grant(
        auditor=auditor,
        subject=f"member:{number}",
        hours=1,
        reason="the complaint is of this account",
        actor=officer,
    )
    page = visitor.open("admin:auditing_reveal_changelist")
    assert "acc-7" not in page.content()
    faults["reveals"] = visitor.faults_here()
    visitor.open("admin:auditing_reveal_changelist")
    page.get_by_role("link", name="View (logged)").click()
    expect(page.get_by_text("acc-7")).to_be_visible()
    faults["identity"] = visitor.faults_here()

    assert {name: found for name, found in faults.items() if found} == {}
    # Every step is on record, and nothing was written by it.
    kinds = set(AccessRecord.objects.filter(user=auditor).values_list("kind", flat=True))
    assert kinds >= {
        "checkpoint.read", "entry.listed", "entry.read", "entry.proved", "dossier.read",
        "answer.given", "member.revealed",
    }  # fmt: skip
    assert not Entry.objects.filter(actor=auditor).exists()
    assert entries.read_head().size == Entry.objects.count()


def test_an_officer_grants_a_reveal_by_its_page(auditor: User, officer: User, visit: Any) -> None:
    factories.add_members(2)
    visitor = visit(officer)

    page = visitor.open("admin:auditing_reveal_changelist")
    page.get_by_role("link", name=re.compile("Add reveal", re.IGNORECASE)).first.click()
    faults = visitor.faults_here()
    page.reload()
    page.get_by_label("Who").fill("member:2")
    page.get_by_label("Reason").fill("A complaint.")
    page.get_by_role("button", name="Grant it").click()

    expect(page.get_by_text("ada may see who member:2 is until")).to_be_visible()
    assert faults == []
