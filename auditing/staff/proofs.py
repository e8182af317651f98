"""Proofs and answers as downloads, and what an officer grants, one function an act.

Every view asks for its own permission. What only asks is on record like every read.
"""

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods

from auditing import services
from auditing.exports import answers
from common import drafts
from common.files.serving import kept_by_browser
from common.identity import roles
from common.staff.parameters import takes, unreadable
from common.staff.site import page, refusal_shown_in, staff
from consent.models import Member
from ledger.checkpoints import signing
from ledger.choices import DeliveryChannel
from ledger.reads.recording import record_read
from training_runs.models import Run
from training_runs.runs import verifying


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
            " member number and no name. Writing it is recorded under your name."
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
