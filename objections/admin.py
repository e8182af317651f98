"""Objections to read, with their history. The desk that works them comes with its own acts."""

from django.contrib import admin

from objections.models import Objection, Ticket
from portal.admin_site import HistoryModelAdmin, site


@admin.register(Ticket, site=site)
class TicketAdmin(HistoryModelAdmin):
    read_on_record = True
    list_display = ["reference", "received_at", "member"]
    list_filter = ["received_at"]
    search_fields = ["=reference"]
    search_help_text = "A reference, for example OBJ-2026-000431."
    list_select_related = ["member"]
    fields = ["reference", "received_at", "member"]


@admin.register(Objection, site=site)
class ObjectionAdmin(HistoryModelAdmin):
    read_on_record = True
    list_display = ["ticket", "purpose", "effect", "member"]
    list_filter = ["purpose", "effect"]
    list_select_related = ["ticket", "member"]
    fields = ["ticket", "purpose", "effect", "member"]
