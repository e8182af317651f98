from django.urls import path

from training_runs.api import views

RUN = "runs/<str:reference>"

urlpatterns = [
    path("members/standing", views.StandingView.as_view(), name="member-standing"),
    path("runs", views.RunsView.as_view(), name="runs"),
    path(RUN, views.RunView.as_view(), name="run-detail"),
    path(f"{RUN}/entries", views.RunEntriesView.as_view(), name="run-entries"),
    path(f"{RUN}/entries/<int:sequence>", views.RunEntryView.as_view(), name="run-entry"),
    path(
        f"{RUN}/entries/<int:sequence>/proof",
        views.RunEntryProofView.as_view(),
        name="run-entry-proof",
    ),
    path(f"{RUN}/preview", views.PreviewView.as_view(), name="run-preview"),
    path(f"{RUN}/assessments", views.AssessmentsView.as_view(), name="run-assessments"),
    path(f"{RUN}/incidents", views.IncidentsView.as_view(), name="run-incidents"),
    path(
        f"{RUN}/incidents/<str:incident>/acknowledgement",
        views.IncidentAcknowledgementView.as_view(),
        name="run-incident-acknowledgement",
    ),
    path(f"{RUN}/start", views.StartView.as_view(), name="run-start"),
    path(f"{RUN}/cancel", views.CancelView.as_view(), name="run-cancel"),
    path(f"{RUN}/explanation", views.ExplanationView.as_view(), name="run-explanation"),
    path(f"{RUN}/withdrawn", views.WithdrawnView.as_view(), name="run-withdrawn"),
    path(f"{RUN}/manifest", views.ManifestView.as_view(), name="run-manifest"),
    path(f"{RUN}/manifest/archive", views.ArchiveView.as_view(), name="run-archive"),
]
