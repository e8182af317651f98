"""Around every request: one line in the log, and a clear no to what cannot be read."""

import time
import uuid
from collections.abc import Callable
from urllib.parse import unquote_to_bytes

import structlog
from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.cache import patch_cache_control

from common.api import problems
from common.staff import error_pages
from ledger import open_entry
from ledger.errors import Refusal
from portal import health

logger = structlog.get_logger(__name__)
Next = Callable[[HttpRequest], HttpResponseBase]


class AliveMiddleware:
    """Answers `/healthz` before anything else is asked: no database, no session, no host name, no log line."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return health.healthz(request) if request.path == "/healthz" else self.get_response(request)


class RequestLogMiddleware:
    """Logs the route, never the path, the query, the address or the body: those carry what people typed."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        # A sender's own id could carry anything into the log, so it is always ours.
        request_id = uuid.uuid4().hex
        started = time.perf_counter()
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            response = self.get_response(request)
            match = request.resolver_match
            logger.info(
                "request",
                route=match.view_name if match else "unrouted",
                method=request.method if request.method in _METHODS else "other",
                status=response.status_code,
                user=_number_of_user(request),
                milliseconds=round((time.perf_counter() - started) * 1000, 1),
            )
        response["X-Request-ID"] = request_id
        return response


def _number_of_user(request: HttpRequest) -> int | None:
    """The number of the user, where the request has asked who it is: the log asks nothing of the database."""
    # Django keeps a session's user here once it was asked for; an endpoint puts a token's user in place of the question.
    known = (request.__dict__.get("_cached_user"), request.__dict__.get("user"))
    return next((user.pk for user in known if type(user) is User), None)


class CredentialMiddleware:
    """Entries of the ledger record by what the request could act: here a session, where a token is taken the token."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        with open_entry.acting_with(lambda: "session" if request.user.is_authenticated else ""):
            return self.get_response(request)


class NoStoreMiddleware:
    """Keeps what the API and the pages for staff say out of every cache, and off the disk of every browser."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if problems.in_api(request) or request.path_info.startswith(("/admin/", "/readyz")):
            patch_cache_control(response, no_store=True, private=True)
        return response


class RefusalMiddleware:
    """Gives the page of its status to what the portal refuses and no page tells in words of its own.

    503 with `Retry-After` where the database is away, or another holds what a page waits for.
    """

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if isinstance(error, Refusal):
            return error_pages.refused(request, error)
        return error_pages.unavailable(request, error) if problems.is_unavailable(error) else None


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class RefuseUnreadableMiddleware:
    """Refuses what would fail deep inside: NUL bytes, broken UTF-8, wrong or too large lengths."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return _refusal(request) or self.get_response(request)


def _refusal(request: HttpRequest) -> HttpResponse | None:
    query = unquote_to_bytes(request.META.get("QUERY_STRING", "").encode("latin-1", "replace"))
    # A quoted cookie can carry an escaped NUL as far as the session table.
    typed = [request.path, *request.COOKIES.values()]
    if b"\0" in query or any("\0" in text for text in typed):
        return _say(request, 400, "NUL bytes are refused.", "nul_byte")
    try:
        query.decode()
    except UnicodeDecodeError:
        return _say(request, 400, "The query is not UTF-8.", "not_utf8")
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not (length.isascii() and length.isdecimal()):
        return _say(request, 400, "Content-Length is not a number.", "bad_content_length")
    if len(length) > 15 or int(length) > settings.MAX_BODY_BYTES:
        return _too_large(request)
    return None


def _too_large(request: HttpRequest) -> HttpResponse:
    if problems.in_api(request):
        return problems.problem(
            413, f"The body is larger than {settings.MAX_BODY_BYTES} bytes.", name="too_large"
        )
    if error_pages.is_for_staff(request):
        return error_pages.show(request, 413)
    # The sender filled in a form with files: a person, who wants to know how not to lose what they typed.
    return render(request, "413.html", {"most": settings.MAX_BODY_BYTES}, status=413)


def _say(request: HttpRequest, status: int, sentence: str, code: str) -> HttpResponse:
    return error_pages.show(request, status, sentence, name=code)
