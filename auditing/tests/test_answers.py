"""One page for a person, with the proof attached."""

from io import BytesIO

import pytest
from django.urls import reverse
from pypdf import PdfReader

from auditing.exports import answers
from ledger.checkpoints import signing
from ledger.models import AccessRecord
from tools import factories
from training_runs.downloads import proofs
from training_runs.manifests import archives
from training_runs.runs import verifying

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.one_engine]


def test_the_answer_says_out_and_why_on_one_page_and_has_the_proof_attached(manifest, opted_out):
    number = opted_out()

    document = PdfReader(BytesIO(answers.pdf(answers.answer(manifest, number))))

    (page,) = document.pages
    words = " ".join(page.extract_text().split())
    assert "Your data was not in the list for this training run" in words
    assert "the member's setting for the purpose is off" in words
    assert document.attachments == {
        f"{manifest.run.reference}-member-{number}.tlog-proof": [
            proofs.prove_member(manifest, number).encode()
        ]
    }


def test_the_answer_says_in(manifest):
    said = answers.answer(manifest, 1)

    assert said.is_in
    assert "may have been trained on it" in said.sentence


def test_a_member_out_for_every_reason_at_once_still_fits_on_one_page(manifest, settings):
    settings.CONTROLLER_NAME = "A network with <b>markup</b> & a very long name " * 3
    said = answers.answer(manifest, 1)
    crowded = answers.MemberAnswer(
        **{
            **said.__dict__,
            "is_in": False,
            "reasons": [(one.sentence, one.ground) for one in answers.BY_CODE.values()],
        }
    )

    assert len(PdfReader(BytesIO(answers.pdf(crowded))).pages) == 1


def test_an_officer_writes_an_answer_and_it_is_on_record(manifest, officer, client_of):
    answer = client_of(officer).post(
        reverse("admin:auditing_answer", args=[3]),
        {"run": manifest.run.reference, "purpose": "OBJ-2026-000001"},
    )

    assert answer.headers["Content-Type"] == "application/pdf"
    assert answer.headers["Content-Disposition"].startswith("attachment;")
    record = AccessRecord.objects.get(kind="answer.given")
    assert (record.subject, record.purpose) == (
        "member:3",
        f"{manifest.run.reference}: OBJ-2026-000001",
    )


def test_about_a_run_that_is_not_there_nothing_is_said(manifest, officer, client_of):
    answer = client_of(officer).post(
        reverse("admin:auditing_answer", args=[3]), {"run": "TR-1999-000001", "purpose": "x"}
    )

    assert "Select a valid choice" in answer.content.decode()
    assert not AccessRecord.objects.filter(kind="answer.given").exists()


def test_about_a_manifest_that_differs_nothing_is_said(manifest, officer, client_of):
    path = archives.path_of(manifest.digest)
    path.write_bytes(path.read_bytes() + b"x")
    verifying.verify(manifest)

    answer = client_of(officer).post(
        reverse("admin:auditing_answer", args=[3]), {"run": manifest.run.reference, "purpose": "x"}
    )

    assert "does not verify" in answer.content.decode()
    assert not AccessRecord.objects.filter(kind="answer.given").exists()


def test_without_a_signed_run_the_page_says_so(officer, client_of):
    factories.add_members(3)
    signing.sign_now()

    page = client_of(officer).get(reverse("admin:auditing_answer", args=[1]))

    assert "There is no run yet" in page.content.decode()
