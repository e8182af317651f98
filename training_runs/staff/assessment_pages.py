"""Compatibility assessments: the team's form, the privacy officers' list and their word, and what waits or came back."""

import datetime as dt
from collections.abc import Iterator
from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.decorators import permission_required
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_http_methods

from common import drafts
from common.staff import start_page
from common.staff.list_filters import OptionFilter
from common.staff.site import SealedModelAdmin, badge, page, refusal_shown_in, site, staff
from consent.choices import Purpose, ReviewVerdict
from ledger import clock
from training_runs import teams
from training_runs.choices import RunState
from training_runs.models import Assessment, Run
from training_runs.querysets import teams_of
from training_runs.runs import assessments
from training_runs.staff.forms import POINTS, AssessmentForm, AssessmentReviewForm
from training_runs.staff.run_page import url_of

TOLD_DAYS = 30
"""So long a rejection stands on the start page of its author, unless another one was written."""


@require_http_methods(["GET", "POST"])
@permission_required(assessments.WRITE, raise_exception=True)
def write(request: HttpRequest, number: int) -> HttpResponse:
    """The five points of the assessment; a rejected one is filled in."""
    run = get_object_or_404(Run.objects.select_related("team__responsible", "parent"), pk=number)
    if not teams.has(run, staff(request)):
        raise PermissionDenied
    last = run.assessments.select_related("review__entry", "review__reviewer").first()
    rejected = last if _verdict(last) == ReviewVerdict.REJECTED else None
    standing = assessments.standings([run])[run.pk]
    is_open = run.state == RunState.REGISTERED and standing in (
        assessments.Standing.MISSING,
        assessments.Standing.REJECTED,
    )
    form = drafts.form_for(
        AssessmentForm,
        request,
        title=f"Compatibility assessment of {run.reference}",
        initial={name: getattr(rejected, name) for name in assessments.POINTS} if rejected else {},
    )
    if form.is_valid():
        with refusal_shown_in(form):
            assessments.write(run=run, actor=staff(request), **form.cleaned_data)
            drafts.done(form)
            messages.success(
                request, "Written. A privacy officer outside of your team decides on it."
            )
            return HttpResponseRedirect(url_of(run))
    return page(
        request,
        "admin/act.html",
        title=f"Compatibility assessment of {run.reference}",
        form=form if is_open or request.method == "POST" else None,
        button="Submit it",
        lead=_lead(run) if is_open else "This run has no assessment to write now.",
        came_back=f"The last one was rejected by {rejected.review.reviewer.get_username()}:"
        f" {rejected.review.entry.reason} Its words are filled in below."
        if rejected
        else "",
        back=url_of(run),
        back_title=run.reference,
    )


def _lead(run: Run) -> str:
    others = assessments.other_purposes([run])[run.pk]
    return (
        f"{run.reference} is for {Purpose(run.purpose).label} and builds on data used for {_labels(others)}. Say why the"
        " purposes are compatible (GDPR Art. 6(4)). The words are about the processing, not about people: name no"
        " member. The ledger keeps them for good."
    )


def _labels(purposes: list[str]) -> str:
    return " and ".join(Purpose(one).label for one in purposes)


def _verdict(row: Assessment | None) -> str:
    review = getattr(row, "review", None)
    return review.verdict if review else ""


@require_http_methods(["GET", "POST"])
@permission_required([assessments.REVIEW, "training_runs.view_assessment"], raise_exception=True)
def review(request: HttpRequest, number: int) -> HttpResponse:
    """The assessment, and a privacy officer's word on it."""
    row = get_object_or_404(
        Assessment.objects.select_related("run__team", "run__parent", "written_by"), pk=number
    )
    refusal = assessments.why_not(row, staff(request))
    form = drafts.form_for(AssessmentReviewForm, request, title=f"Review: {row}")
    if form.is_valid():
        with refusal_shown_in(form):
            said = assessments.review(assessment=row, actor=staff(request), **form.cleaned_data)
            drafts.done(form)
            messages.success(request, f"The assessment of {row.run.reference}: {said.verdict}.")
            return HttpResponseRedirect(_page_of(row))
    return page(
        request,
        "admin/training_runs/assessment/review.html",
        title="Review a compatibility assessment",
        row=row,
        points=points_of(row),
        others=_labels(row.other_purposes),
        refusal=str(refusal) if refusal else "",
        form=None if refusal and request.method == "GET" else form,
        button="Record it",
        back=_page_of(row),
        back_title=str(row).capitalize(),
    )


def points_of(row: Assessment) -> list[tuple[str, str]]:
    """The points with their titles."""
    return [(title, getattr(row, name)) for name, title, _ in POINTS]


