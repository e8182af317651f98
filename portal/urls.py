"""Every address of the portal. The apps' parts are named as text: no import points from here to them."""

from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView

from common.api import me, schema
from portal import health
from portal.admin import site

api_v1: list[URLPattern | URLResolver] = [
    path("me", me.MeView.as_view(), name="me"),
    path("me/token/renewals", me.RenewalsView.as_view(), name="token-renewals"),
    path("", include("consent.api.urls")),
    path("", include("objections.api.urls")),
    path("", include("training_runs.api.urls")),
    path("", include("deliveries.api.urls")),
    path("", include("auditing.api.urls")),
    path("schema/", schema.SchemaView.as_view(), name="schema"),
    path("docs/", schema.DocsView.as_view(), name="docs"),
]

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index"), name="start"),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("api/v1/", include((api_v1, "api"))),
    path("admin/", site.urls),
    path("", include("consent.public.urls")),
    path("", include("objections.public.urls")),
]

handler400 = "common.staff.error_pages.bad_request"
handler403 = "common.staff.error_pages.forbidden"
handler404 = "common.staff.error_pages.not_found"
handler500 = "common.staff.error_pages.server_error"
