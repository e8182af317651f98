"""Pages about members: looking one up, and recording a deny for one. GET shows what will happen, POST does it.

Every view asks for its own permission: the admin alone lets all staff in.
"""

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.text import capfirst
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from common import drafts
from common.staff.site import page, refusal_shown_in, staff
from consent import decisions
from consent.lookup import look_up
from consent.models import Member
from consent.staff.forms import DenyForm, LookUpForm


@require_http_methods(["GET", "POST"])
@permission_required(["consent.view_member", "consent.view_accountreference"], raise_exception=True)
@sensitive_post_parameters("account_ref")
def look_up_member(request: HttpRequest) -> HttpResponse:
    """From the product's key to the member's page. The look is on record before it is answered."""
    form = LookUpForm(request.POST or None)
    if form.is_valid():
        with refusal_shown_in(form):
            member = look_up(
                form.cleaned_data["account_ref"],
                reader=staff(request),
                kind="member.read",
                purpose="look-up",
            )
            return HttpResponseRedirect(reverse("admin:consent_member_change", args=[member.pk]))
    return page(
        request,
        "admin/act.html",
        title="Look a member up",
        form=form,
        button="Look up",
        lead="This search is logged under your name, even if it finds no member.",
        back=reverse("admin:consent_member_changelist"),
        back_title="Members",
    )


@require_http_methods(["GET", "POST"])
@permission_required(["consent.view_member", "consent.add_decision"], raise_exception=True)
def record_deny(request: HttpRequest, number: int) -> HttpResponse:
    member = get_object_or_404(Member, pk=number)
    form = drafts.form_for(
        DenyForm, request, subject=f"member:{member.pk}", title=f"Record a deny for {member}"
    )
    back = reverse("admin:consent_member_change", args=[member.pk])
    if form.is_valid():
        with refusal_shown_in(form):
            recorded = decisions.deny_for_member(
                member=member, actor=staff(request), **form.cleaned_data
            )
            drafts.done(form)
            messages.success(request, f"Recorded as ledger entry #{recorded.entry}.")
            return HttpResponseRedirect(back)
    return page(
        request,
        "admin/consent/member/deny.html",
        title=f"Record a deny for {member}",
        member=member,
        choices={row.purpose: row for row in member.consents.all()},
        form=form,
        button="Record the deny",
        back=back,
        back_title=capfirst(str(member)),
    )
