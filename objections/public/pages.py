"""The hosted objection form, for members and for everybody else.

Nothing that a person sees tells whether an account is known, or whether their objection was set aside.
"""

import datetime as dt
from dataclasses import asdict, dataclass
from typing import Any

import structlog
from django import db
from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe

from common.identity.sender import sender_of
from consent.models import Member
from consent.public.member_links import member_of
from consent.public.pages import member_page
from ledger.errors import RETRY_SECONDS, InvalidInput
from objections import tasks
from objections.choices import Kind
from objections.errors import FormUsed, LinkExpired
from objections.intake import receiving
from objections.letters import composing
from objections.models import Ticket
from objections.public.forms import (
    KIND_OPTIONS,
    PURPOSE_OPTIONS,
    ObjectionForm,
    new_stamp,
    read_stamp,
)
from objections.ticket import quarantine

logger = structlog.get_logger(__name__)

TRAP = "topic"
"""The field that people do not see: who fills it in is likely a program."""


# --- The form -----------------------------------------------------------------------------------


# Without Django's CSRF cookie, so that the form works where cookies are off, and no lost cookie loses what
# a person typed. An anonymous filing has no authority to misuse. A member's has: it counts as theirs only with
# the stamp that this page wrote for that member, and no other site can read that.
@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def objection(request: HttpRequest) -> HttpResponse:
    """Take an objection, from a member or a visitor. The typed values are shown again until it is taken."""
    response = _answer(request)
    if request.method != "POST":
        # It has no personal data yet. From a page under `no-store` a browser that goes back has forgotten
        # what was typed.
        response["Cache-Control"] = "private, no-cache"
    return response


@member_page
def _answer(request: HttpRequest) -> HttpResponse:
    visitor = member_of(request)
    if request.method != "POST":
        return _show(request, ObjectionForm(member=visitor), stamp=new_stamp(visitor))
    # The page is UTF-8, whatever the request claims.
    request.encoding = "utf-8"
    text = request.POST.get("stamp", "")
    stamp = read_stamp(text)
    if stamp is not None and stamp.member not in (None, visitor.pk if visitor else None):
        return _show_to_another(request, visitor)

    member = visitor if stamp is not None and stamp.member is not None else None
    form = ObjectionForm(request.POST, request.FILES, member=member)
    text = text if stamp is not None else new_stamp(None)
    if not form.is_valid():
        return _show(request, form, stamp=text, status=422)
    try:
        filing = form.filing(
            form_id=stamp.form_id if stamp else "",
            sender=sender_of(request),
            looks_automatic=stamp is None or stamp.is_fresh or bool(request.POST.get(TRAP)),
        )
    except InvalidInput as refusal:
        # The form let something pass that intake does not.
        form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
        return _show(request, form, stamp=text, status=422)
    return _take(request, form, filing, stamp=text)


def _take(
    request: HttpRequest, form: ObjectionForm, filing: receiving.Filing, *, stamp: str
) -> HttpResponse:
    try:
        ticket = receiving.receive(filing, actor="system:form")
    except FormUsed:
        return _show_once_more(
            request,
            form.member,
            gettext(
                "This page has been sent before, with other words. If you want to object again, please send it "
                "once more: it is then an objection of its own, and the first one stays as it is."
            ),
        )
    except (db.Error, OSError) as error:
        # Not its words: a database repeats in them what was to be stored.
        logger.error("objection not taken", error=type(error).__name__)
        form.add_error(
            None,
            gettext(
                "Something went wrong on our side, and your objection is not recorded yet. "
                "Please send it again in a minute."
            ),
        )
        response = _show(request, form, stamp=stamp, status=503)
        response["Retry-After"] = str(RETRY_SECONDS)
        return response
    tasks.hint()
    response = redirect("objection-filed")
    _hand_over(response, _receipt_for(filing, ticket))
    return response


