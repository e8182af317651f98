"""One translation of errors: they leave the API as RFC 9457 problems with a stable `code`.

Django REST framework loads this module while it loads its own views, so it must not import them.
"""

import json
import traceback
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from itertools import islice
from typing import Any

import structlog
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.exceptions import SessionInterrupted
from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.core.exceptions import ValidationError as ModelInvalid
from django.core.signals import got_request_exception
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from rest_framework import exceptions

from ledger.errors import RETRY_SECONDS, InvalidInput, Refusal

logger = structlog.get_logger(__name__)

PROBLEM = "application/problem+json"
MAX_ERRORS = 20
"""Cap on reported errors."""

CODES = {
    400: "bad_request",
    401: "not_authenticated",
    403: "permission_denied",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_media_type",
    429: "throttled",
    500: "unexpected",
}


def problem(
    code: int,
    detail: str,
    *,
    name: str = "",
    errors: Sequence[Mapping[str, str]] = (),
    reasons: Sequence[Mapping[str, object]] = (),
    headers: Mapping[str, str] | None = None,
) -> HttpResponse:
    """An RFC 9457 problem. `name` is its stable code."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(code).phrase,
        "status": code,
        "code": name or CODES.get(code, "refused"),
        "detail": detail,
    }
    if errors:
        body["errors"] = list(errors)
    if reasons:
        body["reasons"] = list(reasons)
    return HttpResponse(
        json.dumps(body).encode(), content_type=PROBLEM, status=code, headers=headers
    )


def problem_response(error: Exception, context: Mapping[str, Any]) -> HttpResponse:
    """DRF's exception handler: every error of an endpoint as a problem."""
    if isinstance(error, Refusal):
        return _portal_problem(error)
    if isinstance(error, exceptions.ValidationError):
        return _invalid(flat_errors(error))
    if isinstance(error, ModelInvalid):
        return _invalid(
            [
                {"field": field, "code": item.code or "invalid", "detail": " ".join(item.messages)}
                for field, items in error.error_dict.items()
                for item in items
            ]
        )
    if isinstance(error, Http404):
        error = exceptions.NotFound()
    elif isinstance(error, DjangoPermissionDenied):
        error = exceptions.PermissionDenied()
    if isinstance(error, exceptions.APIException):
        return _drf_problem(error)
    return _unexpected(error, context.get("request"))


def refusal(error: Refusal) -> dict[str, Any]:
    """A refusal inside a larger answer (one line of many)."""
    said: dict[str, Any] = {"code": error.code, "detail": str(error)}
    if isinstance(error, InvalidInput) and error.field:
        said["errors"] = [{"field": error.field, "code": error.code, "detail": str(error)}]
    return said


def flat_errors(error: exceptions.ValidationError) -> list[dict[str, str]]:
    """A validation error as a list of field, code and detail, MAX_ERRORS long at most."""
    return list(islice(_flat(error.get_full_details()), MAX_ERRORS))


def _portal_problem(error: Refusal) -> HttpResponse:
    if isinstance(error, InvalidInput):
        field = error.field or "body"
        return _invalid([{"field": field, "code": error.code, "detail": str(error)}])
    headers = {"Retry-After": str(error.retry_after)} if error.retry_after else {}
    return problem(
        error.status, str(error), name=error.code, reasons=error.reasons, headers=headers
    )


def _invalid(errors: list[dict[str, str]]) -> HttpResponse:
    return problem(400, "The request is not valid.", name="invalid", errors=errors)


def _drf_problem(error: exceptions.APIException) -> HttpResponse:
    headers = {}
    if getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = str(error.auth_header)  # type: ignore[attr-defined]  # set by the view
    if getattr(error, "wait", None):
        headers["Retry-After"] = str(int(error.wait))  # type: ignore[attr-defined]  # Throttled has it
    code = error.get_codes()
    general = isinstance(error, (exceptions.NotAuthenticated, exceptions.AuthenticationFailed))
    name = code if isinstance(code, str) and code != error.default_code and not general else ""
    # An error of our own may say more than "not authenticated".
    name = getattr(error, "problem_code", name)
    # DRF's sentence for a wrong media type repeats the header; ours does not.
    detail = (
        "This media type is not supported."
        if isinstance(error, exceptions.UnsupportedMediaType)
        else str(error.detail)
    )
    return problem(error.status_code, detail, name=name, headers=headers)


def _unexpected(error: Exception, request: Any) -> HttpResponse:
    """The last resort. What was sent stays out of the log: types and places only."""
    if is_unavailable(error):
        return unavailable_problem(error)
    logger.error(
        "unexpected error",
        error=type(error).__name__,
        where=[
            f"{f.filename}:{f.lineno} {f.name}" for f in traceback.extract_tb(error.__traceback__)
        ][-8:],
    )
    # Error monitors and Django's test client listen to this.
    got_request_exception.send(sender=None, request=request)
    return problem(
        500,
        "Something went wrong here; whether your request was recorded is not known. Send it again: the same"
        " source_id records it once.",
    )


# --- The database is busy or away ---------------------------------------------------------------


def is_unavailable(error: BaseException | None) -> bool:
    """Whether trying again later may help: a lock or a statement that took too long, SQLite's writer, no connection."""
    while isinstance(error, (SessionInterrupted, UpdateError)):
        # A session that could not be saved: what stopped it stands behind.
        error = error.__context__
    return isinstance(error, (OperationalError, InterfaceError))


def unavailable_problem(error: BaseException | None) -> HttpResponse:
    """The API's 503: try again in some seconds."""
    log_unavailable(error)
    return problem(
        503,
        "The database is busy or away. Try again: the same source_id records it once.",
        name="database_unavailable",
        headers={"Retry-After": str(RETRY_SECONDS)},
    )


def log_unavailable(error: BaseException | None) -> None:
    """The type and PostgreSQL's code; its text may contain personal data from the request."""
    logger.error(
        "database unavailable",
        error=type(error).__name__,
        sqlstate=getattr(getattr(error, "__cause__", None), "sqlstate", None),
    )


def _flat(details: Any, place: str = "") -> Iterator[dict[str, str]]:
    if isinstance(details, Mapping) and details.keys() == {"message", "code"}:
        yield {
            "field": place or "body",
            "code": str(details["code"]),
            "detail": str(details["message"]),
        }
    elif isinstance(details, Mapping):
        for name, inner in details.items():
            here = "" if name == "non_field_errors" else str(name)
            yield from _flat(inner, ".".join(filter(None, [place, here])))
    else:
        for inner in details:
            yield from _flat(inner, place)


def in_api(request: HttpRequest) -> bool:
    return request.path_info.startswith("/api/")
