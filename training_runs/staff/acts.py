"""The acts of the ML team and auditors on a run, one function each: GET shows what will happen, POST does it.

Every view asks for its own permission: the admin alone lets all staff in. ML engineers see every run and act on those of their teams.
"""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from common import drafts
from common.errors import StaleEdit
from common.processes import hints
from common.staff.forms import ConfirmForm
from common.staff.site import page, refusal_shown_in, staff
from ledger.errors import Refusal
from ledger.reads.recording import record_read
from training_runs import tasks, teams
from training_runs.choices import NEXT_STATES, RunState
from training_runs.errors import StartRefused
from training_runs.incidents import access as incidents
from training_runs.models import Manifest, Run
from training_runs.runs import (
    explaining,
    registering,
    unmatched,
    verifying,
    withdrawing,
)
from training_runs.staff.forms import CancelForm, ExplainForm, RegisterForm, RenameForm, StartForm
from training_runs.staff.run_page import (
    Share,
    gaps_in_words,
    may_explain,
    may_name_numbers,
    shares,
    shares_of_answer,
    url_of,
)


def _run(number: int) -> Run:
    return get_object_or_404(Run.objects.select_related("team__responsible", "parent"), pk=number)


def _own_run(request: HttpRequest, number: int) -> Run:
    run = _run(number)
    if not teams.has(run, staff(request)):
        raise PermissionDenied
    return run


@require_http_methods(["GET", "POST"])
@permission_required("training_runs.add_run", raise_exception=True)
def register_run(request: HttpRequest) -> HttpResponse:
    form = drafts.form_for(RegisterForm, request, title="Register a run", user=staff(request))
    if form.is_valid():
        with refusal_shown_in(form):
            facts = {**form.cleaned_data}
            team = facts.pop("team") or teams.named(staff(request))
            run, is_new = registering.register(actor=staff(request), team=team, **facts)
            drafts.done(form)
            messages.success(
                request,
                f"Registered as {run.reference}."
                if is_new
                else f"It was registered before, as {run.reference}.",
            )
            return HttpResponseRedirect(url_of(run))
    return page(
        request,
        "admin/act.html",
        title="Register a run",
        form=form,
        button="Register it",
        lead="Registering freezes nothing. The next page shows who would be in, and starts the run.",
        back=reverse("admin:training_runs_run_changelist"),
        back_title="Runs",
    )


@require_http_methods(["GET", "POST"])
@permission_required("training_runs.start_run", raise_exception=True)
def start_run(request: HttpRequest, number: int) -> HttpResponse:
    run = _own_run(request, number)
    found = unmatched.of_purpose(run.purpose)
    form = StartForm(request.POST if request.method == "POST" else None, unmatched=found)
    gaps: list[str] = []
    if form.is_valid():
        with refusal_shown_in(form):
            try:
                run = registering.start(
                    run=run,
                    actor=staff(request),
                    accept_unmatched=form.cleaned_data.get("accept_unmatched", False),
                )
            except StartRefused as refusal:
                gaps = gaps_in_words(refusal)
                raise
            # The run row is the queue: a message that is lost only costs the time until the next sweep.
            hints.after_commit(tasks.freeze_run, run.pk)
            messages.success(request, f"{run.reference} is started. Its manifest is being frozen.")
            return HttpResponseRedirect(url_of(run))
    rows, refusal_text = _preview(run)
    return page(
        request,
        "admin/training_runs/run/start.html",
        title=f"Start {run.reference}",
        run=run,
        shares=rows,
        preview_refusal=refusal_text,
        gaps=gaps,
        unmatched=found,
        form=form if run.state == RunState.REGISTERED else None,
        button="Start the run",
        back=url_of(run),
        back_title=run.reference,
    )


def _preview(run: Run) -> tuple[list[Share], str]:
    try:
        return shares_of_answer(registering.preview(run)), ""
    except Refusal as refusal:
        return [], str(refusal)


@require_http_methods(["GET", "POST"])
@permission_required("training_runs.start_run", raise_exception=True)
def cancel_run(request: HttpRequest, number: int) -> HttpResponse:
    run = _own_run(request, number)
    is_final = RunState.CANCELLED not in NEXT_STATES[run.state]
    form = drafts.form_for(CancelForm, request, title=f"Cancel {run.reference}")
    if form.is_valid():
        with refusal_shown_in(form):
            registering.cancel(run=run, actor=staff(request), **form.cleaned_data)
            drafts.done(form)
            messages.success(request, f"{run.reference} is cancelled.")
            return HttpResponseRedirect(url_of(run))
    return page(
        request,
        "admin/act.html",
        title=f"Cancel {run.reference}",
        form=None if is_final else form,
        button="Cancel the run",
        dangerous=True,
        lead=f"{run.reference} is {run.get_state_display()}: it cannot be cancelled."
        if is_final
        else (
            f"{run.reference} is {run.get_state_display()}. A cancelled run cannot be started again;"
            " its entries and its manifest, if it has one, stay as they are."
        ),
        back=url_of(run),
        back_title=run.reference,
    )


