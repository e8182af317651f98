"""Proofs and answers as downloads, and what an officer grants, one function an act.

Every view asks for its own permission. What only asks is on record like every read.
"""

import datetime as dt

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods

from auditing import answers, services
from common import drafts
from common.files.serving import kept_by_browser
from common.identity import roles
from common.staff import start_page
from common.staff.parameters import takes, unreadable
from common.staff.site import page, refusal_shown_in, staff
from consent.models import Member
from ledger.checkpoints import signing
from ledger.choices import DeliveryChannel
from ledger.models import Checkpoint, CheckpointDelivery, LedgerCheck, LedgerHead
from ledger.reads.recording import record_read
from training_runs import verifying
from training_runs.models import Manifest, Run, Verification


def download(name: str, data: bytes, media_type: str) -> HttpResponse:
    return HttpResponse(data, headers=kept_by_browser(name, media_type))


# --- Checkpoints and proofs of entries ----------------------------------------------------------


@require_GET
@permission_required("ledger.view_checkpoint", raise_exception=True)
def download_checkpoint(request: HttpRequest, size: int) -> HttpResponse:
    """The signed note, to be kept."""
    checkpoint = signing.of_size(size)
    record_read(staff(request), "checkpoint.read", f"checkpoint:{size}", purpose="admin")
    signing.delivered(checkpoint, DeliveryChannel.DOWNLOAD, staff(request).get_username())
    return download(f"{size}.checkpoint", checkpoint.note.encode(), "text/plain; charset=utf-8")


@require_GET
@permission_required("ledger.view_checkpoint", raise_exception=True)
def prove_entry(request: HttpRequest, sequence: int) -> HttpResponse:
    """That the entry is below the newest checkpoint."""
    proof = signing.prove_entry(sequence, signing.latest())
    record_read(staff(request), "entry.proved", f"entry:{sequence}", purpose="admin")
    return download(f"entry-{sequence}.tlog-proof", proof.encode(), "text/plain; charset=utf-8")


# --- An answer to a person ----------------------------------------------------------------------


class AnswerForm(forms.Form):
    """About which run, and what for."""

    run = forms.ModelChoiceField(
        Run.objects.filter(manifest__checkpoint__isnull=False),
        to_field_name="reference",
        empty_label=None,
        help_text="Runs whose manifest verified and is signed.",
    )
    purpose = forms.CharField(
        max_length=200,
        label="What for",
        help_text="The request it answers, such as a ticket's reference. It is recorded: do not enter names.",
    )


@takes("run")
@require_http_methods(["GET", "POST"])
@permission_required(["consent.view_member", "training_runs.explain_run"], raise_exception=True)
def answer_person(request: HttpRequest, number: int) -> HttpResponse:
    """One page for the person: in or out of a run, why, and the proof."""
    member = get_object_or_404(Member, pk=number)
    form = AnswerForm(request.POST or None, initial={"run": request.GET.get("run")})
    if form.is_valid():
        with refusal_shown_in(form):
            run = form.cleaned_data["run"]
            manifest = verifying.usable_manifest(run)
            said = f"{run.reference}: {form.cleaned_data['purpose']}"
            record_read(staff(request), "answer.given", f"member:{number}", purpose=said)
            answer = answers.answer(manifest, number)
            return download(f"{answer.file_name}.pdf", answers.pdf(answer), "application/pdf")
    offered = form.fields["run"].queryset  # type: ignore[attr-defined]  # a ModelChoiceField
    if "run" in request.GET and not offered.filter(reference=request.GET["run"]).exists():
        raise unreadable("run", "the reference of a run whose manifest verified and is signed")
    has_runs = offered.exists()
    return page(
        request,
        "admin/act.html",
        title=f"An answer about {member}",
        form=form if has_runs else None,
        button="Write the answer (PDF)",
        lead=(
            "One page for the person: whether they were in the run, why, and the proof attached. It names the"
            " member number and nobody's name. Writing it is recorded under your name."
            if has_runs
            else "There is no run yet whose manifest verified and is signed."
        ),
        back=reverse("admin:consent_member_change", args=[number]),
        back_title=f"Member {number}",
    )


# --- Reveals ------------------------------------------------------------------------------------


class GrantForm(forms.Form):
    auditor = forms.ModelChoiceField(
        User.objects.filter(groups__name=roles.AUDITOR, is_active=True).order_by("username"),
        empty_label=None,
    )
    subject = forms.CharField(
        max_length=40, label="Who", help_text="A member as member:12, or a ticket's reference."
    )
    hours = forms.IntegerField(
        min_value=1, max_value=services.MAX_HOURS, initial=24, label="For how many hours"
    )
    reason = forms.CharField(
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="What the auditor needs it for. The ledger keeps this for good: no names, no addresses.",
    )


