"""Runs and manifests in the admin: to read, and links to the acts in `acts`."""

from typing import Any

from django.contrib import admin
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from common.staff.list_exports import ExportedList
from common.staff.list_filters import OptionFilter
from common.staff.site import HistoryModelAdmin, ReadOnlyModelAdmin, badge, site, staff
from ledger.reads.recording import record_read
from training_runs.choices import Agreement, RunState
from training_runs.models import Canary, Finding, Manifest, Run, Verification
from training_runs.querysets import teams_of
from training_runs.staff import acts, assessment_pages, run_page

_STATE_TONES = {
    RunState.REQUESTED: "warning",
    RunState.FROZEN: "good",
    RunState.TRAINING: "warning",
    RunState.FAILED: "danger",
    RunState.COMPLETED: "good",
}


def verification_badge(row: Any) -> SafeString:
    """For a row annotated with `agrees` and `differs`: one disagreement outweighs every agreement."""
    if row.differs:
        return badge("DIFFERS", "danger")
    if row.agrees:
        return badge("verified", "good")
    return badge("waiting for verification", "warning")


class TeamFilter(OptionFilter):
    title = "team"
    parameter_name = "team"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("mine", "my own")]

    def rows_with(self, rows: QuerySet[Any], option: str) -> QuerySet[Any]:
        return rows.filter(team__in=teams_of(staff(self.request)))


