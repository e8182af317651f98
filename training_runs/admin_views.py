"""The acts of the ML team and auditors on a run, one function each: GET shows what will happen, POST does it.

Every view asks for its own permission: the admin alone lets all staff in. ML engineers see every run and act on their own.
"""

from dataclasses import dataclass
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from common import drafts
from common.errors import StaleEdit
from common.processes import hints
from common.staff import file_views, start_page
from common.staff.forms import ConfirmForm
from common.staff.site import page, refusal_shown_in, staff
from consent import countries
from consent.choices import DataCategory
from ledger.errors import Refusal
from ledger.reads.recording import record_read
from training_runs import (
    explaining,
    incidents,
    member_lists,
    registering,
    tasks,
    verifying,
    withdrawing,
)
from training_runs.choices import NEXT_STATES, RunState
from training_runs.eligibility import BY_CODE, Eligibility
from training_runs.errors import StartRefused
from training_runs.forms import CancelForm, ExplainForm, RegisterForm, RenameForm
from training_runs.models import Finding, FreezeAttempt, Manifest, Run


def _run(number: int) -> Run:
    return get_object_or_404(Run.objects.select_related("owner", "parent"), pk=number)


def _own_run(request: HttpRequest, number: int) -> Run:
    run = _run(number)
    if run.owner_id != request.user.pk:
        raise PermissionDenied
    return run


def may_explain(user: Any, run: Run) -> bool:
    """The run's owner, and people who may read members' records anyway."""
    return user.has_perm("training_runs.explain_run") and (
        run.owner_id == user.pk or user.has_perm("consent.view_member")
    )


def may_name_numbers(user: Any) -> bool:
    """Whether the person may ask about a member by number; a run's owner knows references only."""
    return bool(user.has_perm("consent.view_member"))


def url_of(run: Run) -> str:
    return reverse("admin:training_runs_run_change", args=[run.pk])


# --- What is shown ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Share:
    """A bar: how many of the population, as a number, a percentage and a width."""

    code: str
    label: str
    ground: str
    count: int
    population: int

    @property
    def members(self) -> str:
        return f"{self.count:,}"

    @property
    def percent(self) -> str:
        """Two digits, except that a share above zero is never shown as 0."""
        if not self.population:
            return "0 %"
        share = 100 * self.count / self.population
        return "under 0.01 %" if 0 < share < 0.01 else f"{share:.2f} %"

    @property
    def width(self) -> str:
        return f"{100 * self.count / self.population if self.population else 0:.3f}%"


def shares(population: int, included: int, excluded: dict[str, int]) -> list[Share]:
    """Included first, then every reason that leaves a member out, the largest first."""
    out = sorted(excluded.items(), key=lambda item: -item[1])
    return [
        Share("included", "in the run", "", included, population),
        *(
            Share(code, BY_CODE[code].sentence, BY_CODE[code].ground, count, population)
            for code, count in out
            if count
        ),
    ]


def shares_of_manifest(manifest: Manifest) -> list[Share]:
    parts = {part["name"]: part["members"] for part in manifest.header["parts"]}
    included = parts.pop("included")
    return shares(manifest.population, included, parts)


def _shares_of_answer(answer: Eligibility) -> list[Share]:
    counts = answer.counts()
    return shares(counts["population"], counts["included"], counts["excluded"])


def gaps_in_words(refusal: StartRefused) -> list[str]:
    """The reasons of a refused start as sentences; countries with the same gap share one."""
    words = []
    by_gap: dict[tuple[str, ...], list[str]] = {}
    for reason in refusal.reasons:
        match reason["code"]:
            case "no_notice":
                gap = cast(list[str], reason["data_categories"])
                by_gap.setdefault(tuple(gap), []).append(countries.name(str(reason["country"])))
            case "no_data_categories":
                words.append("Declare the data categories the run uses.")
            case "no_country_allowed":
                words.append("No region rule in force allows the purpose in any country.")
            case "no_notice_in_force":
                words.append("No approved notice for the purpose is in force.")
            case "nobody_eligible":
                words.append("Every member is out for one of the reasons shown.")
    for categories, names in by_gap.items():
        what = ", ".join(DataCategory(word).label for word in categories) or "the purpose"
        shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
        words.append(f"No notice in force covers {what} in {shown}.")
    return words


# --- Acts ---------------------------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
@permission_required("training_runs.add_run", raise_exception=True)
def register_run(request: HttpRequest) -> HttpResponse:
    form = drafts.form_for(RegisterForm, request, title="Register a run")
    if form.is_valid():
        with refusal_shown_in(form):
            run, is_new = registering.register(owner=staff(request), **form.cleaned_data)
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
    form = ConfirmForm(request.POST if request.method == "POST" else None)
    gaps: list[str] = []
    if form.is_valid():
        with refusal_shown_in(form):
            try:
                run = registering.start(run=run, actor=staff(request))
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
        form=form if run.state == RunState.REGISTERED else None,
        button="Start the run",
        back=url_of(run),
        back_title=run.reference,
    )


def _preview(run: Run) -> tuple[list[Share], str]:
    try:
        return _shares_of_answer(registering.preview(run)), ""
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

    A run's owner reads the references of the withdrawn, so that the reasons of a few would be theirs.
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
        shares=_shares_of_answer(since)
        if shows_reasons
        else shares(since.population, len(since.included), {}),
        withdrawn=f"{since.population - len(since.included):,}",
        back=url_of(run),
    )


