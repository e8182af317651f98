"""Keying in what came by e-mail or on paper."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from common import drafts
from common.staff.site import page, refusal_shown_in, staff
from ledger.errors import Refusal
from objections import tasks
from objections.acts.act import OFFICER
from objections.acts.fields import place
from objections.clock import deadlines
from objections.intake import receiving
from objections.staff.forms import KeyInForm
from objections.staff.ticket_page import url_of
from objections.ticket.incidents import incidents_in_words, incidents_of


@require_http_methods(["GET", "POST"])
@permission_required(OFFICER, raise_exception=True)
@sensitive_post_parameters()
def key_in(request: HttpRequest) -> HttpResponse:
    """An objection that came by e-mail or on paper."""
    form = drafts.form_for(KeyInForm, request, title="Key in an objection")
    is_preview = "preview" in request.POST
    if form.is_valid() and not is_preview:
        with refusal_shown_in(form):
            filing = form.filing()
            if filing.received_at is not None:
                receiving.check_received_at(filing.received_at)
            ticket = receiving.receive(filing, actor=staff(request))
            drafts.done(form)
            tasks.hint()
            count = len(incidents_of([ticket.reference]).get(ticket.reference, []))
            messages.success(
                request,
                f"{ticket}: the restriction stands, due on {ticket.due_on}."
                + (f" {incidents_in_words(count)}" if count else ""),
            )
            return HttpResponseRedirect(url_of(ticket))
    change = None
    if is_preview:
        # What is still missing is no error yet; a date that looks wrong is, and a file that is not taken.
        for name in form.errors.keys() - {"received_at", "attachments"}:
            del form.errors[name]
        if not form.errors:
            change = _change_of_keying(form.cleaned_data)
    return page(
        request,
        "admin/objections/ticket/key_in.html",
        title="Key in an objection",
        form=form,
        change=change,
        is_preview=is_preview,
        button="Take it in",
        lead="When this is saved the person is out of the purposes named, and the acknowledgement is queued.",
        back=reverse("admin:objections_ticket_changelist"),
        back_title="Objection tickets",
    )


def _change_of_keying(known: dict[str, Any]) -> dict[str, Any]:
    """The law and the clock of what is being keyed in."""
    received_at = known.get("received_at") or timezone.now()
    where = place(known)
    regime = deadlines.regime_for(**where)
    zone = settings.CONTROLLER_TIME_ZONE
    try:
        receiving.check_received_at(received_at)
        clock = deadlines.start(received_at, regime, time_zone=zone, country=where["country"])
    except Refusal as refusal:
        return {"lead": str(refusal), "explained": []}
    return {
        "lead": f"{regime.label}: an answer is due by {deadlines.in_words(clock.base_due)}.",
        "explained": deadlines.explained(clock),
    }
