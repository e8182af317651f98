"""Deliveries, receipts and recipients: what this app brings to the portal."""

import datetime as dt

from common.identity.roles import ADMINISTRATOR, AUDITOR, ML_ENGINEER, PRIVACY_OFFICER
from common.registry import Brings, Daily, Every, Waiting
from ledger.registry import EntryKind, ReadKind

# A delivery of ten million members takes a minute, and the sweeper comes by every 20 seconds.
MAX_UNDELIVERED = dt.timedelta(minutes=15)
# A verification takes seconds, of ten million members minutes.
MAX_UNVERIFIED = dt.timedelta(hours=1)
# A file of 2^20 accounts takes some seconds; the first map of a thousand million accounts an hour and more.
MAX_UNMAPPED = dt.timedelta(hours=3)

_ALL = [
    "deliveries.view_delivery", "deliveries.view_receipt", "deliveries.view_dataset",
    "deliveries.view_waiver", "deliveries.view_recipient", "deliveries.view_trainedmodel",
]  # fmt: skip

BRINGS = Brings(
    entries=[
        EntryKind("account_map.ended", "Account map deleted: it was not asked for any more", despite_clocks=True),
        EntryKind("account_map.made", "File of the account map made"),
        EntryKind("account_map.refused", "File of the account map refused: an account is not as it was sealed", despite_clocks=True),
        EntryKind("account_map.requested", "Account map requested"),
        EntryKind("delivery.cancelled", "Delivery cancelled", despite_clocks=True),
        EntryKind("delivery.expired", "Lease of a delivery ended", despite_clocks=True),
        EntryKind("delivery.made", "Delivery made"),
        EntryKind("delivery.refused", "Delivery refused: it would not be what was frozen", despite_clocks=True),
        EntryKind("delivery.requested", "Delivery requested"),
        EntryKind("delivery.verification_failed", "Delivery differs from history", despite_clocks=True),
        EntryKind("delivery.verified", "Delivery verified"),
        EntryKind("delivery.withdrawals_acknowledged", "Withdrawals acknowledged"),
        EntryKind("lineage.received", "Lineage event received", despite_clocks=True),
        EntryKind("model.changed", "Model recorded or changed"),
        EntryKind("receipt.accepted", "Receipt accepted"),
        EntryKind("receipt.refused", "Receipt refused: it names another digest", despite_clocks=True),
        EntryKind("recipient.changed", "Recipient recorded or changed"),
        EntryKind("recipient.received", "Data set handed to a recipient"),
        EntryKind("recipient.told", "Recipient told of an objection or erasure", despite_clocks=True),
        EntryKind("run.completed", "Run completed"),
        EntryKind("run.failed", "Training failed"),
        EntryKind("run.training", "Training began"),
        EntryKind("run.used_after_lease", "Data used after the lease", despite_clocks=True),
        EntryKind("runner_key.ended", "Key of a runner ended", despite_clocks=True),
        EntryKind("runner_key.registered", "Key of a runner registered"),
        EntryKind("waiver.asked", "Completion without a receipt asked for"),
        EntryKind("waiver.decided", "Completion without a receipt decided"),
    ],
    reads=[
        ReadKind("account_map.file", "File of the account map"),
        ReadKind("delivery.archive", "Archive of a delivery"),
        ReadKind("delivery.file", "File of a delivery"),
        ReadKind("delivery.report", "Report of a delivery for people"),
        ReadKind("export.delivery", "List of deliveries, as a file"),
        ReadKind("export.receipt", "List of receipts, as a file"),
        ReadKind("receipt.read", "Receipt"),
    ],
    scopes={
        "account-map:read": "Request and download the account map: every account with its member number.",
        "deliveries:write": "Request, renew and cancel deliveries, and download their lists of accounts.",
        "receipts:write": "Register keys of runners and send receipts.",
        "lineage:write": "Send OpenLineage events.",
    },
    permissions={
        PRIVACY_OFFICER: [
            *_ALL, "deliveries.decide_waiver", "deliveries.tell_recipient",
            "deliveries.view_recipienttold",
        ],
        ML_ENGINEER: [
            *_ALL, "deliveries.add_delivery", "deliveries.change_delivery",
            "deliveries.download_delivery", "deliveries.download_accountmap", "deliveries.add_receipt", "deliveries.add_runnerkey",
            "deliveries.add_waiver", "deliveries.add_lineageevent", "deliveries.add_handover",
            "deliveries.add_trainedmodel", "deliveries.change_trainedmodel",
        ],
        AUDITOR: [
            *_ALL, "deliveries.view_runnerkey", "deliveries.view_lineageevent",
            "deliveries.view_recipienttold",
        ],
        ADMINISTRATOR: [
            "deliveries.view_recipient", "deliveries.add_recipient", "deliveries.change_recipient",
        ],
    },
    schedule={
        "deliveries": Every("deliveries.tasks.sweep_deliveries", "SWEEP_SECONDS"),
        "delivery verifications": Every("deliveries.tasks.verify_deliveries", "SWEEP_SECONDS"),
        "account map": Every("deliveries.tasks.make_account_map", "SWEEP_SECONDS"),
        "lineage bodies": Daily("deliveries.tasks.delete_lineage_bodies", hour="3", minute="25"),
    },
    queues={
        "deliveries.tasks.make_delivery": "files",
        "deliveries.tasks.sweep_deliveries": "files",
        "deliveries.tasks.make_account_map": "files",
        "deliveries.tasks.verify_deliveries": "verifications",
        "deliveries.tasks.delete_lineage_bodies": "housekeeping",
    },
    files=["deliveries.staff.report.DeliveryReport"],
    waiting=[
        Waiting(
            "oldest_requested_delivery", "deliveries.made.making.oldest_requested", MAX_UNDELIVERED
        ),
        Waiting(
            "oldest_unverified_delivery", "deliveries.made.verifying.oldest_unverified",
            MAX_UNVERIFIED,
        ),
        Waiting(
            "oldest_account_map_range", "deliveries.made.account_map.oldest_waiting", MAX_UNMAPPED
        ),
    ],
    hooks={
        "training_runs.exposure_of_members": "deliveries.exposure.of_members",
        "consent.member_created": "deliveries.made.account_map.note_created",
        "consent.references_spelt": "deliveries.made.account_map.note_spelt",
        "consent.member_erased": "deliveries.made.ending.end_with_member",
        "objections.recipients": "deliveries.recipients.names_for",
        "objections.redaction_facts": "deliveries.receipts.completing.is_redaction_proven",
        "objections.list_facts": "deliveries.receipts.completing.is_list_applied",
        "training_runs.run_ended": "deliveries.made.ending.end_of_run",
        "training_runs.use_of_runs": "deliveries.uses.of_runs",
    },
)  # fmt: skip