@require_http_methods(["GET", "POST"])
@permission_required("auditing.add_reveal", raise_exception=True)
def grant_reveal(request: HttpRequest) -> HttpResponse:
    form = drafts.form_for(GrantForm, request, title="Reveal an identity to an auditor")
    if form.is_valid():
        with refusal_shown_in(form):
            reveal = services.grant(**form.cleaned_data, actor=staff(request))
            drafts.done(form)
            messages.success(
                request,
                f"{reveal.auditor.get_username()} may see who {reveal.subject} is until"
                f" {reveal.until:%Y-%m-%d %H:%M} UTC. Each look is recorded.",
            )
            return HttpResponseRedirect(reverse("admin:auditing_reveal_changelist"))
    return page(
        request,
        "admin/act.html",
        title="Reveal an identity to an auditor",
        form=form,
        button="Grant it",
        lead=(
            "Auditors see numbers, not people. Grant this when an audit cannot go on without knowing who it is;"
            " it ends by itself, and the ledger keeps who granted it to whom and why."
        ),
        back=reverse("admin:auditing_reveal_changelist"),
        back_title="Reveals",
    )


@require_GET
@permission_required("auditing.view_reveal", raise_exception=True)
def look(request: HttpRequest, number: int) -> HttpResponse:
    """Show the identity to the auditor it was granted to, while the reveal lasts."""
    reveal = services.reveal_by(number)
    if reveal.auditor_id != staff(request).pk:
        raise PermissionDenied
    identity = services.look(reveal, staff(request))
    return page(
        request,
        "admin/auditing/reveal/look.html",
        title=f"Who {identity.subject} is",
        identity=identity,
        reveal=reveal,
    )


# --- The auditors' start page -------------------------------------------------------------------

LATE = dt.timedelta(hours=36)
"""The ledger is recomputed every night."""


@start_page.panel("ledger.view_checkpoint", order=4)
def proof_panel(request: HttpRequest) -> start_page.Panel:
    """Show the last checks and the checkpoints held outside."""
    lines = [_ledger_line(), _manifests_line(), _checkpoint_line(), _outside_line()]
    return start_page.Panel(
        title="Integrity checks",
        lines=lines,
        empty="No check has run yet.",
        links=[
            ("All checkpoints", reverse("admin:ledger_checkpoint_changelist")),
            ("All checks", reverse("admin:ledger_ledgercheck_changelist")),
        ],
    )


def _ledger_line() -> start_page.PanelLine:
    check = LedgerCheck.objects.select_related("entry").first()
    if check is None:
        return start_page.PanelLine(
            "The ledger has not been recomputed yet: it is every night, or by manage.py verify_all.",
            tone="warning",
        )
    url = reverse("admin:ledger_ledgercheck_change", args=[check.pk])
    is_late = timezone.now() - check.entry.recorded_at > LATE
    when = f"{check.entry.recorded_at:%Y-%m-%d %H:%M} UTC"
    if check.problems:
        return start_page.PanelLine(
            f"THE LEDGER DOES NOT VERIFY: {len(check.problems)} problems.", url, when, "danger"
        )
    if is_late:
        return start_page.PanelLine(
            f"The nightly check is late: the ledger was recomputed to entry {check.size:,}.",
            url,
            when,
            "warning",
        )
    return start_page.PanelLine(
        f"Ledger recomputed, complete to entry {check.size:,}{_since(check.size)}.",
        url,
        when,
        "good",
    )


def _since(size: int) -> str:
    newer = LedgerHead.objects.get().size - size
    return f"; {newer:,} entries were added since" if newer > 0 else ", the newest"


def _manifests_line() -> start_page.PanelLine:
    manifests = Manifest.objects.with_agreement()
    total = manifests.count()
    if not total:
        return start_page.PanelLine("No manifest is frozen yet, so none is verified.")
    differing = manifests.filter(differs=True).count()
    agreeing = manifests.filter(agrees=True, differs=False).count()
    url = reverse("admin:training_runs_verification_changelist")
    if differing:
        return start_page.PanelLine(
            f"{differing} of {total:,} manifests DIFFER from history.", url, "", "danger"
        )
    last = Verification.objects.first()
    when = f"last one {last.verified_at:%Y-%m-%d %H:%M} UTC" if last else ""
    all_of_them = (
        f"all {total:,}" if agreeing == total and total > 1 else f"{agreeing:,} of {total:,}"
    )
    tone = "good" if agreeing == total else "warning"
    return start_page.PanelLine(
        f"Verified against history: {all_of_them} manifests.", url, when, tone
    )


def _checkpoint_line() -> start_page.PanelLine:
    checkpoint = Checkpoint.objects.first()
    if checkpoint is None:
        return start_page.PanelLine("No checkpoint has been signed yet.", tone="warning")
    return start_page.PanelLine(
        f"Newest checkpoint: entry {checkpoint.size:,}. Download it and keep it.",
        reverse("admin:auditing_checkpoint_download", args=[checkpoint.size]),
        f"signed {checkpoint.signed_at:%Y-%m-%d %H:%M} UTC",
        "good",
    )


def _outside_line() -> start_page.PanelLine:
    outside = CheckpointDelivery.objects.exclude(channel=DeliveryChannel.DIRECTORY)
    delivery = outside.order_by("-checkpoint_id", "-pk").first()
    if delivery is None:
        return start_page.PanelLine(
            "No checkpoint is held outside: until one is kept outside, nothing proves that the ledger was not"
            " rewritten.",
            tone="warning",
        )
    return start_page.PanelLine(
        f"Last checkpoint held outside: entry {delivery.checkpoint_id:,}, by {delivery.holder}"
        f" ({delivery.get_channel_display()}).",
        "",
        f"{delivery.delivered_at:%Y-%m-%d %H:%M} UTC",
        "good",
    )
