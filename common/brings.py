"""Accounts, service tokens and made files: what this app brings to the portal."""

import datetime as dt

from common.identity.roles import ADMINISTRATOR, AUDITOR
from common.registry import Brings, Daily, Every, Waiting
from ledger.registry import EntryKind

# A list of ten million accounts takes minutes, and may wait for another one.
MAX_FILE_WAIT = dt.timedelta(minutes=30)

BRINGS = Brings(
    entries=[
        EntryKind("token.issued", "Service token issued"),
        EntryKind("token.renewed", "Service token renewed by its owner"),
        EntryKind("token.revoked", "Service token revoked", despite_clocks=True),
        EntryKind("user.changed", "Account added or changed", despite_clocks=True),
        EntryKind("user.superuser_refused", "Superuser refused", despite_clocks=True),
    ],
    permissions={
        ADMINISTRATOR: [
            "auth.view_user", "auth.add_user", "auth.change_user", "auth.view_group",
            "common.view_servicetoken", "common.add_servicetoken", "common.delete_servicetoken",
        ],
        AUDITOR: ["auth.view_user", "auth.view_group"],
    },
    schedule={
        "long files": Every("common.tasks.make_files", "SWEEP_SECONDS"),
        "ended files": Daily("common.tasks.remove_files", hour="*", minute="20", within=1800),
        "drafts": Daily("common.tasks.remove_old_drafts", hour="5", minute="45"),
        "sign-ins": Daily("common.tasks.forget_sign_ins", hour="5", minute="45"),
    },
    queues={"common.tasks.make_file": "files", "common.tasks.make_files": "files"},
    waiting=[
        Waiting("oldest_waiting_file", "common.files.made_files.oldest_waiting", MAX_FILE_WAIT)
    ],
    files=["common.staff.list_exports.ListExport"],
    points={
        "common.work_of_account": "Says in a sentence what a person has, before and after the account is closed.",
        "common.is_erased": "Whether the personal data of a subject was erased: if so, no draft about it is kept.",
    },
)  # fmt: skip
