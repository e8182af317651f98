"""Runs, manifests and their verification: what this app brings to the portal."""

import datetime as dt

from common.identity.roles import ADMINISTRATOR, AUDITOR, ML_ENGINEER, PRIVACY_OFFICER
from common.registry import Brings, Every, Waiting
from ledger.registry import EntryKind, ReadKind

# A freeze takes seconds and the sweeper comes by every 20: a run older than this waits for people.
MAX_WAIT = dt.timedelta(minutes=5)
# A verification takes seconds, of ten million members minutes.
MAX_UNVERIFIED = dt.timedelta(minutes=15)
# The sweeper looks every 20 seconds.
MAX_LATE = dt.timedelta(minutes=15)

_RUNS = [
    "training_runs.view_run", "training_runs.view_manifest", "training_runs.view_verification",
    "training_runs.view_assessment",
]  # fmt: skip

BRINGS = Brings(
    entries=[
        EntryKind("assessment.approved", "Compatibility assessment approved by a privacy officer"),
        EntryKind("assessment.rejected", "Compatibility assessment rejected by a privacy officer", despite_clocks=True),
        EntryKind("assessment.written", "Compatibility assessment written"),
        EntryKind("canary.opened", "Test account opened"),
        EntryKind("canary.planted", "Test account created"),
        EntryKind("incident.acknowledged", "Incident acknowledged", despite_clocks=True),
        EntryKind("incident.assessed", "Incident assessed", despite_clocks=True),
        EntryKind("incident.closed", "Incident closed", despite_clocks=True),
        EntryKind("incident.found", "Incident found", despite_clocks=True),
        EntryKind("incident.reviewed", "Assessment of an incident reviewed", despite_clocks=True),
        EntryKind("manifest.verification_failed", "Verification found a difference", despite_clocks=True),
        EntryKind("manifest.verified", "Manifest verified"),
        EntryKind("run.cancelled", "Run cancelled", despite_clocks=True),
        EntryKind("run.as_of_changed", "Instant whose rules apply changed"),
        EntryKind("run.frozen", "Manifest frozen"),
        EntryKind("run.registered", "Run registered"),
        EntryKind("run.renamed", "Run renamed"),
        EntryKind("run.requested", "Run started: manifest requested"),
        EntryKind("team.changed", "Team changed"),
        EntryKind("team.created", "Team made"),
        EntryKind("team.person_added", "Person added to a team"),
        EntryKind("team.person_removed", "Person removed from a team", despite_clocks=True),
        EntryKind("verification.requested", "Verification requested again"),
    ],
    reads=[
        ReadKind("export.incident", "List of incidents, as a file"),
        ReadKind("export.run", "List of runs, as a file"),
        ReadKind("export.verification", "List of verifications, as a file"),
        ReadKind("incident.listed", "List of incidents"),
        ReadKind("incident.read", "Page of an incident"),
        ReadKind("manifest.archive", "Archive of a manifest"),
        ReadKind("manifest.read", "Manifest"),
        ReadKind("manifest.withdrawn", "Accounts withdrawn since the manifest"),
        ReadKind("run.entry_proved", "Proof of an entry about a run"),
        ReadKind("run.entry_read", "Entry about a run"),
        ReadKind("run.explained", "Why a member is in or out of a run"),
    ],
    scopes={
        "runs:read": "Read runs and preview them.",
        "runs:write": "Register, start, train, complete and cancel runs.",
        "manifests:read": "Read manifests and deliveries, and download their archives.",
    },
    permissions={
        PRIVACY_OFFICER: [
            "training_runs.explain_run", "training_runs.add_verification", *_RUNS,
            "training_runs.view_incident", "training_runs.change_incident",
            "training_runs.add_incidentassessment", "training_runs.add_incidentreview",
            "training_runs.view_finding", "training_runs.add_assessmentreview",
        ],
        ML_ENGINEER: [
            *_RUNS, "training_runs.view_finding", "training_runs.add_run",
            "training_runs.change_run", "training_runs.start_run", "training_runs.explain_run",
            "training_runs.view_own_incident", "training_runs.download_manifest",
            "training_runs.add_assessment",
        ],
        ADMINISTRATOR: [
            "training_runs.view_team", "training_runs.add_team", "training_runs.change_team",
        ],
        AUDITOR: [
            *_RUNS, "training_runs.view_incident", "training_runs.view_team", "training_runs.view_finding", "training_runs.view_canary",
            "training_runs.explain_run",
        ],
    },
    schedule={
        "freezes": Every("training_runs.tasks.sweep_freezes", "SWEEP_SECONDS"),
        "verifications": Every("training_runs.tasks.sweep_verifications", "SWEEP_SECONDS"),
        "late_facts": Every("training_runs.tasks.look_for_late_facts", "SWEEP_SECONDS"),
    },
    queues={
        "training_runs.tasks.freeze_run": "freezes",
        "training_runs.tasks.sweep_freezes": "freezes",
        "training_runs.tasks.verify_manifest": "verifications",
        "training_runs.tasks.sweep_verifications": "verifications",
        "training_runs.tasks.look_for_late_facts": "verifications",
    },
    waiting=[
        Waiting("oldest_requested_run", "training_runs.runs.freezing.oldest_requested", MAX_WAIT),
        Waiting(
            "oldest_unverified_manifest", "training_runs.runs.verifying.oldest_unverified",
            MAX_UNVERIFIED,
        ),
        Waiting("oldest_late_fact", "training_runs.incidents.finding.oldest_late_fact", MAX_LATE),
    ],
    files=["training_runs.downloads.withdrawn.WithdrawnSet"],
    trees=["training_runs.downloads.proofs.sign_trees"],
    points={
        "training_runs.exposure_of_members":
            "Called with a run's key and members: those who were delivered, and those who were used as receipts say.",
        "training_runs.run_ended": "Called with a run and a sentence, in the entry that cancels the run.",
        "training_runs.use_of_runs":
            "Called with the keys of runs; returns by key what an answer says of the use of their data.",
    },
    hooks={
        "common.work_of_account": "training_runs.teams.answered_for_by",
        "consent.effect_on_members": "training_runs.eligibility.effects.effect",
        "objections.uses_of_member": "training_runs.runs.explaining.uses_of",
        "objections.incidents_of_tickets": "training_runs.incidents.of_tickets.of_tickets",
        "objections.look_for_incidents": "training_runs.incidents.of_tickets.look",
        "objections.new_incidents": "training_runs.incidents.of_tickets.new_since",
    },
)  # fmt: skip
