"""The roles, as groups with permissions. docs/reference/roles.md says what they mean.

Groups are synchronised after every `migrate`, because a permission exists only once its model's
migration has run. A permission that is not named here is nobody's.
"""

from typing import Any

from django.contrib.auth.models import Group, Permission

PRIVACY_OFFICER = "Privacy officer"
ML_ENGINEER = "ML engineer"
AUDITOR = "Auditor"
ADMINISTRATOR = "Administrator"
PRODUCT = "Product service"

_RUNS = ["training_runs.view_run", "training_runs.view_manifest", "training_runs.view_verification"]
_RULES = ["consent.view_notice", "consent.view_regionrule", "consent.view_review"]
_TICKETS = [
    "objections.view_ticket",
    "objections.view_objection",
    "objections.view_letter",
    "objections.view_proposal",
    "objections.view_incident",
]

ROLES: dict[str, list[str]] = {
    PRIVACY_OFFICER: [
        *_RULES,
        "consent.add_notice",
        "consent.add_regionrule",
        "consent.add_review",
        "consent.add_decision",
        "consent.view_member",
        "consent.view_accountreference",
        "consent.view_decision",
        "consent.view_consent",
        *_TICKETS,
        "objections.work_ticket",
        "objections.view_requester",
        "objections.view_lettertemplate",
        "objections.add_lettertemplate",
        "auditing.add_reveal",
        "auditing.view_reveal",
        "training_runs.explain_run",
        "training_runs.add_verification",
        *_RUNS,
        "training_runs.view_finding",
        "auditing.view_dossier",
    ],
    ML_ENGINEER: [
        *_RULES,
        *_RUNS,
        "training_runs.view_finding",
        "training_runs.add_run",
        "training_runs.change_run",
        "training_runs.start_run",
        "training_runs.explain_run",
        "training_runs.view_own_incident",
        "training_runs.download_manifest",
    ],
    AUDITOR: [
        *_RULES,
        *_RUNS,
        "consent.view_member",
        "consent.view_decision",
        "consent.view_consent",
        *_TICKETS,
        "objections.view_lettertemplate",
        "ledger.view_entry",
        "ledger.view_accessrecord",
        "ledger.view_checkpoint",
        "ledger.view_ledgercheck",
        "ledger.view_readbatch",
        "ledger.view_clockstep",
        "ledger.view_clocksettlement",
        "auditing.view_reveal",
        "training_runs.view_finding",
        "training_runs.view_canary",
        "training_runs.explain_run",
        "auditing.view_dossier",
        "auth.view_user",
        "auth.view_group",
    ],
    ADMINISTRATOR: [
        "auth.view_user",
        "auth.add_user",
        "auth.change_user",
        "auth.view_group",
        "common.view_servicetoken",
        "common.add_servicetoken",
        "common.delete_servicetoken",
        "ledger.view_clockstep",
        "ledger.view_clocksettlement",
        "ledger.settle_clocks",
    ],
    # The product's own service: it tells us what members decide and shows them where they stand.
    PRODUCT: ["consent.record_decision", "consent.view_standing", "objections.file_ticket"],
}


def sync_groups(sender: Any = None, **kwargs: Any) -> None:
    """Make the groups what `ROLES` says.

    Runs after `migrate`, behind the app whose receiver creates the last of the permissions (contenttypes
    comes after auth in INSTALLED_APPS), and does nothing on a partly migrated database.
    """
    if sender is not None and sender.name != "django.contrib.contenttypes":
        return
    known = {
        f"{app}.{codename}": pk
        for app, codename, pk in Permission.objects.values_list(
            "content_type__app_label", "codename", "pk"
        )
    }
    wanted = {name for names in ROLES.values() for name in names}
    if not wanted <= known.keys():
        return
    for role, names in ROLES.items():
        group, _ = Group.objects.get_or_create(name=role)
        group.permissions.set([known[name] for name in names])
