"""Auditors' pages: dossiers and past states. Each look is on record before anything is shown."""

import datetime as dt
from typing import Any
from urllib.parse import urlencode

from django.contrib.admin.views.main import PAGE_VAR
from django.contrib.auth.decorators import permission_required
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.views.decorators.http import require_GET

from auditing import states
from auditing.exports import dossiers
from auditing.staff.forms import MEMBER, NOTICES, RULES, TICKET, FindForm, StateForm
from common.staff.parameters import one_of, takes, whole_number
from common.staff.site import page, refusal_shown_in, staff
from consent.rulebook import days
from ledger import clock
from ledger.models import Entry
from ledger.reads.recording import record_read
from training_runs.choices import Agreement, RunState
from training_runs.staff.run_page import shares_of_manifest

MAY_OPEN = "auditing.view_dossier"
RUNS_A_PAGE = 50
EVENTS_SHOWN = 100


@takes(*FindForm.base_fields)
@require_GET
@permission_required(MAY_OPEN, raise_exception=True)
def find_dossier(request: HttpRequest) -> HttpResponse:
    """From a number or a reference to the page about it."""
    form = FindForm(request.GET if "of" in request.GET else None, reader=staff(request))
    if form.is_valid():
        return HttpResponseRedirect(form.cleaned_data["of"])
    return page(request, "admin/auditing/find.html", title="Dossiers", form=form)


@takes("runs", "events", PAGE_VAR)
@require_GET
@permission_required(MAY_OPEN, raise_exception=True)
def member_dossier(request: HttpRequest, number: int) -> HttpResponse:
    member = dossiers.find_member(number) if number < 2**31 else None
    if member is None:
        raise Http404
    record_read(staff(request), "dossier.read", f"member:{number}", purpose="admin")
    only_in = bool(one_of(request, "runs", ["in"]))
    is_whole = bool(one_of(request, "events", ["all"]))
    here = whole_number(request, PAGE_VAR)
    first = max(0, here - 1) * RUNS_A_PAGE
    found = dossiers.member_dossier(
        member, when=days.at(clock.now()), first=first, limit=RUNS_A_PAGE, only_in=only_in
    )
    pages = Paginator(range(found.chosen), RUNS_A_PAGE)
    return page(
        request,
        "admin/auditing/member.html",
        title=f"Dossier of member {number}",
        dossier=found,
        member=member,
        country=dossiers.place(member.country),
        canary=getattr(member, "canary", None),
        events=found.line.events if is_whole else found.line.events[:EVENTS_SHOWN],
        hidden=0 if is_whole else max(0, len(found.line.events) - EVENTS_SHOWN),
        only_in=only_in,
        pages=pages,
        here=pages.get_page(here),
        query=urlencode({"runs": "in"} if only_in else {}),
    )


@require_GET
@permission_required(MAY_OPEN, raise_exception=True)
def run_dossier(request: HttpRequest, number: int) -> HttpResponse:
    run = dossiers.find_run(number) if number < 2**63 else None
    if run is None:
        raise Http404
    record_read(staff(request), "dossier.read", run.reference, purpose="admin")
    found = dossiers.run_dossier(run)
    manifest = found.manifest
    agreements = {row.agreement for row in found.verifications}
    differs = Agreement.DIFFERS in agreements
    return page(
        request,
        "admin/auditing/run.html",
        title=f"Dossier of {run.reference}",
        dossier=found,
        run=run,
        manifest=manifest,
        included=f"{manifest.included:,}" if manifest else "",
        population=f"{manifest.population:,}" if manifest else "",
        signed=getattr(manifest, "checkpoint", None),
        shares=shares_of_manifest(manifest) if manifest else [],
        differs=differs,
        may_ask_withdrawn=Agreement.AGREES in agreements
        and not differs
        and run.state != RunState.CANCELLED
        and request.user.has_perm("training_runs.view_manifest"),
    )


# --- Past states --------------------------------------------------------------------------------


@takes(*StateForm.base_fields)
@require_GET
@permission_required(MAY_OPEN, raise_exception=True)
def state(request: HttpRequest) -> HttpResponse:
    """How something stood at an entry or on a day, beside how it stands now."""
    is_asked = bool({"entry", "day"} & request.GET.keys())
    form = StateForm(request.GET if is_asked else None, initial=request.GET.dict())
    found = entry = day = None
    if form.is_valid():
        typed, day = form.cleaned_data, form.cleaned_data["day"]
        with refusal_shown_in(form):
            entry = states.last_entry_of(day) if day else states.entry_numbered(typed["entry"])
            found = _state_of(request, typed, entry)
    if found is not None and entry is not None:
        # What was typed is recorded only once it is known to name something of ours.
        record_read(
            staff(request), "state.read", found.subject, purpose=f"at entry {entry.sequence}"
        )
    return page(
        request,
        "admin/auditing/state.html",
        title="Past states",
        form=form,
        found=found,
        entry=entry,
        day=day,
    )


def _state_of(request: HttpRequest, typed: dict[str, Any], entry: Entry) -> states.PastState:
    on = typed["day"] or entry.recorded_at.astimezone(dt.UTC).date()
    today = clock.today()
    if typed["what"] == RULES:
        return states.rules_then(typed["purpose"], entry, on, today)
    if typed["what"] == NOTICES:
        return states.notices_then(entry, on, today)
    then = {MEMBER: states.member_then, TICKET: states.ticket_then}
    then_of = then.get(typed["what"], states.run_then)
    return then_of(typed["which"], entry, request.user.has_perm)