def _show(
    request: HttpRequest, form: ObjectionForm, *, stamp: str, status: int = 200
) -> HttpResponse:
    return render(
        request,
        "member/objection.html",
        {
            "form": form,
            "stamp": stamp,
            "trap": TRAP,
            "has_lost_files": form.is_bound and bool(request.FILES),
            "days_kept": settings.OBJECTION_RETENTION_DAYS,
        },
        status=status,
    )


def _show_to_another(request: HttpRequest, visitor: Member | None) -> HttpResponse:
    """The page was written for a member who is no longer logged in: the present visitor checks it before sending."""
    return _show_once_more(
        request,
        visitor,
        gettext(
            "Your visit from the product has ended, so we no longer know which account is yours. "
            "Nothing is recorded yet: please look at what you wrote and send it again."
        ),
    )


def _show_once_more(request: HttpRequest, visitor: Member | None, why: str) -> HttpResponse:
    """The typed values under a new stamp, which may be sent at once."""
    form = ObjectionForm(request.POST, request.FILES, member=visitor)
    form.add_error(None, why)
    return _show(request, form, stamp=new_stamp(visitor, is_filled_in=True), status=422)


# --- The receipt --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Receipt:
    """The content of the page after the form. It travels in a signed cookie, so the page's address discloses nothing."""

    reference: str
    kind: str
    purposes: list[str]
    due: str
    """ISO 8601."""
    is_member: bool
    files_until: str
    """ISO 8601: the last day of files that wait for the address to be confirmed; empty where none waits."""
    files_refused: int

    @property
    def files_last_day(self) -> dt.date | None:
        return dt.date.fromisoformat(self.files_until) if self.files_until else None

    @property
    def due_on(self) -> dt.date:
        return dt.date.fromisoformat(self.due)

    @property
    def purposes_in_words(self) -> list[Any]:
        return [option.name for name, option in PURPOSE_OPTIONS.items() if name in self.purposes]

    @property
    def kind_in_words(self) -> Any:
        return KIND_OPTIONS[Kind(self.kind)].name


_COOKIE = "objection_receipt"
_COOKIE_AGE = dt.timedelta(hours=1)
RECEIPT_SALT = "objections.public.pages.receipt"


def _receipt_for(filing: receiving.Filing, ticket: Ticket) -> Receipt:
    assert ticket.due_on is not None
    return Receipt(
        reference=ticket.reference,
        kind=filing.kind,
        purposes=sorted(set(filing.purposes)),
        due=ticket.due_on.isoformat(),
        is_member=filing.is_authenticated,
        files_until=str(quarantine.last_day(ticket.attachments.all()) or ""),
        files_refused=composing.requester_of(ticket).files_refused,
    )


def _hand_over(response: HttpResponse, receipt: Receipt) -> None:
    response.set_cookie(
        _COOKIE,
        signing.dumps(asdict(receipt), salt=RECEIPT_SALT),
        max_age=_COOKIE_AGE,
        path=reverse("objection-filed"),
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def _receipt_of(request: HttpRequest) -> Receipt | None:
    try:
        said = signing.loads(
            request.COOKIES.get(_COOKIE, ""), salt=RECEIPT_SALT, max_age=_COOKIE_AGE
        )
        return Receipt(**said)
    except (signing.BadSignature, TypeError):
        # Too old, or of an earlier release.
        return None


@require_safe
@member_page
def filed(request: HttpRequest) -> HttpResponse:
    """The reference, and what happens next. Where cookies are off, the letter has the reference."""
    return render(request, "member/objection_filed.html", {"receipt": _receipt_of(request)})


# --- The link in a confirmation -----------------------------------------------------------------


# The token is the authority, and who opens it from a mail may have no cookies.
@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
@member_page
def confirm(request: HttpRequest, token: str) -> HttpResponse:
    """Opening the link confirms nothing, the button does: programs that check mail for harm open links too."""
    try:
        if request.method == "POST":
            receiving.confirm(token)
            tasks.hint()
            return redirect("objection-confirm", token)
        ticket = composing.ticket_of_link(token)
    except LinkExpired:
        return render(request, "member/objection_link_expired.html", status=410)
    return render(request, "member/objection_confirm.html", {"ticket": ticket})
