"""The answer to a person, on one page: was their data in a run, why, and the proof with it.

The proof is attached to the PDF as a file and printed in it: a reader who has only the paper can type it in.
"""

import datetime as dt
from dataclasses import dataclass
from io import BytesIO
from xml.sax.saxutils import escape

from django.conf import settings
from django.utils import timezone
from pypdf import PdfReader, PdfWriter
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle, getSampleStyleSheet
from reportlab.lib.units import mm
from reportlab.platypus import (
    KeepInFrame,
    Paragraph,
    Preformatted,
    SimpleDocTemplate,
    Spacer,
    Table,
    TableStyle,
)

from ledger.checkpoints import signing
from training_runs.downloads import proofs
from training_runs.eligibility.exclusions import BY_CODE
from training_runs.models import Manifest
from training_runs.runs import explaining

_CHECK = (
    "The proof is attached to this file, and printed below. You can check it without us, with verify.py and the"
    " key of our ledger, which you get from the supervisory authority, from our auditors, or from us:"
)


@dataclass(frozen=True)
class MemberAnswer:
    """The answer to a person about one run."""

    run: str
    purpose: str
    frozen_at: dt.datetime
    number: int
    is_in: bool
    reasons: list[tuple[str, str]]
    """(sentence, ground) of each reason to be out; empty when in."""
    digest: str
    proof: str

    @property
    def sentence(self) -> str:
        if self.is_in:
            return "Your data was in the list for this training run: the run may have been trained on it."
        return "Your data was not in the list for this training run, and the run may use that list only."

    @property
    def file_name(self) -> str:
        return f"{self.run}-member-{self.number}"


def answer(manifest: Manifest, number: int) -> MemberAnswer:
    """The manifest's answer about the member, with its proof. Raises ProofNotPossible, ManifestDamaged."""
    proof = proofs.prove_member(manifest, number)
    reasons = explaining.reasons_in(manifest, number)
    return MemberAnswer(
        run=manifest.run.reference,
        purpose=manifest.run.get_purpose_display(),
        frozen_at=manifest.frozen_at,
        number=number,
        is_in=not reasons,
        reasons=[(BY_CODE[code].sentence, BY_CODE[code].ground) for code in reasons],
        digest=manifest.digest,
        proof=proof,
    )


def pdf(said: MemberAnswer) -> bytes:
    """The answer as one page of A4, with the proof attached as `<run>-member-<number>.tlog-proof`."""
    drawn = BytesIO()
    document = SimpleDocTemplate(
        drawn,
        pagesize=A4,
        leftMargin=20 * mm,
        rightMargin=20 * mm,
        topMargin=16 * mm,
        bottomMargin=14 * mm,
        title=f"Answer about {said.run}",
        author=settings.CONTROLLER_NAME,
        lang="en",
    )
    # Always one page: a member with many reasons gets smaller letters.
    space = document.width - 12, document.height - 12
    document.build([KeepInFrame(*space, _story(said), mode="shrink")])
    writer = PdfWriter()
    writer.append(PdfReader(BytesIO(drawn.getvalue())))
    writer.add_metadata({"/Title": f"Answer about {said.run}", "/Author": settings.CONTROLLER_NAME})
    writer.add_attachment(f"{said.file_name}.tlog-proof", said.proof.encode())
    out = BytesIO()
    writer.write(out)
    return out.getvalue()


def _story(said: MemberAnswer) -> list[object]:
    styles = getSampleStyleSheet()
    text = ParagraphStyle(
        "text", parent=styles["BodyText"], fontSize=10, leading=13.5, spaceAfter=5
    )
    small = ParagraphStyle(
        "small", parent=text, fontSize=8, leading=10.5, textColor=colors.HexColor("#444444")
    )
    title = ParagraphStyle(
        "title", parent=styles["Heading1"], fontSize=16, leading=20, spaceAfter=3
    )
    heading = ParagraphStyle(
        "heading", parent=styles["Heading2"], fontSize=11.5, spaceBefore=9, spaceAfter=3
    )
    code = ParagraphStyle("code", parent=styles["Code"], fontSize=5.9, leading=7.3, leftIndent=0)
    strong = ParagraphStyle(
        "strong", parent=text, fontSize=12.5, leading=16, spaceBefore=4, spaceAfter=6
    )

    def words(sentence: str, style: ParagraphStyle = text) -> Paragraph:
        return Paragraph(escape(sentence), style)

    story: list[object] = [
        words(settings.CONTROLLER_NAME, small),
        words("Was your data used?", title),
        Paragraph(f"<b>{escape(said.sentence)}</b>", strong),
    ]
    for sentence, ground in said.reasons:
        story.append(words(f"Why: {sentence} ({ground})."))
    gone = signing.retired()
    keys = "\n".join(
        f"{verifier.text}{'  (signs no more)' if verifier.text in gone else ''}"
        for verifier in signing.verifiers()
    )
    facts = [
        ("Training run", said.run),
        ("Purpose", said.purpose),
        ("List frozen at", f"{said.frozen_at:%d %B %Y, %H:%M:%S} UTC"),
        ("Your number in our records", str(said.number)),
        ("SHA-256 of the list", said.digest),
        ("Answer written on", f"{timezone.now():%d %B %Y}"),
    ]
    table = Table(
        [
            [words(name, small), words(value, small if len(value) > 60 else text)]
            for name, value in facts
        ],
        colWidths=[45 * mm, 125 * mm],
    )
    table.setStyle(
        TableStyle(
            [
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("LINEBELOW", (0, 0), (-1, -1), 0.25, colors.HexColor("#BBBBBB")),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 0),
                ("TOPPADDING", (0, 0), (-1, -1), 2),
            ]
        )
    )
    return [
        *story,
        Spacer(0, 3 * mm),
        table,
        words("What this means", heading),
        words(
            "A list is frozen when a run starts and never changes. A choice you make afterwards counts for every run"
            " that starts after it; it does not undo training that was done. If you object, or switch the setting"
            " off, no list that is frozen from then on has you in it."
        ),
        words(
            f"Questions, or an objection: {settings.CONTROLLER_CONTACT}. You may also complain to a data protection authority."
        ),
        words("How to check it", heading),
        words(_CHECK, small),
        Preformatted(keys, code, maxLineLength=150),
        Preformatted(
            f"python3 verify.py proof {said.file_name}.tlog-proof --member {said.number} --key KEY",
            code,
        ),
        words("The proof", heading),
        Preformatted(said.proof, code, maxLineLength=150),
    ]
