"""Deliveries, receipts, waivers and recipients in the admin: to read, and links to the acts in `acts`."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from common.staff.list_exports import ExportedList
from common.staff.list_filters import OptionFilter
from common.staff.site import (
    HistoryModelAdmin,
    SealedModelAdmin,
    badge,
    site,
    staff,
)
from deliveries import trained_models
from deliveries.choices import DeliveryState, WaiverState
from deliveries.documents import figures
from deliveries.models import (
    DataSet,
    Delivery,
    DeliveryVerification,
    LineageEvent,
    Receipt,
    Recipient,
    RecipientTold,
    RunnerKey,
    TrainedModel,
    Waiver,
)
from deliveries.receipts.statements import predicate_of
from deliveries.staff import acts, documents, report
from deliveries.staff.story import TONES
from deliveries.trained_models import FACTS
from ledger import clock
from ledger.reads.recording import record_read
from training_runs import teams
from training_runs.choices import Agreement
from training_runs.querysets import teams_of
from training_runs.staff.run_page import url_of

site.pages += [
    ("deliveries/request/<int:number>/", acts.request_delivery, "deliveries_request"),
    ("deliveries/waive/<int:number>/", acts.ask_waiver, "deliveries_ask_waiver"),
    ("deliveries/to-tell/", acts.recipients_to_tell, "deliveries_to_tell"),
    ("deliveries/to-tell/<str:subject>/<int:number>/", acts.tell_recipient, "deliveries_tell"),
]


class TeamFilter(OptionFilter):
    title = "team"
    parameter_name = "team"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("mine", "my own")]

    def rows_with(self, rows: QuerySet[Any], option: str) -> QuerySet[Any]:
        return rows.filter(run__team__in=teams_of(staff(self.request)))


class LeaseFilter(OptionFilter):
    title = "lease"
    parameter_name = "lease"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("valid", "may be used now"), ("over", "over")]

    def rows_with(self, rows: QuerySet[Any], option: str) -> QuerySet[Any]:
        now = clock.now()
        valid = rows.filter(state=DeliveryState.DELIVERED, leased_until__gt=now)
        if option == "valid":
            return valid
        return rows.exclude(pk__in=valid.values("pk")).exclude(state=DeliveryState.REQUESTED)


class EventFilter(OptionFilter):
    """The type of an event in the words of OpenLineage; emitters may leave it out or say another word."""

    title = "event type"
    parameter_name = "event"
    KINDS = ("START", "RUNNING", "COMPLETE", "ABORT", "FAIL")

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [*((one, one) for one in self.KINDS), ("other", "another, or none said")]

    def rows_with(self, rows: QuerySet[Any], option: str) -> QuerySet[Any]:
        if option == "other":
            return rows.exclude(event_type__in=self.KINDS)
        return rows.filter(event_type=option)


def _run_link(row: Any) -> SafeString:
    return format_html('<a href="{}">{}</a>', url_of(row.run), row.run.reference)


def count(field: str, description: str) -> Any:
    """A column that shows a number with its thousands apart."""

    @admin.display(description=description, ordering=field)
    def shown(self: Any, row: Any) -> str:
        return f"{getattr(row, field):,}"

    return shown


@admin.register(Delivery, site=site)
class DeliveryAdmin(ExportedList, HistoryModelAdmin):
    export_columns = {
        "delivery": "reference", "run": "run__reference", "state": "state", "form": "form",
        "recipient": "recipient__name", "rows": "rows", "subtracted": "subtracted", "cut": "cut",
        "archive": "digest", "subtraction": "subtraction_digest", "requested_at": "requested_at",
        "delivered_at": "delivered_at", "leased_until": "leased_until", "ended_at": "ended_at",
    }  # fmt: skip
    list_display = [
        "reference", "run_reference", "state_word", "form", "delivered", "left_out", "leased_until",
    ]  # fmt: skip
    list_filter = ["state", LeaseFilter, TeamFilter, "form", "requested_at"]
    search_fields = ["=reference", "=run__reference", "=digest"]
    search_help_text = "The reference of a delivery or a run, or the digest of an archive."
    list_select_related = ["run"]
    fields = [
        "run_link", "state_word", "form", "to_whom", "requested_at", "delivered_at", "leased_until",
        "ended_at", "end_reason", "delivered", "left_out", "subtraction_digest", "cut", "ledger_root",
        "as_of", "digest", "second_computation",
    ]  # fmt: skip
    change_form_template = "admin/deliveries/delivery/change_form.html"
    pages = [
        ("<int:number>/renew/", acts.renew_delivery, "deliveries_delivery_renew"),
        ("<int:number>/cancel/", acts.cancel_delivery, "deliveries_delivery_cancel"),
        ("<int:number>/report/", report.ask, "deliveries_delivery_report"),
    ]

    def page_context(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        is_own = teams.has(row.run, staff(request))
        is_valid = (
            row.state == DeliveryState.DELIVERED
            and row.leased_until is not None
            and row.leased_until > clock.now()
        )
        user = request.user
        may_download = is_own and is_valid and user.has_perm("deliveries.download_delivery")
        may_archive = (is_own and is_valid) or user.has_perm("ledger.view_entry")
        return {
            "files": [
                (file, self._file_url(row, file["name"]) if may_download else "")
                for file in row.files
            ],
            "attempt": getattr(row, "attempt", None),
            "archive_url": reverse("api:delivery-archive", args=[row.reference])
            if row.digest and may_archive
            else "",
            "may_report": bool(row.digest) and report.may_read(staff(request)),
            "receipts": list(row.receipts.all()),
            "acknowledgements": list(row.acknowledgements.all()),
            "may_renew": is_own
            and row.state in (DeliveryState.DELIVERED, DeliveryState.EXPIRED)
            and user.has_perm("deliveries.add_delivery"),
            "may_cancel": is_own
            and row.state in (DeliveryState.REQUESTED, DeliveryState.DELIVERED)
            and user.has_perm("deliveries.change_delivery"),
        }

    def _file_url(self, row: Delivery, name: str) -> str:
        return reverse("api:delivery-file", args=[row.reference, name])

    @admin.display(description="run")
    def run_reference(self, row: Delivery) -> str:
        return row.run.reference

    @admin.display(description="run")
    def run_link(self, row: Delivery) -> SafeString:
        return _run_link(row)

    delivered = count("rows", "members")

    left_out = count("subtracted", "subtracted")

    @admin.display(description="to")
    def to_whom(self, row: Delivery) -> str:
        return row.recipient.title if row.recipient else f"the run's team, {row.run.team}"

    @admin.display(description="verification")
    def second_computation(self, row: Delivery) -> SafeString | str:
        found = DeliveryVerification.objects.filter(delivery=row).first()
        if found is None:
            return badge("waiting for verification", "warning") if row.cut else "not made yet"
        if found.agreement == Agreement.DIFFERS:
            return badge("DIFFERS", "danger")
        return format_html(
            "{} {}", badge("verified", "good"), f"{found.verified_at:%Y-%m-%d %H:%M} UTC"
        )

    @admin.display(description="state", ordering="state")
    def state_word(self, row: Delivery) -> SafeString:
        return badge(row.get_state_display(), TONES.get(DeliveryState(row.state), ""))


@admin.register(Receipt, site=site)
class ReceiptAdmin(ExportedList, SealedModelAdmin):
    export_columns = {
        "receipt": "reference", "run": "run__reference", "delivery": "delivery__reference",
        "digest": "digest", "rows_in": "rows_in", "rows_kept": "rows_kept",
        "received_at": "received_at", "entry": "entry_id",
    }  # fmt: skip
    list_display = ["reference", "run", "delivery", "read", "kept", "received_at"]
    list_filter = ["received_at"]
    search_fields = ["=reference", "=run__reference", "=data_sets__sha256"]
    search_help_text = "The reference of a receipt or a run, or the digest of a file."
    list_select_related = ["run", "delivery"]
    fields = ["run_link", "delivery", "key", "digest", "read", "kept", "received_at"]
    change_form_template = "admin/deliveries/receipt/change_form.html"

    def record_look(self, request: HttpRequest, row: Any) -> None:
        record_read(staff(request), "receipt.read", row.reference, purpose="admin")

    def page_context(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        return {"predicate": predicate_of(row), "data_sets": list(row.data_sets.all())}

    read = count("rows_in", "rows in")

    kept = count("rows_kept", "rows kept")

    @admin.display(description="run")
    def run_link(self, row: Receipt) -> SafeString:
        return _run_link(row)


@admin.register(DataSet, site=site)
class DataSetAdmin(SealedModelAdmin):
    list_display = ["name", "receipt", "run", "rows_held", "file_size", "sha256"]
    search_fields = ["=sha256", "=receipt__reference", "=receipt__run__reference", "name"]
    search_help_text = "A digest, a name, or the reference of a receipt or a run."
    list_select_related = ["receipt__run"]
    fields = ["name", "receipt", "run", "rows_held", "file_size", "sha256"]

    rows_held = count("rows", "rows")

    @admin.display(description="size", ordering="size")
    def file_size(self, row: DataSet) -> str:
        return filesizeformat(row.size)

    @admin.display(description="run")
    def run(self, row: DataSet) -> str:
        return row.receipt.run.reference


@admin.register(Waiver, site=site)
class WaiverAdmin(HistoryModelAdmin):
    list_display = ["run", "state_word", "asked_by", "asked_at", "decided_by", "decided_at"]
    list_filter = ["state", "asked_at"]
    search_fields = ["=run__reference"]
    list_select_related = ["run", "asked_by", "decided_by"]
    fields = [
        "run_link", "state_word", "reasons", "asked_by", "asked_at", "decided_by", "decided_at",
        "decision",
    ]  # fmt: skip
    change_form_template = "admin/deliveries/waiver/change_form.html"
    pages = [("<int:number>/decide/", acts.decide_waiver, "deliveries_waiver_decide")]

    def page_context(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        return {
            "may_decide": row.state == WaiverState.ASKED
            and row.asked_by_id != request.user.pk
            and request.user.has_perm("deliveries.decide_waiver")
        }

    @admin.display(description="run")
    def run_link(self, row: Waiver) -> SafeString:
        return _run_link(row)

    @admin.display(description="state", ordering="state")
    def state_word(self, row: Waiver) -> SafeString:
        return badge(row.get_state_display(), "warning" if row.state == WaiverState.ASKED else "")


@admin.register(RunnerKey, site=site)
class RunnerKeyAdmin(HistoryModelAdmin):
    list_display = ["fingerprint", "name", "user", "registered_at", "ended_at"]
    list_filter = ["registered_at"]
    search_fields = ["=fingerprint", "user__username"]
    list_select_related = ["user"]
    fields = ["fingerprint", "name", "user", "public_key", "registered_at", "ended_at"]


@admin.register(Recipient, site=site)
class RecipientAdmin(HistoryModelAdmin):
    list_display = ["title", "name", "kind", "country", "mailbox", "is_active"]
    list_filter = ["kind", "is_active"]
    search_fields = ["title", "name"]
    fields = ["title", "name", "kind", "team", "country", "mailbox", "is_active"]
    change_form_template = "admin/deliveries/recipient/change_form.html"
    pages = [("<int:number>/edit/", acts.change_recipient, "deliveries_recipient_edit")]
    add_page = staticmethod(acts.add_recipient)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("deliveries.add_recipient")

    def page_context(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        return {"may_edit": request.user.has_perm("deliveries.change_recipient")}


@admin.register(TrainedModel, site=site)
class TrainedModelAdmin(HistoryModelAdmin):
    list_display = ["title", "name", "version", "team", "released_on"]
    list_filter = ["released_on"]
    search_fields = ["title", "name", "=model_runs__run__reference"]
    search_help_text = "A title, a name, or the reference of a run."
    list_select_related = ["team"]
    fields = ["title", "name", "version", "team", "released_on"]
    change_form_template = "admin/deliveries/trainedmodel/change_form.html"
    pages = [
        ("<int:number>/edit/", acts.change_model, "deliveries_trainedmodel_edit"),
        ("<int:number>/add-run/", acts.add_run_to_model, "deliveries_trainedmodel_add_run"),
        ("<int:number>/documents/<str:kind>/", documents.show, "deliveries_trainedmodel_document"),
    ]
    add_page = staticmethod(acts.add_model)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("deliveries.add_trainedmodel")

    def page_context(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        found = figures.of(row)
        return {
            "figures": found,
            "families": trained_models.families(found.runs),
            "pages": [
                (title, reverse("admin:deliveries_trainedmodel_document", args=[row.pk, kind]))
                for kind, (title, *_) in documents.PAGES.items()
            ],
            "files": [
                (words, reverse("api:model-document", args=[row.name, kind]))
                for kind, words in (
                    ("croissant", "Croissant 1.1 (JSON-LD)"),
                    ("data-card", "Data card (Markdown)"),
                )
            ],
            "missing": [name for name in trained_models.ADDRESSES if not row.facts.get(name)],
            "facts": [
                (words, row.facts[name]) for name, words in FACTS.items() if name in row.facts
            ],
            "may_edit": request.user.has_perm("deliveries.change_trainedmodel")
            and teams_of(staff(request)).filter(team=row.team_id).exists(),
        }


@admin.register(RecipientTold, site=site)
class RecipientToldAdmin(SealedModelAdmin):
    list_display = ["subject", "recipient", "how", "told_on", "told_at"]
    list_filter = ["told_on"]
    search_fields = ["=subject", "recipient__name"]
    list_select_related = ["recipient"]
    fields = ["subject", "recipient", "how", "told_on", "told_at"]


@admin.register(LineageEvent, site=site)
class LineageEventAdmin(SealedModelAdmin):
    list_display = ["lineage_run_id", "event_type", "event_time", "run", "received_at"]
    list_filter = [EventFilter, "received_at"]
    search_fields = ["=lineage_run_id", "=run__reference", "=digest"]
    list_select_related = ["run"]
    fields = ["lineage_run_id", "event_type", "event_time", "run", "received_at", "digest"]