@require_http_methods(["GET", "POST"])
@permission_required("training_runs.change_run", raise_exception=True)
def rename_run(request: HttpRequest, number: int) -> HttpResponse:
    run = _own_run(request, number)
    form = drafts.form_for(
        RenameForm,
        request,
        title=f"Rename {run.reference}",
        initial={"title": run.title, "version": run.version},
    )
    if form.is_valid():
        with refusal_shown_in(form):
            try:
                registering.rename(run=run, actor=staff(request), **form.cleaned_data)
            except StaleEdit:
                form.look_again(run.version)
                form.add_error(
                    None,
                    "Another person changed the run while you were writing."
                    f" Its title is now “{run.title}”. Yours is kept below: save again to replace it.",
                )
            else:
                drafts.done(form)
                messages.success(request, f"{run.reference} has a new title.")
                return HttpResponseRedirect(url_of(run))
    return page(
        request,
        "admin/act.html",
        title=f"Rename {run.reference}",
        form=form,
        button="Save the title",
        lead="Only the title can be changed. Everything else affects whose data is used.",
        back=url_of(run),
        back_title=run.reference,
    )


@require_http_methods(["GET", "POST"])
@permission_required("training_runs.add_verification", raise_exception=True)
def verify_again(request: HttpRequest, number: int) -> HttpResponse:
    run = _run(number)
    manifest = get_object_or_404(Manifest.objects.select_related("run"), run=run)
    form = ConfirmForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        request_verification(manifest, staff(request))
        messages.success(
            request, "The verification is queued. The result appears here when it is done."
        )
        return HttpResponseRedirect(url_of(run))
    return page(
        request,
        "admin/act.html",
        title=f"Verify {run.reference} again",
        form=form,
        button="Verify again",
        lead=(
            "The manifest is derived a second time from the ledger's history up to its cut, by other code."
            " If it differs, a finding is opened and it can no longer be downloaded."
        ),
        back=url_of(run),
        back_title=run.reference,
    )


def request_verification(manifest: Manifest, actor: User) -> None:
    """Put the request into the ledger; the message only saves the wait for the next sweep."""
    verifying.request_verification(manifest, actor=actor)
    hints.after_commit(tasks.verify_manifest, manifest.pk)


@require_POST
@permission_required(["training_runs.view_run", "training_runs.explain_run"], raise_exception=True)
@sensitive_post_parameters("who")
def explain(request: HttpRequest, number: int) -> HttpResponse:
    """Why a member is in or out of the run, as sentences. The look is recorded first, also when it finds no member."""
    run = _run(number)
    if not may_explain(request.user, run):
        raise PermissionDenied
    form = ExplainForm(request.POST, by_number=may_name_numbers(request.user))
    context: dict[str, Any] = {}
    if form.is_valid():
        with refusal_shown_in(form):
            member = form.find(reader=staff(request), purpose=run.reference)
            context["answer"] = explaining.explain(run, member).sentences
    return page(
        request,
        "admin/training_runs/run/explain.html",
        title=f"A member in {run.reference}",
        run=run,
        form=form,
        back=url_of(run),
        **context,
    )


@require_GET
@permission_required(
    ["training_runs.view_run", "training_runs.view_manifest"], raise_exception=True
)
def withdrawn_since(request: HttpRequest, number: int) -> HttpResponse:
    """How many of the included would be out of a run frozen now; the reasons for those who may see decisions.

    A run's team reads the references of the withdrawn, so that the reasons of a few would be theirs.
    """
    run = _run(number)
    manifest = verifying.usable_manifest(run)
    record_read(staff(request), "manifest.withdrawn", run.reference, purpose="admin")
    since = withdrawing.withdrawn_since(manifest)
    shows_reasons = request.user.has_perm("consent.view_decision")
    return page(
        request,
        "admin/training_runs/run/withdrawn.html",
        title=f"Withdrawn since {run.reference} was frozen",
        run=run,
        included=f"{since.population:,}",
        shows_reasons=shows_reasons,
        shares=shares_of_answer(since)
        if shows_reasons
        else shares(since.population, len(since.included), {}),
        withdrawn=f"{since.population - len(since.included):,}",
        back=url_of(run),
    )


@require_GET
@permission_required("training_runs.view_run", raise_exception=True)
def incidents_of_run(request: HttpRequest, number: int) -> HttpResponse:
    """The incidents of a run: for its team, and for the people who see those of every run."""
    run = _run(number)
    if not incidents.may_read(request.user, run):
        raise PermissionDenied
    record_read(staff(request), "incident.listed", run.reference, purpose="admin")
    return page(
        request,
        "admin/training_runs/run/incidents.html",
        title=f"Incidents of {run.reference}",
        run=run,
        incidents=incidents.of(run),
        back=url_of(run),
    )
