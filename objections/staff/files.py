"""A file of a ticket, as a download only."""

from django.contrib.auth.decorators import permission_required
from django.http import FileResponse, HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_GET

from common.staff.site import staff
from ledger.reads.recording import record_read
from objections.acts.act import OFFICER
from objections.models import Attachment
from objections.staff.ticket_page import subject_of
from objections.ticket import uploads


@require_GET
@permission_required(OFFICER, raise_exception=True)
def attachment(request: HttpRequest, number: int) -> HttpResponseBase:
    row = get_object_or_404(Attachment.objects.select_related("ticket"), pk=number)
    file = uploads.open_file(row.key)
    record_read(
        staff(request), "attachment.read", subject_of(row.ticket), purpose=row.ticket.reference
    )
    return FileResponse(file, headers=uploads.download_headers(row.name, row.media_type))