def _page_of(row: Assessment) -> str:
    return reverse("admin:training_runs_assessment_change", args=[row.pk])


# --- Lists --------------------------------------------------------------------------------------


class StateFilter(OptionFilter):
    title = "state"
    parameter_name = "state"
    WAITING = "waiting"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(self.WAITING, "waits for a privacy officer"), *ReviewVerdict.choices]

    def rows_with(self, rows: QuerySet[Any], option: str) -> QuerySet[Any]:
        if option == self.WAITING:
            return rows.filter(review__isnull=True)
        return rows.filter(review__verdict=option)


@admin.register(Assessment, site=site)
class AssessmentAdmin(SealedModelAdmin):
    list_display = ["run", "purpose", "others", "author", "written_at", "standing"]
    list_filter = [StateFilter, "written_at"]
    search_fields = ["=run__reference"]
    search_help_text = "A run's reference."
    list_select_related = ["run", "written_by", "review__reviewer"]
    fields = [
        "run_link",
        "purpose",
        "others",
        *assessments.POINTS,
        "author",
        "written_at",
        "standing",
    ]
    change_form_template = "admin/training_runs/assessment/change_form.html"
    pages = [("<int:number>/review/", review, "training_runs_assessment_review")]

    def page_context(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        return {
            "may_review": request.user.has_perm(assessments.REVIEW)
            and assessments.why_not(row, staff(request)) is None
        }

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        found = super().get_fields(request, obj)
        return [*found, "reviewed_for"] if _verdict(obj) else found

    @admin.display(description="run")
    def run_link(self, row: Assessment) -> SafeString:
        return format_html('<a href="{}">{}</a>', url_of(row.run), row.run.reference)

    @admin.display(description="purpose")
    def purpose(self, row: Assessment) -> str:
        return row.run.get_purpose_display()

    @admin.display(description="data used before for")
    def others(self, row: Assessment) -> str:
        return _labels(row.other_purposes)

    @admin.display(description="written by")
    def author(self, row: Assessment) -> str:
        return row.written_by.get_username()

    @admin.display(description="state")
    def standing(self, row: Assessment) -> SafeString:
        return badge(*state_of(row))

    @admin.display(description="reason of the review")
    def reviewed_for(self, row: Assessment) -> str:
        return row.review.entry.reason


def state_of(row: Assessment) -> tuple[str, str]:
    """The state in words and its tone."""
    if not _verdict(row):
        return "waits for a privacy officer", "warning"
    tone = "good" if row.review.verdict == ReviewVerdict.APPROVED else "danger"
    return f"{row.review.verdict} by {row.review.reviewer.get_username()}", tone


# --- The start page -----------------------------------------------------------------------------


@start_page.panel(assessments.REVIEW, order=21)
def waiting_panel(request: HttpRequest) -> start_page.Panel:
    waiting = (
        Assessment.objects.filter(review__isnull=True)
        .exclude(run__team__in=teams_of(staff(request)))
        .select_related("run__team")
    )
    count = waiting.count()
    listed = f"{reverse('admin:training_runs_assessment_changelist')}?state={StateFilter.WAITING}"
    lines = [
        start_page.PanelLine(
            f"{row.run.reference}, {row.run.team}: {row.run.get_purpose_display()}",
            reverse("admin:training_runs_assessment_review", args=[row.pk]),
            f"data used before for {_labels(row.other_purposes)}",
            "warning",
        )
        for row in waiting.order_by("pk")[:10]
    ]
    return start_page.Panel(
        "Compatibility assessments that wait for you",
        lines,
        "No compatibility assessment waits for a privacy officer.",
        [
            (
                f"Waiting: {count}" if count else "All assessments",
                listed if count else listed.partition("?")[0],
            )
        ],
    )


@start_page.sent_back(assessments.WRITE)
def rejected(person: Any) -> Iterator[start_page.SentBack]:
    """Rejected assessments of a person, of runs that have no later one."""
    later = Assessment.objects.filter(run=OuterRef("run"), pk__gt=OuterRef("pk"))
    rows = Assessment.objects.filter(
        written_by=person,
        run__state=RunState.REGISTERED,
        review__verdict=ReviewVerdict.REJECTED,
        review__entry__recorded_at__gt=clock.now() - dt.timedelta(days=TOLD_DAYS),
    ).exclude(Exists(later))
    for row in rows.select_related("run", "review__entry", "review__reviewer"):
        yield start_page.SentBack(
            f"Compatibility assessment of {row.run.reference}",
            reverse("admin:training_runs_run_assess", args=[row.run_id]),
            row.review.reviewer.get_username(),
            row.review.entry.reason,
        )
