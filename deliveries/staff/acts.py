"""The acts on deliveries, waivers and recipients, one function each: GET shows what will happen, POST does it."""

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods

from common import drafts
from common.processes import hints
from common.staff.forms import ConfirmForm
from common.staff.parameters import one_of, takes
from common.staff.site import page, refusal_shown_in, staff
from deliveries import recipients, trained_models
from deliveries.made import ending, requesting
from deliveries.models import Delivery, Handover, Recipient, TrainedModel, Waiver
from deliveries.receipts import waivers
from deliveries.staff.forms import (
    DecisionForm,
    ModelForm,
    ModelRunForm,
    ReasonForm,
    RecipientForm,
    RequestForm,
    TellForm,
    WaiverForm,
)
from deliveries.tasks import make_delivery
from ledger.errors import InvalidInput
from training_runs import teams
from training_runs.models import Run
from training_runs.querysets import teams_of
from training_runs.staff.run_page import url_of


def _own_run(request: HttpRequest, number: int) -> Run:
    run = get_object_or_404(Run.objects.select_related("team"), pk=number)
    if not teams.has(run, staff(request)):
        raise PermissionDenied
    return run


def page_of_delivery(delivery: Delivery) -> str:
    return reverse("admin:deliveries_delivery_change", args=[delivery.pk])


@require_http_methods(["GET", "POST"])
@permission_required("deliveries.add_delivery", raise_exception=True)
def request_delivery(request: HttpRequest, number: int) -> HttpResponse:
    run = _own_run(request, number)
    form = drafts.form_for(RequestForm, request, title=f"Request a delivery of {run.reference}")
    if form.is_valid():
        with refusal_shown_in(form):
            delivery, is_new = requesting.request(
                run=run, actor=staff(request), **form.cleaned_data
            )
            drafts.done(form)
            if is_new:
                hints.after_commit(make_delivery, delivery.pk)
            messages.success(
                request,
                f"{delivery.reference} is being made."
                if is_new
                else f"It was requested before, as {delivery.reference}.",
            )
            return HttpResponseRedirect(page_of_delivery(delivery))
    return page(
        request,
        "admin/act.html",
        title=f"Request a delivery of {run.reference}",
        form=form,
        button="Request the delivery",
        lead="A worker makes the list: the manifest without the members who are out by now. It may be used until its"
        " lease ends; then it is deleted.",
        back=url_of(run),
        back_title=run.reference,
    )


@require_http_methods(["GET", "POST"])
@permission_required("deliveries.add_delivery", raise_exception=True)
def renew_delivery(request: HttpRequest, number: int) -> HttpResponse:
    delivery = get_object_or_404(Delivery.objects.select_related("run__team"), pk=number)
    _own_run(request, delivery.run_id)
    form = ConfirmForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        with refusal_shown_in(form):
            renewed, is_new = requesting.renew(delivery=delivery, actor=staff(request))
            if is_new:
                hints.after_commit(make_delivery, renewed.pk)
            messages.success(request, f"{renewed.reference} follows {delivery.reference}.")
            return HttpResponseRedirect(page_of_delivery(renewed))
    return page(
        request,
        "admin/act.html",
        title=f"Renew {delivery.reference}",
        form=form,
        button="Renew it",
        lead="A new delivery is made, without the members who are out by now, with a lease of its own. When it is made,"
        " this one ends and its files are deleted.",
        back=page_of_delivery(delivery),
        back_title=delivery.reference,
    )


@require_http_methods(["GET", "POST"])
@permission_required("deliveries.change_delivery", raise_exception=True)
def cancel_delivery(request: HttpRequest, number: int) -> HttpResponse:
    delivery = get_object_or_404(Delivery.objects.select_related("run__team"), pk=number)
    _own_run(request, delivery.run_id)
    form = drafts.form_for(ReasonForm, request, title=f"Cancel {delivery.reference}")
    if form.is_valid():
        with refusal_shown_in(form):
            ending.cancel(delivery=delivery, actor=staff(request), **form.cleaned_data)
            drafts.done(form)
            messages.success(request, f"{delivery.reference} is cancelled.")
            return HttpResponseRedirect(page_of_delivery(delivery))
    return page(
        request,
        "admin/act.html",
        title=f"Cancel {delivery.reference}",
        form=form,
        button="Cancel the delivery",
        dangerous=True,
        lead="It may not be used from then on, and its files are deleted. This cannot be undone.",
        back=page_of_delivery(delivery),
        back_title=delivery.reference,
    )


