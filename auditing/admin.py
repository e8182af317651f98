"""Everything of this app in the admin: models register on the portal's site, pages about no single model are rows of it."""

from auditing import (
    admin_views,
    proof_admin,  # noqa: F401  registering is the effect
    proof_views,
)
from common.staff.site import site

site.pages += [
    ("audit/dossiers/", admin_views.find_dossier, "auditing_dossiers"),
    ("audit/members/<int:number>/", admin_views.member_dossier, "auditing_member_dossier"),
    ("audit/runs/<int:number>/", admin_views.run_dossier, "auditing_run_dossier"),
    ("audit/state/", admin_views.state, "auditing_state"),
    ("audit/members/<int:number>/answer/", proof_views.answer_person, "auditing_answer"),
    ("audit/entries/<int:sequence>/proof/", proof_views.prove_entry, "auditing_entry_proof"),
    (
        "audit/checkpoints/<int:size>/",
        proof_views.download_checkpoint,
        "auditing_checkpoint_download",
    ),
]
