"""Incidents in the admin: the list, a case's page, and the acts on it, one function each."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.decorators import permission_required
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_http_methods

from common import drafts
from common.staff import start_page
from common.staff.list_exports import ExportedList
from common.staff.list_filters import OptionFilter
from common.staff.site import HistoryModelAdmin, badge, page, refusal_shown_in, site, staff
from consent.choices import ReviewVerdict
from ledger.models import Entry
from ledger.reads.recording import record_read
from training_runs import teams
from training_runs.choices import IncidentState, Measure
from training_runs.eligibility.exclusions import BY_CODE
from training_runs.incidents import access, cases, finding
from training_runs.incidents.archive import members_of
from training_runs.models import Incident, IncidentAssessment, Manifest
from training_runs.querysets import teams_of
from training_runs.staff.run_page import url_of

_TONES = {
    IncidentState.FOUND: "danger",
    IncidentState.ACKNOWLEDGED: "warning",
    IncidentState.ASSESSED: "warning",
    IncidentState.CLOSED: "good",
}


class AssessForm(forms.Form):
    measures = forms.MultipleChoiceField(
        choices=Measure.choices, widget=forms.CheckboxSelectMultiple, label="What was done"
    )
    tell_authority = forms.TypedChoiceField(
        choices=[("yes", "yes"), ("no", "no")],
        coerce=lambda word: word == "yes",
        widget=forms.RadioSelect,
        label="Must the supervisory authority be told? (GDPR Art. 33)",
    )
    tell_members = forms.TypedChoiceField(
        choices=[("yes", "yes"), ("no", "no")],
        coerce=lambda word: word == "yes",
        widget=forms.RadioSelect,
        label="Must the members be told? (GDPR Art. 34)",
    )
    reasons = forms.CharField(
        max_length=cases.MAX_REASONS,
        widget=forms.Textarea,
        label="Reasons",
        help_text="About the processing and its risk, not about people: the ledger keeps the words for good.",
    )


class ReviewForm(forms.Form):
    verdict = forms.ChoiceField(choices=ReviewVerdict.choices, widget=forms.RadioSelect)
    reason = forms.CharField(
        max_length=200, label="Reason", help_text="The ledger keeps it: name no person."
    )


class CloseForm(forms.Form):
    reason = forms.CharField(
        max_length=200,
        label="What was done, and when whom was told",
        help_text="The ledger keeps it: name no person.",
    )
    version = forms.IntegerField(widget=forms.HiddenInput)


def _incident(number: int) -> Incident:
    return get_object_or_404(Incident.objects.select_related("run__team"), pk=number)


def _page_of(row: Incident) -> str:
    return reverse("admin:training_runs_incident_change", args=[row.pk])


def _act(request: HttpRequest, row: Incident, form: Any, **more: Any) -> HttpResponse:
    return page(
        request,
        "admin/training_runs/incident/act.html",
        row=row,
        facts=facts_of(row),
        form=form,
        back=_page_of(row),
        back_title=row.reference,
        **more,
    )


@require_http_methods(["GET", "POST"])
@permission_required(cases.OWN, raise_exception=True)
def acknowledge(request: HttpRequest, number: int) -> HttpResponse:
    """The team says that it knows of the incident."""
    row = _incident(number)
    if not teams.has(row.run, staff(request)):
        raise PermissionDenied
    form = forms.Form(request.POST if request.method == "POST" else None)
    if form.is_valid():
        cases.acknowledge(incident=row, actor=staff(request))
        messages.success(request, f"{row.reference} is acknowledged under your name.")
        return HttpResponseRedirect(_page_of(row))
    return _act(
        request,
        row,
        form,
        title=f"Acknowledge {row.reference}",
        lead="You say that your team knows of it. Privacy officers assess it. The next delivery leaves these members out.",
        button="Acknowledge it",
    )


@require_http_methods(["GET", "POST"])
@permission_required([cases.ASSESS, cases.ALL], raise_exception=True)
def assess(request: HttpRequest, number: int) -> HttpResponse:
    """A privacy officer's assessment."""
    row = _incident(number)
    form = drafts.form_for(AssessForm, request, title=f"Assess {row.reference}")
    if form.is_valid():
        with refusal_shown_in(form):
            cases.assess(incident=row, actor=staff(request), **form.cleaned_data)
            drafts.done(form)
            messages.success(request, "Written. Another privacy officer reviews it.")
            return HttpResponseRedirect(_page_of(row))
    return _act(
        request,
        row,
        form,
        title=f"Assess {row.reference}",
        lead="Another privacy officer reviews the assessment before it stands.",
        button="Submit it",
    )