@require_http_methods(["GET", "POST"])
@permission_required("deliveries.add_waiver", raise_exception=True)
def ask_waiver(request: HttpRequest, number: int) -> HttpResponse:
    run = _own_run(request, number)
    form = drafts.form_for(WaiverForm, request, title=f"Waiver of {run.reference}")
    if form.is_valid():
        with refusal_shown_in(form):
            waivers.ask(run=run, actor=staff(request), **form.cleaned_data)
            drafts.done(form)
            messages.success(request, "A privacy officer decides. The run's page shows how.")
            return HttpResponseRedirect(url_of(run))
    return page(
        request,
        "admin/act.html",
        title=f"Complete {run.reference} without a receipt",
        form=form,
        button="Ask for a waiver",
        lead="A completed run without a receipt cannot be proved. A privacy officer decides, and auditors see it.",
        back=url_of(run),
        back_title=run.reference,
    )


@require_http_methods(["GET", "POST"])
@permission_required("deliveries.decide_waiver", raise_exception=True)
def decide_waiver(request: HttpRequest, number: int) -> HttpResponse:
    waiver = get_object_or_404(Waiver.objects.select_related("run__team", "asked_by"), pk=number)
    form = drafts.form_for(DecisionForm, request, title=f"Waiver of {waiver.run.reference}")
    back = reverse("admin:deliveries_waiver_change", args=[waiver.pk])
    if form.is_valid():
        with refusal_shown_in(form):
            waivers.decide(
                waiver=waiver,
                approve=form.cleaned_data["verdict"] == "approve",
                decision=form.cleaned_data["decision"],
                actor=staff(request),
            )
            drafts.done(form)
            messages.success(request, "The decision is recorded.")
            return HttpResponseRedirect(back)
    return page(
        request,
        "admin/act.html",
        title=f"Decide on {waiver.run.reference} without a receipt",
        form=form,
        button="Record the decision",
        lead=f"The team {waiver.run.team} says: {waiver.reasons} The decision is final.",
        back=back,
        back_title="Waiver",
    )


@require_http_methods(["GET", "POST"])
@permission_required("deliveries.add_recipient", raise_exception=True)
def add_recipient(request: HttpRequest) -> HttpResponse:
    return _recipient_page(request, None)


@require_http_methods(["GET", "POST"])
@permission_required("deliveries.change_recipient", raise_exception=True)
def change_recipient(request: HttpRequest, number: int) -> HttpResponse:
    return _recipient_page(request, get_object_or_404(Recipient, pk=number))


def _recipient_page(request: HttpRequest, recipient: Recipient | None) -> HttpResponse:
    title = f"Change {recipient}" if recipient else "Add a recipient"
    initial = (
        {name: getattr(recipient, name) for name in RecipientForm.base_fields} if recipient else {}
    )
    form = drafts.form_for(RecipientForm, request, title=title, initial=initial)
    back = reverse("admin:deliveries_recipient_changelist")
    if form.is_valid():
        with refusal_shown_in(form):
            saved = recipients.record(
                recipient=recipient, actor=staff(request), **form.cleaned_data
            )
            drafts.done(form)
            messages.success(request, f"{saved.title} is recorded.")
            return HttpResponseRedirect(back)
    return page(
        request,
        "admin/act.html",
        title=title,
        form=form,
        button="Record it",
        lead="Letters and documents name the recipients that exist here, and no others.",
        back=back,
        back_title="Recipients",
    )


# --- Whom to tell -------------------------------------------------------------------------------


@require_GET
@takes("which")
@permission_required("deliveries.view_recipienttold", raise_exception=True)
def recipients_to_tell(request: HttpRequest) -> HttpResponse:
    which = one_of(request, "which", ["overdue"])
    duties = recipients.open_duties()
    overdue = [duty for duty in duties if duty.is_overdue]
    return page(
        request,
        "admin/deliveries/to_tell.html",
        title="Recipients to tell",
        duties=overdue if which else duties,
        counts={"all": len(duties), "overdue": len(overdue)},
        which=which,
        days=recipients.MAX_UNTOLD.days,
        handovers=Handover.objects.count(),
        may_tell=request.user.has_perm("deliveries.tell_recipient"),
    )


