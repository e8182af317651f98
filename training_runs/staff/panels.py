"""The start page: panels about runs, manifests and freezes."""

from django.contrib.auth.models import User
from django.db.models import Count
from django.http import HttpRequest
from django.urls import reverse

from common.staff import start_page
from common.staff.site import staff
from training_runs.choices import IncidentState, RunState
from training_runs.incidents import cases
from training_runs.models import Finding, FreezeAttempt, Incident, Manifest, Run
from training_runs.querysets import teams_of
from training_runs.staff.run_page import url_of


@start_page.panel("training_runs.start_run", order=20)
def own_runs_panel(request: HttpRequest) -> start_page.Panel:
    runs = Run.objects.owned_by(staff(request))
    changelist = reverse("admin:training_runs_run_changelist")
    counts = dict(runs.order_by().values_list("state").annotate(Count("pk")))
    return start_page.Panel(
        "Your runs",
        [
            start_page.PanelLine(
                f"{RunState(state).label.capitalize()}: {counts[state]}",
                f"{changelist}?team=mine&state__exact={state}",
            )
            for state in RunState.values
            if state in counts
        ],
        "You have registered no run yet.",
        [("Register a run", reverse("admin:training_runs_run_add")), ("All runs", changelist)],
    )


@start_page.panel(cases.OWN, order=19)
def own_incidents_panel(request: HttpRequest) -> start_page.Panel:
    found = Incident.objects.filter(run__team__in=teams_of(staff(request))).exclude(
        state=IncidentState.CLOSED
    )
    by_run = dict(found.order_by().values_list("run").annotate(Count("pk")))
    runs = Run.objects.owned_by(staff(request)).filter(pk__in=by_run).order_by("-pk")
    frozen = Manifest.objects.filter(run__team__in=teams_of(staff(request))).count()
    return start_page.Panel(
        "Incidents of your runs",
        [
            start_page.PanelLine(
                f"{run.reference}: {by_run[run.pk]} incident{'' if by_run[run.pk] == 1 else 's'}",
                reverse("admin:training_runs_run_incidents", args=[run.pk]),
                "it was frozen with members who, as we know by now, were out",
                "danger",
            )
            for run in runs[:10]
        ],
        f"No open incident is recorded for your {frozen} frozen run{'' if frozen == 1 else 's'}."
        if frozen
        else "You have no frozen run yet.",
    )


@start_page.panel("training_runs.start_run", order=21)
def attempts_panel(request: HttpRequest) -> start_page.Panel:
    failing = FreezeAttempt.objects.filter(run__team__in=teams_of(staff(request))).select_related(
        "run"
    )
    return start_page.Panel(
        "Freezes that failed so far",
        [
            start_page.PanelLine(
                attempt.run.reference,
                url_of(attempt.run),
                f"{attempt.count} attempts, last: {attempt.error}",
                "danger",
            )
            for attempt in failing.order_by("-last_at")[:10]
        ],
        _no_attempt_in_words(staff(request)),
    )


@start_page.panel("training_runs.view_finding", order=40)
def findings_panel(request: HttpRequest) -> start_page.Panel:
    findings = Finding.objects.select_related("run")
    return start_page.Panel(
        "Findings",
        [
            start_page.PanelLine(
                f"{row.run.reference if row.run else 'No run'}: {row.get_kind_display()}",
                url_of(row.run) if row.run else _page_of(row),
                f"found {row.found_at:%Y-%m-%d %H:%M} UTC",
                "danger",
            )
            for row in findings[:10]
        ],
        _no_finding_in_words(),
    )


def _page_of(finding: Finding) -> str:
    return reverse("admin:training_runs_finding_change", args=[finding.pk])


@start_page.panel("ledger.view_entry", order=30)
def manifests_panel(request: HttpRequest) -> start_page.Panel:
    manifests = Manifest.objects.with_agreement()
    differs = manifests.filter(differs=True).count()
    agrees = manifests.filter(differs=False, agrees=True).count()
    waiting = manifests.filter(differs=False, agrees=False).count()
    link = reverse("admin:training_runs_manifest_changelist")
    lines = [start_page.PanelLine(f"{agrees} verified", link, tone="good" if agrees else "")]
    if waiting:
        lines.append(
            start_page.PanelLine(f"{waiting} waiting for verification", link, tone="warning")
        )
    if differs:
        lines.append(start_page.PanelLine(f"{differs} do not verify", link, tone="danger"))
    return start_page.Panel(
        "Manifests", lines if agrees + waiting + differs else [], "No manifest is frozen yet."
    )


def _no_finding_in_words() -> str:
    """Said when there is no finding: of how many manifests and completed runs that is so."""
    manifests = Manifest.objects.with_agreement()
    frozen, agree = manifests.count(), manifests.filter(agrees=True, differs=False).count()
    if not frozen:
        return "No manifest is frozen yet."
    completed = Run.objects.filter(state=RunState.COMPLETED).count()
    return (
        f"No finding is recorded. {agree:,} of {frozen:,} manifests are verified, and {completed:,} runs"
        " are completed."
    )


def _no_attempt_in_words(user: User) -> str:
    waiting = Run.objects.owned_by(user).requested().count()
    if not waiting:
        return "None of your runs is waiting for its freeze."
    return f"No freeze of your {waiting} waiting run{'' if waiting == 1 else 's'} has failed."