@require_http_methods(["GET", "POST"])
@permission_required([cases.REVIEW, cases.ALL], raise_exception=True)
def review(request: HttpRequest, number: int) -> HttpResponse:
    """Another officer's word on the assessment that waits."""
    row = _incident(number)
    waiting = row.assessments.filter(review__isnull=True).select_related("incident", "assessed_by")
    assessment = waiting.first()
    if assessment is None:
        messages.warning(request, f"No assessment of {row.reference} waits for a review.")
        return HttpResponseRedirect(_page_of(row))
    form = drafts.form_for(ReviewForm, request, title=f"Review the {assessment}")
    if form.is_valid():
        with refusal_shown_in(form):
            cases.review(assessment=assessment, actor=staff(request), **form.cleaned_data)
            drafts.done(form)
            messages.success(request, f"The assessment is {form.cleaned_data['verdict']}.")
            return HttpResponseRedirect(_page_of(row))
    return _act(
        request,
        row,
        form,
        title=f"Review the {assessment}",
        lead="It stands once you approve it.",
        button="Record it",
        assessment=assessment,
        measures=_measures(assessment),
    )


@require_http_methods(["GET", "POST"])
@permission_required([cases.CLOSE, cases.ALL], raise_exception=True)
def close(request: HttpRequest, number: int) -> HttpResponse:
    """The end of a case."""
    row = _incident(number)
    form = drafts.form_for(
        CloseForm, request, title=f"Close {row.reference}", initial={"version": row.version}
    )
    if form.is_valid():
        with refusal_shown_in(form):
            cases.close(incident=row, actor=staff(request), **form.cleaned_data)
            drafts.done(form)
            messages.success(request, f"{row.reference} is closed.")
            return HttpResponseRedirect(_page_of(row))
    return _act(
        request,
        row,
        form,
        title=f"Close {row.reference}",
        lead="Closing cannot be undone.",
        button="Close it",
        dangerous=True,
    )


def facts_of(row: Incident) -> list[tuple[str, Any]]:
    """The facts of an incident, without whom it is about."""
    delivered, used = finding.exposure(row.run_id, members_of(row))
    cause = Entry.objects.get(sequence=row.cause)
    lag = cause.recorded_at - row.run.manifest.frozen_at
    return [
        ("Members", f"{row.members:,}"),
        (
            "Out because",
            "; ".join(
                f"{BY_CODE[code].sentence} ({count:,})" for code, count in row.reasons.items()
            ),
        ),
        ("Run frozen", f"{row.run.manifest.frozen_at:%Y-%m-%d %H:%M} UTC"),
        (
            "Recorded",
            f"{cause.recorded_at:%Y-%m-%d %H:%M} UTC, {_span(lag)} later, by entry {row.cause}",
        ),
        ("Delivered", f"{len(delivered):,}"),
        ("Used, as receipts say", f"{len(used):,}"),
        (
            "To be assessed by",
            f"{row.assess_by:%Y-%m-%d %H:%M} UTC"
            if row.assess_by
            else "no clock: no data of theirs was delivered",
        ),
    ]


def _span(lag: Any) -> str:
    minutes = int(lag.total_seconds() // 60)
    if minutes < 120:
        return f"{minutes} minutes"
    return f"{minutes // 60} hours" if minutes < 2 * 24 * 60 else f"{minutes // (24 * 60)} days"


def _measures(assessment: IncidentAssessment) -> str:
    return "; ".join(Measure(one).label for one in assessment.measures)


# --- The list -----------------------------------------------------------------------------------


class ExposureFilter(OptionFilter):
    title = "use"
    parameter_name = "use"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("delivered", "delivered"), ("used", "used"), ("none", "not delivered")]

    def rows_with(self, rows: QuerySet[Any], option: str) -> QuerySet[Any]:
        if option == "none":
            return rows.filter(delivered=0)
        return rows.filter(**{f"{option}__gt": 0})