@require_http_methods(["GET", "POST"])
@permission_required("deliveries.tell_recipient", raise_exception=True)
def tell_recipient(request: HttpRequest, subject: str, number: int) -> HttpResponse:
    recipient = get_object_or_404(Recipient, pk=number)
    form = drafts.form_for(TellForm, request, title=f"Tell {recipient}", subject=subject)
    back = reverse("admin:deliveries_to_tell")
    if form.is_valid():
        with refusal_shown_in(form):
            recipients.tell(
                subject=subject, recipient=recipient, actor=staff(request), **form.cleaned_data
            )
            drafts.done(form)
            messages.success(request, f"{recipient.title} was told of {subject}.")
            return HttpResponseRedirect(back)
    return page(
        request,
        "admin/act.html",
        title=f"Tell {recipient.title} of {subject}",
        form=form,
        button="Record that it was told",
        lead="The recipient received data of this person. It has to be told without undue delay, unless that is impossible"
        " or takes disproportionate effort (GDPR Art. 19).",
        back=back,
        back_title="Recipients to tell",
    )


# --- Models -------------------------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
@permission_required("deliveries.change_trainedmodel", raise_exception=True)
def add_model(request: HttpRequest) -> HttpResponse:
    return _model_page(request, None)


@require_http_methods(["GET", "POST"])
@permission_required("deliveries.change_trainedmodel", raise_exception=True)
def change_model(request: HttpRequest, number: int) -> HttpResponse:
    model = get_object_or_404(TrainedModel, pk=number)
    _check_own(request, model)
    return _model_page(request, model)


def _check_own(request: HttpRequest, model: TrainedModel) -> None:
    if not teams_of(staff(request)).filter(team=model.team_id).exists():
        raise PermissionDenied


def page_of_model(model: TrainedModel) -> str:
    return reverse("admin:deliveries_trainedmodel_change", args=[model.pk])


def _model_page(request: HttpRequest, model: TrainedModel | None) -> HttpResponse:
    title = f"Change {model.title}" if model else "Record a model"
    names = ("name", "title", "version", "released_on")
    initial = {**model.facts, **{name: getattr(model, name) for name in names}} if model else {}
    form = drafts.form_for(ModelForm, request, title=title, initial=initial)
    if model:
        form.fields["name"].disabled = True
        form.fields["name"].initial = model.name
    if form.is_valid():
        with refusal_shown_in(form):
            said = {name: form.cleaned_data[name] for name in names}
            if model:
                said["name"] = model.name
            saved = trained_models.record(actor=staff(request), facts=form.facts(), **said)
            drafts.done(form)
            messages.success(request, f"{saved.title} is recorded.")
            return HttpResponseRedirect(page_of_model(saved))
    return page(
        request,
        "admin/act.html",
        title=title,
        form=form,
        button="Record it",
        lead="What people know of a model. Its figures come from the receipts of its runs.",
        back=page_of_model(model) if model else reverse("admin:deliveries_trainedmodel_changelist"),
        back_title=model.title if model else "Models",
    )


@require_http_methods(["GET", "POST"])
@permission_required("deliveries.change_trainedmodel", raise_exception=True)
def add_run_to_model(request: HttpRequest, number: int) -> HttpResponse:
    model = get_object_or_404(TrainedModel, pk=number)
    _check_own(request, model)
    form = drafts.form_for(ModelRunForm, request, title=f"Add a run to {model.title}")
    if form.is_valid():
        with refusal_shown_in(form):
            run = Run.objects.filter(reference=form.cleaned_data["run"]).first()
            if run is None:
                raise InvalidInput("There is no such run.", field="run")
            trained_models.add_run(model=model, run=run, actor=staff(request))
            drafts.done(form)
            messages.success(request, f"{run.reference} belongs to {model.title}.")
            return HttpResponseRedirect(page_of_model(model))
    return page(
        request,
        "admin/act.html",
        title=f"Add a run to {model.title}",
        form=form,
        button="Add it",
        lead="A run belongs to one model for good.",
        back=page_of_model(model),
        back_title=model.title,
    )
