"""Everything of this app in the admin: models register on the portal's site, pages about no single model are rows of it."""

from auditing.staff import dossiers, lists, panels, proofs
from common.staff.site import site

site.pages += [
    ("audit/dossiers/", dossiers.find_dossier, "auditing_dossiers"),
    ("audit/members/<int:number>/", dossiers.member_dossier, "auditing_member_dossier"),
    ("audit/runs/<int:number>/", dossiers.run_dossier, "auditing_run_dossier"),
    ("audit/state/", dossiers.state, "auditing_state"),
    ("audit/members/<int:number>/answer/", proofs.answer_person, "auditing_answer"),
    ("audit/entries/<int:sequence>/proof/", proofs.prove_entry, "auditing_entry_proof"),
    (
        "audit/checkpoints/<int:size>/",
        proofs.download_checkpoint,
        "auditing_checkpoint_download",
    ),
]

__all__ = ["lists", "panels"]
