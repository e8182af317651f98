"""Error pages for people: in the portal's face, with a way on, and without a script, a session or the database.

An error may be the database's own, so a page here asks it nothing: the address alone says for whom it is. Under
`/admin/` that is staff; everything else outside the API is for members. The API answers with problems (`common.api.problems`).
"""

import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

import structlog
from django.conf import settings
from django.core.exceptions import BadRequest
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation
from django.utils.functional import Promise
from django.utils.html import escape
from django.utils.translation import gettext_lazy

from common.api import problems
from ledger.errors import RETRY_SECONDS, Refusal

logger = structlog.get_logger(__name__)

ADMIN = "/admin/"
NEVER_CERTAIN = "Check whether your last action was recorded before you repeat it."
"""After a failure the portal does not know how far a request came, so it does not claim that nothing was kept."""


_TOO_OLD = "The form you sent is too old"


@dataclass(frozen=True)
class Words:
    """The text of a page: its heading, and what a person can do now."""

    title: str | Promise
    lead: str | Promise


FOR_STAFF: Mapping[int, Words] = {
    400: Words(
        "This request cannot be read",
        "The address or what was sent has a value that this page does not take. Nothing was recorded.",
    ),
    403: Words(
        "You have no access to this page",
        "Your roles do not include this page or this act. An administrator gives roles.",
    ),
    404: Words(
        "There is no such page",
        "The address is mistyped or out of date, or you may not see what it names.",
    ),
    405: Words(
        "This address does not support that method",
        "The page is opened in another way: by its link, or by the button of the page before it."
        " Nothing was recorded.",
    ),
    409: Words(
        "This cannot be done now",
        "It does not fit what is recorded by now. Open the page again, and look before you repeat it.",
    ),
    410: Words("This is not here any more", "The link is too old, or what it led to was removed."),
    413: Words(
        "Too large to be sent",
        "What you wrote and your files are larger than the portal takes. Nothing was recorded."
        " Go back in your browser, choose fewer or smaller files, and send it again.",
    ),
    429: Words("Too many attempts", "Wait a moment, then try again. Nothing was recorded."),
    500: Words(
        "Something went wrong in the portal",
        f"The failure is in the portal's log. {NEVER_CERTAIN}",
    ),
    503: Words(
        "The portal cannot do this now",
        f"The database is busy or unavailable. Try again in a minute. {NEVER_CERTAIN}",
    ),
}
FOR_MEMBERS: Mapping[int, Words] = {
    400: Words(
        gettext_lazy("We cannot read this request"),
        gettext_lazy("The address may be cut off or mistyped. Nothing was recorded."),
    ),
    403: Words(
        gettext_lazy("This page is not open"),
        gettext_lazy("It opens only by the link that leads to it."),
    ),
    404: Words(
        gettext_lazy("There is no page here"),
        gettext_lazy(
            "The address may be mistyped, or cut off where a mail broke it over two lines. "
            "Copy all of it into the address bar."
        ),
    ),
    405: Words(
        gettext_lazy("This page is opened in another way"),
        gettext_lazy("Open it by its link. Nothing was recorded."),
    ),
    409: Words(
        gettext_lazy("This cannot be done now"),
        gettext_lazy("Something has changed since this page was opened. Please open it again."),
    ),
    410: Words(gettext_lazy("This is not here any more"), gettext_lazy("The link is too old.")),
    413: Words(
        gettext_lazy("Too large to be sent"),
        gettext_lazy("What you wrote and your files are too large together. Nothing was recorded."),
    ),
    429: Words(
        gettext_lazy("Too many attempts"),
        gettext_lazy("Please wait a moment, then try again. Nothing was recorded."),
    ),
    500: Words(
        gettext_lazy("Something went wrong on our side"),
        gettext_lazy(
            "We do not know whether what you sent was recorded. Please send it again in a minute: "
            "sending it twice does no harm."
        ),
    ),
    503: Words(
        gettext_lazy("We cannot do this at the moment"),
        gettext_lazy("Please try again in a minute: sending it twice does no harm."),
    ),
}


def is_for_staff(request: HttpRequest) -> bool:
    return request.path_info.startswith(ADMIN)


_PASSING = frozenset({429, 500, 503})
"""Errors that may be gone at the next attempt."""


