"""Checkpoints, batches of reads, nightly checks and reveals in the admin: to read."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from auditing.models import Reveal
from auditing.staff import proofs
from common.staff.site import ReadOnlyModelAdmin, SealedModelAdmin, badge, site, staff
from ledger import clock
from ledger.choices import DeliveryChannel
from ledger.models import Checkpoint, LedgerCheck, ReadBatch


@admin.register(Checkpoint, site=site)
class CheckpointAdmin(ReadOnlyModelAdmin):
    list_display = ["size", "signed_at", "root", "held_by", "to_keep"]
    fields = ["size", "root", "signed_at", "signed_note", "held_by", "to_keep"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).prefetch_related("deliveries")

    @admin.display(description="held by")
    def held_by(self, checkpoint: Checkpoint) -> str:
        held = [
            row.holder
            if row.channel == DeliveryChannel.DIRECTORY
            else f"{row.holder} ({row.get_channel_display()})"
            for row in checkpoint.deliveries.all()
        ]
        return ", ".join(sorted(held)) or "no outside holder"

    @admin.display(description="Download")
    def to_keep(self, checkpoint: Checkpoint) -> SafeString:
        address = reverse("admin:auditing_checkpoint_download", args=[checkpoint.size])
        return format_html('<a href="{}">Download</a>', address)

    @admin.display(description="signed note")
    def signed_note(self, checkpoint: Checkpoint) -> SafeString:
        return format_html('<pre class="note">{}</pre>', checkpoint.note)


@admin.register(LedgerCheck, site=site)
class LedgerCheckAdmin(SealedModelAdmin):
    list_display = ["checked_at", "size", "rows", "outcome", "seconds"]
    list_select_related = ["entry"]
    fields = ["size", "root", "rows", "outcome", "sentences", "seconds"]

    @admin.display(description="checked at")
    def checked_at(self, check: LedgerCheck) -> str:
        return f"{check.entry.recorded_at:%Y-%m-%d %H:%M} UTC"

    @admin.display(description="outcome")
    def outcome(self, check: LedgerCheck) -> SafeString:
        if check.problems:
            return badge(f"{len(check.problems)} problems", "danger")
        return badge("as sealed", "good")

    @admin.display(description="problems")
    def sentences(self, check: LedgerCheck) -> str:
        return "\n".join(check.problems) or "none"


@admin.register(ReadBatch, site=site)
class ReadBatchAdmin(SealedModelAdmin):
    list_display = ["first", "last", "count", "root"]
    fields = ["first", "last", "count", "root"]


@admin.register(Reveal, site=site)
class RevealAdmin(SealedModelAdmin):
    """Officers grant; auditors look."""

    list_display = ["subject", "auditor_name", "granter", "until", "standing"]
    list_select_related = ["auditor", "granted_by", "entry"]
    fields = ["subject", "auditor_name", "until", "standing"]
    pages = [("<int:number>/look/", proofs.look, "auditing_reveal_look")]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("auditing.add_reveal")

    add_page = staticmethod(proofs.grant_reveal)

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        reader = staff(request)

        @admin.display(description="who it is")
        def to_look(reveal: Reveal) -> SafeString | str:
            if reveal.auditor_id != reader.pk or reveal.until <= clock.now():
                return ""
            address = reverse("admin:auditing_reveal_look", args=[reveal.pk])
            return format_html('<a href="{}">View (logged)</a>', address)

        return [*self.list_display, to_look]

    @admin.display(description="auditor")
    def auditor_name(self, reveal: Reveal) -> str:
        return reveal.auditor.get_username()

    @admin.display(description="granted by")
    def granter(self, reveal: Reveal) -> str:
        return reveal.granted_by.get_username()

    @admin.display(description="state")
    def standing(self, reveal: Reveal) -> SafeString:
        return badge("over") if reveal.until <= clock.now() else badge("can be seen", "warning")
