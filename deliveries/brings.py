"""Deliveries, receipts and recipients: what this app brings to the portal."""

from common.identity.roles import ADMINISTRATOR, AUDITOR, ML_ENGINEER, PRIVACY_OFFICER
from common.registry import Brings

_ALL = [
    "deliveries.view_delivery", "deliveries.view_receipt", "deliveries.view_dataset",
    "deliveries.view_waiver", "deliveries.view_recipient", "deliveries.view_trainedmodel",
]  # fmt: skip

BRINGS = Brings(
    scopes={
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
            "deliveries.download_delivery", "deliveries.add_receipt", "deliveries.add_runnerkey",
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
)  # fmt: skip
