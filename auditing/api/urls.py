from django.urls import path

from auditing.api import views

RUN = "runs/<str:reference>"

urlpatterns = [
    path("me/checkpoint", views.NewestCheckpointView.as_view(), name="me-checkpoint"),
    path("me/consistency", views.ContinuedView.as_view(), name="me-consistency"),
    path("audit/checkpoint", views.CheckpointView.as_view(), name="checkpoint"),
    path("audit/checkpoints", views.CheckpointsView.as_view(), name="checkpoints"),
    path("audit/consistency", views.ConsistencyView.as_view(), name="consistency"),
    path("audit/keys", views.KeysView.as_view(), name="checkpoint-keys"),
    path("audit/ledger", views.LedgerView.as_view(), name="ledger"),
    path("audit/reads", views.ReadsView.as_view(), name="reads"),
    path("audit/entries/<int:sequence>/proof", views.EntryProofView.as_view(), name="entry-proof"),
    path(
        f"{RUN}/manifest/checkpoint",
        views.ManifestCheckpointView.as_view(),
        name="manifest-checkpoint",
    ),
    path(f"{RUN}/manifest/proof", views.MemberProofView.as_view(), name="member-proof"),
]