@admin.register(Run, site=site)
class RunAdmin(ExportedList, HistoryModelAdmin):
    export_columns = {
        "run": "reference", "title": "title", "purpose": "purpose", "state": "state",
        "team": "team__name", "responsible": "team__responsible__username", "tracker_run_id": "tracker_run_id", "parent": "parent__reference",
        "registered_at": "registered_at", "requested_at": "requested_at", "as_of": "as_of",
        "included": "manifest__included", "population": "manifest__population",
        "cut": "manifest__cut", "digest": "manifest__digest",
    }  # fmt: skip
    list_display = [
        "reference",
        "title",
        "purpose",
        "state_word",
        "included",
        "share",
        "as_of",
        "verification",
    ]
    list_filter = ["state", TeamFilter, "purpose", "registered_at"]
    search_fields = ["=reference", "=tracker_run_id", "title"]
    search_help_text = "A reference, the tracker's run id, or words of the title."
    list_select_related = ["manifest", "team__responsible"]
    actions = ["verify_again"]
    fields = [
        "title", "state_word", "purpose", "categories", "tracker_run_id", "team_name", "parent",
        "registered_at", "requested_at", "as_of",
    ]  # fmt: skip
    change_form_template = "admin/training_runs/run/change_form.html"
    pages = [
        ("<int:number>/start/", acts.start_run, "training_runs_run_start"),
        ("<int:number>/cancel/", acts.cancel_run, "training_runs_run_cancel"),
        ("<int:number>/rename/", acts.rename_run, "training_runs_run_rename"),
        ("<int:number>/assess/", assessment_pages.write, "training_runs_run_assess"),
        ("<int:number>/verify/", acts.verify_again, "training_runs_run_verify"),
        ("<int:number>/withdrawn/", acts.withdrawn_since, "training_runs_run_withdrawn"),
        ("<int:number>/incidents/", acts.incidents_of_run, "training_runs_run_incidents"),
        ("<int:number>/explain/", acts.explain, "training_runs_run_explain"),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        verifications = Verification.objects.filter(manifest__run=OuterRef("pk"))
        return (
            super()
            .get_queryset(request)
            .annotate(
                agrees=Exists(verifications.filter(agreement=Agreement.AGREES)),
                differs=Exists(verifications.filter(agreement=Agreement.DIFFERS)),
            )
        )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("training_runs.add_run")

    def has_verify_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("training_runs.add_verification")

    add_page = staticmethod(acts.register_run)

    def record_look(self, request: HttpRequest, row: Any) -> None:
        if hasattr(row, "manifest"):
            record_read(staff(request), "manifest.read", row.reference, purpose="admin")

    def page_context(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        return run_page.run_context(request, row)

    @admin.action(description="Verify the manifests again", permissions=["verify"])
    def verify_again(self, request: HttpRequest, queryset: QuerySet[Run]) -> None:
        manifests = Manifest.objects.filter(run__in=queryset).select_related("run")
        self.act_on_each(
            request,
            manifests,
            lambda manifest: acts.request_verification(manifest, staff(request)),
            "Verifications queued",
        )

    @admin.display(description="state", ordering="state")
    def state_word(self, run: Run) -> SafeString:
        return badge(run.get_state_display(), _STATE_TONES.get(RunState(run.state), ""))

    @admin.display(description="included")
    def included(self, run: Run) -> str:
        manifest = getattr(run, "manifest", None)
        return f"{manifest.included:,}" if manifest else "no manifest"

    @admin.display(description="share")
    def share(self, run: Run) -> str:
        manifest = getattr(run, "manifest", None)
        if manifest is None:
            return ""
        return run_page.shares(manifest.population, manifest.included, {})[0].percent

    @admin.display(description="verification")
    def verification(self, run: Run) -> SafeString | str:
        return verification_badge(run) if hasattr(run, "manifest") else "no manifest"

    @admin.display(description="team")
    def team_name(self, run: Run) -> str:
        return f"{run.team} ({run.team.responsible.get_username()} answers for it)"

    @admin.display(description="data categories")
    def categories(self, run: Run) -> str:
        return ", ".join(run.data_categories) or "none declared"


@admin.register(Manifest, site=site)
class ManifestAdmin(ReadOnlyModelAdmin):
    list_display = ["run", "included", "population", "cut", "frozen_at", "verification"]
    list_filter = ["frozen_at"]
    search_fields = ["=run__reference", "=digest"]
    search_help_text = "A run's reference or the digest of an archive."
    list_select_related = ["run"]
    fields = [
        "run_link", "verification", "cut", "ledger_root", "digest", "size", "included", "population",
        "frozen_at", "seconds",
    ]  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return Manifest.objects.with_agreement().select_related("run")

    def record_look(self, request: HttpRequest, row: Any) -> None:
        record_read(staff(request), "manifest.read", row.run.reference, purpose="admin")

    @admin.display(description="run")
    def run_link(self, manifest: Manifest) -> SafeString:
        return format_html(
            '<a href="{}">{}</a>', run_page.url_of(manifest.run), manifest.run.reference
        )

    @admin.display(description="verification")
    def verification(self, manifest: Manifest) -> SafeString:
        return verification_badge(manifest)


@admin.register(Verification, site=site)
class VerificationAdmin(ExportedList, ReadOnlyModelAdmin):
    export_columns = {
        "run": "manifest__run__reference", "agreement": "agreement", "verified_at": "verified_at",
        "digest": "manifest__digest", "derived_digest": "derived_digest",
        "members_root": "members_root", "entry": "entry_id",
    }  # fmt: skip
    list_display = ["manifest", "outcome", "verified_at"]
    list_filter = ["agreement", "verified_at"]
    search_fields = ["=manifest__run__reference"]
    list_select_related = ["manifest__run"]
    fields = ["manifest", "outcome", "verified_at", "derived_digest", "detail", "entry_id"]

    @admin.display(description="outcome")
    def outcome(self, row: Verification) -> SafeString:
        differs = row.agreement == Agreement.DIFFERS
        return badge("DIFFERS", "danger") if differs else badge("agrees", "good")


@admin.register(Finding, site=site)
class FindingAdmin(ReadOnlyModelAdmin):
    list_display = ["run", "what", "found_at"]
    list_filter = ["kind", "found_at"]
    search_fields = ["=run__reference"]
    list_select_related = ["run"]
    fields = ["run", "what", "detail", "found_at", "entry_id"]

    @admin.display(description="finding")
    def what(self, row: Finding) -> SafeString:
        return badge(row.get_kind_display(), "danger")


@admin.register(Canary, site=site)
class CanaryAdmin(ReadOnlyModelAdmin):
    list_display = ["exclusion", "member_id", "entry_id"]
    fields = ["exclusion", "member_id", "entry_id"]

    @admin.display(description="member")
    def member_id(self, row: Canary) -> int:
        return row.member_id

    @admin.display(description="entry")
    def entry_id(self, row: Canary) -> int:
        return row.entry_id
