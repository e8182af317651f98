"""Audits and proofs: what this app brings to the portal."""

from common.identity.roles import AUDITOR, PRIVACY_OFFICER
from common.registry import Brings, Daily
from ledger.registry import EntryKind, ReadKind

BRINGS = Brings(
    entries=[
        EntryKind("ledger.verification_failed", "Verification of the ledger found a problem", despite_clocks=True),
        EntryKind("ledger.verified", "Ledger verified", despite_clocks=True),
        EntryKind("reveal.granted", "Account reference of a member revealed"),
    ],
    reads=[
        ReadKind("answer.given", "Answer to a member, made"),
        ReadKind("checkpoint.read", "Checkpoints"),
        ReadKind("dossier.read", "File on a member or run"),
        ReadKind("entry.proved", "Proof that an entry is in the ledger"),
        ReadKind("export.ledger", "Ledger entries, as a file"),
        ReadKind("export.reads", "Sealed record of reads, as a file"),
        ReadKind("member.proved", "Proof that a member is in a manifest or not"),
        ReadKind("member.revealed", "Account reference of a member"),
        ReadKind("state.read", "Past state of a member, run or ticket"),
    ],
    scopes={"audit:read": "Read the ledger, its checkpoints and proofs."},
    permissions={
        PRIVACY_OFFICER: [
            "auditing.add_reveal", "auditing.view_reveal", "auditing.view_dossier",
        ],
        AUDITOR: ["auditing.view_reveal", "auditing.view_dossier"],
    },
    schedule={
        "checkpoints by mail": Daily("auditing.tasks.mail_checkpoint", hour="6", minute="15"),
        # A part of the manifests each night, the whole ledger every night.
        "nightly check": Daily("auditing.tasks.check_tonight", hour="2", minute="10"),
    },
    queues={"auditing.tasks.mail_checkpoint": "letters"},
    files=["auditing.exports.audit_files.LedgerFile", "auditing.exports.audit_files.ReadsFile"],
    subjects=[
        "auditing.subjects.MEMBER", "auditing.subjects.RUN", "auditing.subjects.TICKET",
    ],
)  # fmt: skip
