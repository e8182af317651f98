"""Objections, tickets and letters: what this app brings to the portal."""

import datetime as dt

from common.identity.roles import AUDITOR, ML_ENGINEER, PRIVACY_OFFICER, PRODUCT
from common.registry import Brings, Daily, Every, Waiting
from ledger.registry import EntryKind, ReadKind

# The mailer comes by every 20 seconds, and servers that put strangers off take them within half an hour.
MAX_UNSENT = dt.timedelta(hours=1)

_TICKETS = [
    "objections.view_ticket", "objections.view_objection", "objections.view_letter",
    "objections.view_proposal", "objections.view_redactionentry",
    "objections.view_redactionloan",
]  # fmt: skip

BRINGS = Brings(
    # Those of officers' acts on tickets and letters are declared with the acts (`KINDS`).
    entries=[
        EntryKind("letter.cancelled", "Letter not sent any more"),
        EntryKind("letter.failed", "Letter could not be sent"),
        EntryKind("letter.sent", "Letter sent"),
        EntryKind("letter.text_changed", "Letter text changed"),
        EntryKind("letter.text_proposed", "Letter text proposed"),
        EntryKind("letter.text_returned", "Letter text sent back by a second person"),
        EntryKind("objection.answer_delivered", "Answer counts as delivered"),
        EntryKind("objection.delivery_put_off", "Answer counts as delivered later: stricter days were recorded"),
        EntryKind("objection.email_confirmed", "E-mail address confirmed", despite_clocks=True),
        EntryKind("objection.files_deleted", "Files deleted: the address was not confirmed in time", despite_clocks=True),
        EntryKind("canary.objection_filed", "Objection of a test account filed"),
        EntryKind("objection.received", "Received", despite_clocks=True),
        EntryKind("redaction.corrected", "Redaction list: values corrected"),
        EntryKind("redaction.erased", "Redaction list: values erased at the person's request"),
        EntryKind("redaction.keys_rotated", "Redaction list: encrypted under a new key"),
        EntryKind("redaction.lent", "Redaction list: lent"),
        EntryKind("redaction.person_told", "Redaction list: person told what erasing the values means"),
    ],
    reads=[
        ReadKind("attachment.read", "File of a ticket"),
        ReadKind("export.ticket", "List of tickets, as a file"),
        ReadKind("letter.history_read", "History of a letter"),
        ReadKind("letter.listed", "List of letters"),
        ReadKind("letter.read", "Letter"),
        ReadKind("member.objections", "Objections of a member"),
        ReadKind("objection.history_read", "History of an objection"),
        ReadKind("objection.listed", "List of objections"),
        ReadKind("objection.read", "Page of an objection"),
        ReadKind("proposal.listed", "List of proposed outcomes"),
        ReadKind("proposal.read", "Page of a proposed outcome"),
        ReadKind("redactionentry.history_read", "History of an entry of the redaction list"),
        ReadKind("redactionentry.listed", "Redaction list"),
        ReadKind("redactionentry.read", "Page of an entry of the redaction list"),
        ReadKind("redactionentry.values_read", "Values of an entry of the redaction list"),
        ReadKind("ticket.history_read", "History of a ticket"),
        ReadKind("ticket.listed", "List of tickets"),
        ReadKind("ticket.looked_up", "Tickets looked up"),
        ReadKind("ticket.progress", "Progress of an objection"),
        ReadKind("ticket.read", "Ticket"),
    ],
    scopes={
        "objections:write": "File objections.",
        "objections:read": "Read an objection's progress.",
        "suppression:read": "Borrow the redaction list for a delivery.",
    },
    permissions={
        PRIVACY_OFFICER: [
            *_TICKETS, "objections.work_ticket", "objections.view_requester",
            "objections.view_lettertemplate", "objections.add_lettertemplate",
            "objections.view_redaction_values",
        ],
        AUDITOR: [*_TICKETS, "objections.view_lettertemplate"],
        ML_ENGINEER: ["objections.borrow_redaction_list"],
        PRODUCT: ["objections.file_ticket"],
    },
    schedule={
        "letters": Every("objections.tasks.send_letters", "SWEEP_SECONDS"),
        "deliveries of letters": Every("objections.tasks.count_delivered", "SWEEP_SECONDS"),
        "erasure": Daily("objections.tasks.erase_expired", hour="5", minute="35"),
        "files": Daily("objections.tasks.sweep_files", hour="5", minute="40"),
        # Again and again through the morning: who has the day's digest gets no other, a mail that failed is tried anew.
        "digests": Daily("objections.tasks.send_digests", hour="6-10", minute="0,30", within=1800),
    },
    queues={
        "objections.tasks.send_letters": "letters",
        "objections.tasks.send_digests": "letters",
    },
    waiting=[Waiting("oldest_unsent_letter", "objections.letters.outbox.oldest_unsent", MAX_UNSENT)],
    checks={
        "values of the redaction list are the sealed ones":
            "objections.redaction.verification.values_are_sealed",
    },
    points={
        "objections.incidents_of_tickets":
            "Called with references of tickets: the incidents of which entries about each are the cause.",
        "objections.look_for_incidents": "Called after an entry about a restriction that may be older than itself.",
        "objections.new_incidents": "Called with a moment: the incidents found since, in words, with the keys of their pages.",
        "objections.list_facts":
            "Called with a purpose: whether each of these receipts names a version of the redaction list that was lent."
            " Without an answer no letter says so.",
        "objections.recipients":
            "Called with a purpose: the names of affiliates and processors that receive data sets, as they exist as rows.",
        "objections.redaction_facts":
            "Called with a purpose: whether the receipts of all completed runs for it show that their data was redacted."
            " Without an answer no page or letter says so.",
        "objections.uses_of_member":
            "Called with a member's number, purposes and a time: the runs that used the member's data since then.",
    },
    hooks={
        "common.work_of_account": "objections.ticket.officers.work_of",
        "common.is_erased": "objections.ticket.retention.is_erased",
        "consent.objected_purposes": "objections.ticket.exposure.objected_purposes",
        "consent.member_created": "objections.intake.receiving.restrict_new_members",
        "consent.account_changed": "objections.ticket.inherited.follow_members",
        "consent.member_erased": "objections.ticket.retention.erase_words_of_member",
        "consent.kept_after_erasure": "objections.ticket.retention.kept_after_erasure",
    },
)  # fmt: skip