@require_GET
@permission_required("training_runs.download_manifest", raise_exception=True)
def member_list(request: HttpRequest, number: int, form: str) -> HttpResponse:
    """Ask for the list of accounts as a file; its page shows how far it is."""
    run = _own_run(request, number)
    if form not in member_lists.FORMS:
        raise Http404
    manifest = verifying.usable_manifest(run)
    return file_views.sent_to_page(
        member_lists.MemberList.kind,
        member_lists.parameters_of(manifest, form),
        staff(request),
    )


@require_GET
@permission_required("training_runs.view_run", raise_exception=True)
def incidents_of_run(request: HttpRequest, number: int) -> HttpResponse:
    """The incidents of a run: for its owner, and for the people who see those of every run."""
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


# --- The run's page -----------------------------------------------------------------------------

MEMBER_LISTS = [
    ("csv", "Account references of the included, as CSV"),
    ("parquet", "Account references of the included, as Parquet"),
]


def run_context(request: HttpRequest, run: Run) -> dict[str, Any]:
    """Everything the run's page shows beside its fields."""
    manifest = (
        Manifest.objects.with_agreement().prefetch_related("verifications").filter(run=run).first()
    )
    user = request.user
    may_act = run.owner_id == user.pk
    return {
        "manifest": manifest,
        "shares": shares_of_manifest(manifest) if manifest else [],
        "verifications": list(manifest.verifications.all()) if manifest else [],
        "attempt": FreezeAttempt.objects.filter(run=run).first(),
        "findings": list(run.findings.all()),
        "children": list(run.children.all()),
        "may_read_incidents": incidents.may_read(user, run),
        "incident_count": incidents.of(run).count() if incidents.may_read(user, run) else None,
        "explain_form": ExplainForm(by_number=may_name_numbers(user))
        if may_explain(user, run)
        else None,
        "downloads": downloads(request, run, manifest),
        "may_start": may_act
        and user.has_perm("training_runs.start_run")
        and run.state == RunState.REGISTERED,
        "may_cancel": may_act
        and user.has_perm("training_runs.start_run")
        and RunState.CANCELLED in NEXT_STATES[run.state],
        "may_rename": may_act and user.has_perm("training_runs.change_run"),
        "may_ask_withdrawn": _is_usable(run, manifest)
        and user.has_perm("training_runs.view_manifest"),
        "may_verify": user.has_perm("training_runs.add_verification") and manifest is not None,
    }


def _is_usable(run: Run, manifest: Any) -> bool:
    """Whether `verifying.usable_manifest` accepts it: verified, and not of a cancelled run."""
    return (
        manifest is not None
        and run.state != RunState.CANCELLED
        and manifest.agrees
        and not manifest.differs
    )


def downloads(request: HttpRequest, run: Run, manifest: Any) -> list[tuple[str, str]]:
    """(text, url) of what this person may download; nothing unless the manifest is verified.

    The archive holds numbers and codes: auditors may have it too. The API asks again.
    """
    if not _is_usable(run, manifest):
        return []
    user = request.user
    is_own = run.owner_id == user.pk and user.has_perm("training_runs.download_manifest")
    found = []
    if is_own or user.has_perm("ledger.view_entry"):
        found.append(("The archive itself", reverse("api:run-archive", args=[run.reference])))
    if is_own:
        found += [
            (text, reverse("admin:training_runs_run_members", args=[run.pk, form]))
            for form, text in MEMBER_LISTS
        ]
    return found


# --- Start page ---------------------------------------------------------------------------------


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
                f"{changelist}?owner=me&state__exact={state}",
            )
            for state in RunState.values
            if state in counts
        ],
        "You have registered no run yet.",
        [("Register a run", reverse("admin:training_runs_run_add")), ("All runs", changelist)],
    )


@start_page.panel(incidents.OWN, order=19)
def own_incidents_panel(request: HttpRequest) -> start_page.Panel:
    found = incidents.of_runs_of(staff(request))
    by_run = dict(found.order_by().values_list("run").annotate(Count("pk")))
    runs = Run.objects.owned_by(staff(request)).filter(reference__in=by_run).order_by("-pk")
    frozen = Manifest.objects.filter(run__owner=staff(request)).count()
    return start_page.Panel(
        "Incidents of your runs",
        [
            start_page.PanelLine(
                f"{run.reference}: {by_run[run.reference]} incident{'' if by_run[run.reference] == 1 else 's'}",
                reverse("admin:training_runs_run_incidents", args=[run.pk]),
                "it used data of a member whose objection we had received before",
                "danger",
            )
            for run in runs[:10]
        ],
        f"No incident is recorded for your {frozen} frozen run{'' if frozen == 1 else 's'}."
        if frozen
        else "You have no frozen run yet.",
    )


@start_page.panel("training_runs.start_run", order=21)
def attempts_panel(request: HttpRequest) -> start_page.Panel:
    failing = FreezeAttempt.objects.filter(run__owner=staff(request)).select_related("run")
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
                f"{row.run.reference}: {row.get_kind_display()}",
                url_of(row.run),
                f"found {row.found_at:%Y-%m-%d %H:%M} UTC",
                "danger",
            )
            for row in findings[:10]
        ],
        _no_finding_in_words(),
    )


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


def _no_attempt_in_words(owner: User) -> str:
    waiting = Run.objects.owned_by(owner).requested().count()
    if not waiting:
        return "None of your runs is waiting for its freeze."
    return f"No freeze of your {waiting} waiting run{'' if waiting == 1 else 's'} has failed."
