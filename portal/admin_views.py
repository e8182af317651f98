"""The administrator's acts. Every view asks for its own permission: the admin alone lets all staff in."""

import datetime as dt
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods

from common import drafts
from common.identity import tokens
from common.models import ServiceToken
from common.staff import start_page
from common.staff.forms import ConfirmForm, IssueTokenForm, SettleClocksForm
from common.staff.site import page, refusal_shown_in, staff
from ledger import clock, entries
from ledger.checkpoints import signing
from ledger.models import Entry

EXPIRES_SOON_DAYS = 14


@require_http_methods(["GET", "POST"])
@permission_required("common.add_servicetoken", raise_exception=True)
@sensitive_variables("secret")
def issue_token(request: HttpRequest) -> HttpResponse:
    form = drafts.form_for(IssueTokenForm, request, title="Issue a token")
    if form.is_valid():
        with refusal_shown_in(form):
            token, secret = tokens.issue_token(actor=staff(request), **form.cleaned_data)
            drafts.done(form)
            # Shown in the answer to the POST itself: it is in no session and no URL.
            return page(
                request,
                "admin/common/servicetoken/issued.html",
                title="Token issued",
                token=token,
                secret=secret,
                verifiers=[verifier.text for verifier in signing.verifiers()],
            )
    return page(
        request,
        "admin/act.html",
        title="Issue a token",
        form=form,
        button="Issue the token",
        lead="A token is shown once, on the next page. Only its hash is kept.",
        back=reverse("admin:common_servicetoken_changelist"),
    )


@require_http_methods(["GET", "POST"])
@permission_required("common.delete_servicetoken", raise_exception=True)
def revoke_token(request: HttpRequest, digest: str) -> HttpResponse:
    token = get_object_or_404(ServiceToken.objects.select_related("user"), pk=digest)
    form = ConfirmForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        with refusal_shown_in(form):
            tokens.revoke_token(token=token, actor=staff(request))
            messages.success(request, f"The token {token.name} is revoked.")
            return HttpResponseRedirect(reverse("admin:common_servicetoken_changelist"))
    return page(
        request,
        "admin/act.html",
        title=f"Revoke the token {token.name}",
        form=form,
        button="Revoke it",
        dangerous=True,
        lead=f"Every client that uses it as {token.user.get_username()} is refused from now on, also with a token that it renewed itself into. This cannot be undone.",
        back=reverse("admin:common_servicetoken_changelist"),
    )


@require_http_methods(["GET", "POST"])
@permission_required("ledger.settle_clocks", raise_exception=True)
def settle_clocks(request: HttpRequest) -> HttpResponse:
    form = SettleClocksForm(request.POST or None)
    if form.is_valid():
        with refusal_shown_in(form):
            entries.settle_clocks(actor=staff(request), **form.cleaned_data)
            messages.success(request, "The clocks are settled. All acts are possible again.")
            return HttpResponseRedirect(reverse("admin:ledger_clockstep_changelist"))
    return page(
        request,
        "admin/act.html",
        title="Settle the clocks",
        form=form,
        button="Settle them",
        lead=f"{clocks_in_words()} Set the clocks right first: this act is refused while they are more than"
        f" {clock.MAX_APART.seconds} seconds apart.",
        back=reverse("admin:ledger_clockstep_changelist"),
        back_title="Clock steps",
    )


def clocks_in_words() -> str:
    """The present state of the clocks, and the acts that wait for them."""
    found, head = clock.read(), entries.read_head()
    here = found.here or found.at
    words = f"The database's clock says {found.at:%Y-%m-%d %H:%M:%S} UTC, this server's {here:%Y-%m-%d %H:%M:%S}."
    if entries.clocks_agree():
        return f"{words} Nothing is waiting for them."
    since = f" A step is unsettled since entry {head.stepped_in}." if head.stepped_in else ""
    return (
        f"{words}{since} Opt-outs, objections and erasures are taken; starts, freezes, letters and every act that"
        " admits a member wait."
    )


# --- Start page ---------------------------------------------------------------------------------


@start_page.panel("ledger.view_entry", order=10)
def ledger_panel(request: HttpRequest) -> start_page.Panel:
    head = entries.read_head()
    last = Entry.objects.first()
    lines = [
        start_page.PanelLine(f"{head.size:,} entries", reverse("admin:ledger_entry_changelist")),
        start_page.PanelLine("Root", detail=head.root),
    ]
    if last:
        lines.append(
            start_page.PanelLine(
                f"Last: {last.kind}",
                reverse("admin:ledger_entry_change", args=[last.pk]),
                f"by {last.actor_name}, {last.recorded_at:%Y-%m-%d %H:%M} UTC",
            )
        )
    return start_page.Panel("Ledger", lines if head.size else [], "Nothing is recorded yet.")


@start_page.panel("ledger.settle_clocks", order=5)
def clocks_panel(request: HttpRequest) -> start_page.Panel:
    lines = []
    if not entries.clocks_agree():
        address = reverse("admin:ledger_clocksettlement_add")
        lines = [start_page.PanelLine("The clocks disagree", address, clocks_in_words(), "danger")]
    return start_page.Panel(
        "Clocks",
        lines,
        "The clocks of the database and this server agree, and no step is unsettled.",
    )


@start_page.panel("common.view_servicetoken", order=60)
def tokens_panel(request: HttpRequest) -> start_page.Panel:
    now = timezone.now()
    soon = ServiceToken.objects.filter(
        expiry__gt=now, expiry__lt=now + dt.timedelta(days=EXPIRES_SOON_DAYS)
    )
    return start_page.Panel(
        "Tokens about to expire",
        [
            start_page.PanelLine(
                token.name,
                reverse("admin:common_servicetoken_change", args=[token.pk]),
                f"{token.user.get_username()}, until {token.expiry:%Y-%m-%d}",
                "warning",
            )
            for token in soon.select_related("user").order_by("expiry")[:10]
        ],
        f"No token expires within {EXPIRES_SOON_DAYS} days.",
        _links(
            request, "common.add_servicetoken", "Issue a token", "admin:common_servicetoken_add"
        ),
    )


@start_page.panel("auth.change_user", order=70)
def people_panel(request: HttpRequest) -> start_page.Panel:
    idle = User.objects.filter(is_active=True, groups=None).order_by("username")
    return start_page.Panel(
        "People without a role",
        [
            start_page.PanelLine(
                user.username,
                reverse("admin:auth_user_change", args=[user.pk]),
                "has no permissions yet",
            )
            for user in idle[:10]
        ],
        "Every active account has a role.",
        _links(request, "auth.add_user", "Add a person or service account", "admin:auth_user_add"),
    )


def _links(request: HttpRequest, permission: str, text: str, name: str) -> list[tuple[str, Any]]:
    return [(text, reverse(name))] if request.user.has_perm(permission) else []
