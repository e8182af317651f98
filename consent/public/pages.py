"""The member's setting page, and what every page for members shares.

Who comes without a link from the product sees a page that says so, whatever the reason: an expired link, a
forged one and none at all look the same.
"""

import json
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import translation
from django.utils.translation.trans_real import parse_accept_lang_header
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from consent import consent_receipts
from consent.errors import AccountErased, ChoiceChanged, WrittenForAnother
from consent.models import Member, Notice
from consent.public import member_links
from consent.public.privacy_signals import privacy_signal
from consent.public.setting import ShownForm, receipt, setting_of, switch
from ledger import open_entry
from ledger.errors import InvalidInput

View = Callable[..., HttpResponse]


def member_page(view: View) -> View:
    """A page for members: gone when MEMBER_PAGES is off, kept by no cache, listed by no search engine.

    In the language the browser asks for, if it is one of ours. Admin and API stay English, so no middleware does it.
    """

    @wraps(view)
    def page(request: HttpRequest, **named: str) -> HttpResponse:
        if not settings.MEMBER_PAGES:
            raise Http404
        with translation.override(translation.get_language_from_request(request)):
            response = view(request, **named)
        response["X-Robots-Tag"] = "noindex, nofollow"
        return response

    return never_cache(page)


@require_safe
@member_page
def open_by_link(request: HttpRequest, token: str) -> HttpResponse:
    """Let the link's member in, and leave the token behind: the page's own address is clean."""
    member = member_links.member_in_link(token)
    if member is None:
        return closed(request)
    response = redirect("setting")
    member_links.let_in(response, member)
    return response


@require_http_methods(["GET", "HEAD", "POST"])
@member_page
def setting(request: HttpRequest) -> HttpResponse:
    """The data used and its purpose, the choice, and the one button that changes it."""
    member = member_links.member_of(request)
    if member is None:
        return closed(request)
    # Also where the same browser is signed in as staff.
    open_entry.credential.set("link")
    if request.method != "POST":
        return _show(request, member)
    try:
        recorded = switch(
            member=member,
            choice=request.POST.get("choice", ""),
            form=ShownForm.read(request.POST.get("form_id", "")),
            privacy_signal=privacy_signal(request.headers),
        )
    except AccountErased:
        return closed(request)
    except (InvalidInput, WrittenForAnother, ChoiceChanged) as error:
        return _show(request, member, status=error.status, refused=error.code)
    return redirect(f"{reverse('setting')}?recorded={recorded.entry}")


@require_safe
@member_page
def notice(request: HttpRequest, version: str, language: str = "") -> HttpResponse:
    """The text of an approved notice: in the language of the address, else in the browser's, else in the first it has."""
    found = get_object_or_404(Notice.objects.approved(), version=version)
    if not language:
        # Not only the languages of these pages: a notice may have others.
        asked = parse_accept_lang_header(request.headers.get("Accept-Language", ""))
        by_word = {one.lower(): one for one in found.languages}
        by_word |= {
            one.split("-")[0]: one for one in found.languages if one.split("-")[0] not in by_word
        }
        words = [word for given, _ in asked for word in (given, given.split("-")[0])]
        language = next(
            (by_word[word] for word in [*words, "en"] if word in by_word), found.languages[0]
        )
    elif language not in found.texts:
        raise Http404
    return render(
        request,
        "member/notice.html",
        {
            "notice": found,
            "language": language,
            "text": found.texts[language],
            "withdrawal": found.withdrawals.order_by("withdrawn_from").first(),
        },
    )


@require_safe
@member_page
def receipts(request: HttpRequest) -> HttpResponse:
    """The member's consent receipts, as a file."""
    member = member_links.member_of(request)
    if member is None:
        return closed(request)
    try:
        found = consent_receipts.receipts_of(member)
    except AccountErased:
        return closed(request)
    return HttpResponse(
        json.dumps(found, ensure_ascii=False, indent=2),
        content_type="application/ld+json; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="consent-receipts.jsonld"'},
    )


def closed(request: HttpRequest) -> HttpResponse:
    """The page for visitors without a valid link."""
    return render(request, "member/closed.html", status=403)


def _show(request: HttpRequest, member: Member, status: int = 200, **more: Any) -> HttpResponse:
    found = setting_of(member)
    return render(
        request,
        "member/ai_training.html",
        {
            "member": member,
            "setting": found,
            "form_id": ShownForm.of(member, found),
            "receipt": receipt(member, request.GET.get("recorded", "")),
            "has_privacy_signal": privacy_signal(request.headers),
            **more,
        },
        status=status,
    )