def show(
    request: HttpRequest,
    status: int,
    sentence: str = "",
    *,
    headers: Mapping[str, str] | None = None,
    name: str = "",
    title: str = "",
    can_repeat: bool = False,
) -> HttpResponse:
    """The error as a page for the person who asked, or as the API's problem with the code `name`.

    `sentence` takes the place of the status's own words where more is known; it must not repeat what was typed.
    `title` likewise takes the place of the status's heading.
    `can_repeat` offers to open the page again.
    """
    if problems.in_api(request):
        detail = sentence or HTTPStatus(status).phrase
        return problems.problem(status, detail, name=name, headers=headers)
    is_staff = is_for_staff(request)
    words = (FOR_STAFF if is_staff else FOR_MEMBERS).get(status)
    if words is None:
        words = Words(HTTPStatus(status).phrase, "")
    context = {
        "title": title or words.title,
        "lead": sentence or words.lead,
        "status": status,
        "request_id": structlog.contextvars.get_contextvars().get("request_id", ""),
        "start": reverse("admin:index"),
        "again": request.path if can_repeat or status in _PASSING else "",
        "is_failure": status >= HTTPStatus.INTERNAL_SERVER_ERROR,
        "has_member_pages": settings.MEMBER_PAGES,
    }
    template = "errors/staff.html" if is_staff else "errors/member.html"
    return HttpResponse(
        _rendered(request, template, context),
        status=status,
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


def _rendered(request: HttpRequest, template: str, context: dict[str, object]) -> str:
    """The page without a request: no context processor asks for a session or a user."""
    try:
        language = "en" if is_for_staff(request) else translation.get_language_from_request(request)
        with translation.override(language):
            return render_to_string(template, context)
    except Exception:  # the page of last resort must not fail itself
        return (
            f"<!doctype html><html lang=en><title>{escape(context['title'])}</title>"
            f"<h1>{escape(context['title'])}</h1><p>{escape(context['lead'])}</p>"
            f'<p><a href="{escape(context["start"])}">To the start page</a></p>'
        )


# --- Django's handlers, named by portal.urls ----------------------------------------------------


def unavailable(request: HttpRequest, error: BaseException | None) -> HttpResponse:
    """503: the database is away, or another holds what the request waited for."""
    if problems.in_api(request):
        return problems.unavailable_problem(error)
    problems.log_unavailable(error)
    return show(request, 503, headers={"Retry-After": str(RETRY_SECONDS)})


def refused(request: HttpRequest, error: Refusal) -> HttpResponse:
    """A refusal that no page caught, by its own status. Staff read its sentence; members, words in their language."""
    if problems.in_api(request):
        return problems.problem_response(error, {})
    logger.warning("refused", error_code=error.code, status=error.status)
    headers = {"Retry-After": str(error.retry_after)} if error.retry_after else {}
    sentence = str(error) if is_for_staff(request) else ""
    return show(request, error.status, sentence, headers=headers)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if problems.is_unavailable(exception):
        return unavailable(request, exception)
    # A subclass's words may repeat what was sent, as those of a wrong host do.
    sentence = str(exception) if type(exception) is BadRequest else ""
    return show(
        request,
        400,
        sentence or ("The request cannot be read." if problems.in_api(request) else ""),
    )


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return show(request, 403, "Not allowed." if problems.in_api(request) else "")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return show(request, 404, "There is no such address." if problems.in_api(request) else "")


def server_error(request: HttpRequest) -> HttpResponse:
    """Django calls it while it handles the error."""
    if problems.is_unavailable(sys.exception()):
        return unavailable(request, sys.exception())
    return show(request, 500, "Something went wrong here." if problems.in_api(request) else "")


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """The page that a form comes to whose token is missing or too old: after a new sign-in, for example."""
    if is_for_staff(request):
        if request.method == "POST" and _kept_as_draft(request):
            return show(
                request,
                403,
                "A new sign-in took place since this page was opened, so nothing was recorded. What you typed is"
                " kept: open the page again, and it is filled in.",
                title=_TOO_OLD,
                can_repeat=True,
            )
        return show(
            request,
            403,
            "The page you sent was too old, or your browser refuses the portal's cookies. Nothing was recorded."
            " Open the page again and send it once more; allow cookies for this site if it happens again.",
            title=_TOO_OLD,
            can_repeat=True,
        )
    return HttpResponse(
        _rendered(request, "403_csrf.html", {"title": "Not recorded", "lead": "", "start": "/"}),
        status=403,
    )


def _kept_as_draft(request: HttpRequest) -> bool:
    # Here: the error pages themselves ask no database, and must be loaded before the models are.
    from common import drafts  # noqa: PLC0415

    try:
        return drafts.keep_without_session(request)
    except DatabaseError:
        return False


# --- Errors that are no exceptions --------------------------------------------------------------


class ErrorPageMiddleware:
    """Gives a page to an error that is answered with bare words or none: a method refused, a sign-in held back."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if not _is_bare(request, response):
            return response
        assert isinstance(response, HttpResponse)
        kept = {
            name: value
            for name, value in response.items()
            if name.lower() not in ("content-type", "content-length")
        }
        page = show(request, response.status_code, _words_of(response), headers=kept)
        page.cookies = response.cookies
        return page


def _is_bare(request: HttpRequest, response: HttpResponseBase) -> bool:
    if response.status_code < 400 or response.streaming or problems.in_api(request):
        return False
    media_type = response.get("Content-Type", "").partition(";")[0]
    if not isinstance(response, HttpResponse) or media_type not in ("", "text/html", "text/plain"):
        return False
    return b"<html" not in response.content[:1000].lower()


def _words_of(response: HttpResponse) -> str:
    text = response.content.decode(errors="replace").strip()
    return "" if re.search(r"[<>]", text) else text
