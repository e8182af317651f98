"""Where auditors' pages lie in the admin."""

from auditing import admin_views
from portal.admin_site import site

site.pages += [
    ("audit/dossiers/", admin_views.find_dossier, "auditing_dossiers"),
    ("audit/members/<int:number>/", admin_views.member_dossier, "auditing_member_dossier"),
    ("audit/runs/<int:number>/", admin_views.run_dossier, "auditing_run_dossier"),
    ("audit/state/", admin_views.state, "auditing_state"),
]