@admin.register(Incident, site=site)
class IncidentAdmin(ExportedList, HistoryModelAdmin):
    """Runs that were frozen with members who were out, as was recorded later."""

    export_columns = {
        "incident": "reference", "run": "run__reference", "cause": "cause", "members": "members",
        "delivered": "delivered", "used": "used", "found_at": "found_at", "assess_by": "assess_by", "state": "state",
    }  # fmt: skip
    list_display = [
        "reference", "run_link", "members", "why", "delivered", "used", "assess_by", "standing", "found_at",
    ]  # fmt: skip
    list_filter = ["state", ExposureFilter, "found_at"]
    search_fields = ["=reference", "=run__reference"]
    search_help_text = "The reference of an incident or of a run."
    list_select_related = ["run"]
    fields = ["reference", "run_link", "why", "standing", "acknowledged", "found_at"]
    change_form_template = "admin/training_runs/incident/change_form.html"
    pages = [
        ("<int:number>/acknowledge/", acknowledge, "training_runs_incident_acknowledge"),
        ("<int:number>/assess/", assess, "training_runs_incident_assess"),
        ("<int:number>/close/", close, "training_runs_incident_close"),
        ("<int:number>/review/", review, "training_runs_incident_review"),
    ]

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        user = request.user
        if user.has_perm(cases.ALL):
            return True
        return user.has_perm(cases.OWN) and (obj is None or access.may_read(user, obj.run))

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        """Also one that the list does not show: it is then refused, not missing."""
        found = Incident.objects.select_related("run__team", "acknowledged_by")
        return found.filter(pk=object_id).first() if object_id.isdecimal() else None

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return access.readable(request.user)

    def record_look(self, request: HttpRequest, row: Any) -> None:
        record_read(staff(request), "incident.read", row.reference, purpose="admin")

    def page_context(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        user = staff(request)
        waiting = row.assessments.filter(review__isnull=True).first()
        is_open = row.state in (IncidentState.FOUND, IncidentState.ACKNOWLEDGED)
        return {
            "facts": facts_of(row),
            "assessments": [
                (one, _measures(one))
                for one in row.assessments.select_related(
                    "assessed_by", "review__reviewer", "review__entry"
                )
            ],
            "waiting": waiting,
            "may_acknowledge": row.acknowledged_at is None
            and user.has_perm(cases.OWN)
            and teams.has(row.run, user),
            "may_assess": is_open and waiting is None and user.has_perm(cases.ASSESS),
            "may_review": waiting is not None
            and waiting.assessed_by_id != user.pk
            and user.has_perm(cases.REVIEW),
            "may_close": row.state == IncidentState.ASSESSED and user.has_perm(cases.CLOSE),
        }

    @admin.display(description="run")
    def run_link(self, row: Incident) -> SafeString:
        return format_html('<a href="{}">{}</a>', url_of(row.run), row.run.reference)

    @admin.display(description="out because")
    def why(self, row: Incident) -> str:
        return "; ".join(BY_CODE[code].sentence for code in row.reasons)

    @admin.display(description="state")
    def standing(self, row: Incident) -> SafeString:
        return badge(row.get_state_display(), _TONES[IncidentState(row.state)])

    @admin.display(description="acknowledged")
    def acknowledged(self, row: Incident) -> str:
        if row.acknowledged_by is None or row.acknowledged_at is None:
            return "not yet"
        return f"by {row.acknowledged_by.get_username()}, {row.acknowledged_at:%Y-%m-%d %H:%M} UTC"


# --- Start pages --------------------------------------------------------------------------------


@start_page.panel(cases.ALL, order=9)
def waiting_panel(request: HttpRequest) -> start_page.Panel:
    """Incidents whose clock runs first, then those that wait for a review or a closing."""
    waiting = Incident.objects.exclude(state=IncidentState.CLOSED).select_related("run")
    with_clock = waiting.filter(assess_by__isnull=False).order_by("assess_by")
    count = waiting.count()
    return start_page.Panel(
        "Incidents",
        [
            start_page.PanelLine(
                f"{row.reference}: {row.run.reference}, {row.delivered:,} of {row.members:,} members delivered",
                _page_of(row),
                f"{row.get_state_display()}, to be assessed by {row.assess_by:%Y-%m-%d %H:%M} UTC",
                "danger" if row.state != IncidentState.ASSESSED else "warning",
            )
            for row in with_clock[:10]
        ],
        _none_in_words(count),
        [("Incidents", reverse("admin:training_runs_incident_changelist"))],
    )


def _none_in_words(count: int) -> str:
    """Said when no incident with delivered data is open."""
    if count:
        return f"No incident with delivered data is open. Open without: {count:,}."
    frozen = Manifest.objects.count()
    if not frozen:
        return "No run is frozen yet."
    return f"No incident is open for any of the {frozen:,} frozen runs."


@start_page.panel(cases.OWN, order=18)
def to_acknowledge_panel(request: HttpRequest) -> start_page.Panel:
    """Incidents of a person's teams that none of them has acknowledged."""
    waiting = Incident.objects.filter(
        run__team__in=teams_of(staff(request)), acknowledged_at__isnull=True
    ).select_related("run")
    return start_page.Panel(
        "Incidents to acknowledge",
        [
            start_page.PanelLine(
                f"{row.reference}: {row.run.reference}, {row.members:,} member{'' if row.members == 1 else 's'}",
                reverse("admin:training_runs_incident_acknowledge", args=[row.pk]),
                f"{row.delivered:,} delivered",
                "danger",
            )
            for row in waiting[:10]
        ],
        "Each incident of your runs is acknowledged.",
    )
