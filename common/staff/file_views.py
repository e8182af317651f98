"""Doors to made files: what the API answers, and the admin's page of a file."""

import io
from collections.abc import Mapping
from typing import IO, Any

from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.views.decorators.http import require_GET

from common import tasks
from common.choices import FileState
from common.files import made_files, serving
from common.models import MadeFile
from common.processes import hints
from common.staff.site import page, staff

RETRY_AFTER = 2
"""Seconds after which it is worth asking again."""
SHORT = 4 * 2**20
"""Bytes that a request may make by itself."""


def asked(kind: str, parameters: Mapping[str, Any], user: User) -> MadeFile:
    """The file or its place in the queue; a worker is told."""
    row = made_files.ask(kind, parameters, owner=user)
    if row.state == FileState.WAITING and not row.attempts:
        # Celery is a hint: without a broker this costs a log line, and the sweep makes the file.
        hints.after_commit(tasks.make_file, row.pk)
    return row


def answer(
    request: HttpRequest, kind: str, parameters: Mapping[str, Any], user: User, *, location: str
) -> HttpResponseBase:
    """The file (200, 206), or 202 while it is being made: ask `location` again after `Retry-After` seconds.

    The caller has asked who may have it.
    """
    row = asked(kind, parameters, user)
    if row.state != FileState.READY:
        return JsonResponse(
            {"state": row.state, "written": row.written, "attempts": row.attempts},
            status=202,
            headers={
                "Location": location,
                "Retry-After": str(RETRY_AFTER),
                "Cache-Control": "no-store",
            },
        )
    return given(request, row, user)


def short_or_asked(
    request: HttpRequest, kind: str, parameters: Mapping[str, Any], user: User, *, location: str
) -> HttpResponseBase:
    """A file that the request can make is given at once; of a longer one what `answer` says. The read is on record."""
    made = made_files.make_at_once(kind, parameters, max_bytes=SHORT)
    if made is None:
        return answer(request, kind, parameters, user, location=location)
    row, data = made
    return _response(request, row, io.BytesIO(data))


def given(request: HttpRequest, row: MadeFile, user: User) -> HttpResponseBase:
    """The made file; the download is recorded first. Raises ReadNotRecorded, FileGone."""
    file = made_files.opened(row)
    try:
        made_files.maker_of(row.kind).record(user, row)
    except BaseException:
        file.close()
        raise
    return _response(request, row, file)


def _response(request: HttpRequest, row: MadeFile, file: IO[bytes]) -> HttpResponseBase:
    maker = made_files.maker_of(row.kind)
    stored = serving.Stored(
        file, row.size, row.digest, maker.name(row.parameters), maker.media_type(row.parameters)
    )
    return serving.response(request, stored, maker.headers(row))


# --- Pages --------------------------------------------------------------------------------------


def page_of(row: MadeFile) -> str:
    return reverse("admin:portal_file", args=[row.key])


def sent_to_page(kind: str, parameters: Mapping[str, Any], user: User) -> HttpResponse:
    """Ask for the file and lead to its page. Raises FileNotMade, FileRefused, FileQuota."""
    return HttpResponseRedirect(page_of(asked(kind, parameters, user)))


def _row(request: HttpRequest, key: str) -> MadeFile:
    """The file, to the person who may have it now."""
    row = made_files.by_key(key)
    maker = made_files.maker_of(row.kind)
    if not maker.lasts and row.owner_id != staff(request).pk:
        raise PermissionDenied
    maker.check_access(staff(request), row.parameters)
    return row


@require_GET
def file_page(request: HttpRequest, key: str) -> HttpResponse:
    """How far a file is, and where it is once it is made. The page asks again by itself."""
    row = _row(request, key)
    maker = made_files.maker_of(row.kind)
    state = FileState(row.state)
    if state == FileState.READY and not made_files.is_there(row):
        state = FileState.ENDED
    response = page(
        request,
        "admin/common/file.html",
        title=maker.title(row.parameters),
        file=row,
        state=state.value,
        name=maker.name(row.parameters),
        download=reverse("admin:portal_file_download", args=[key]),
        back=maker.back(row.parameters),
        retry_after=RETRY_AFTER,
    )
    response["Cache-Control"] = "no-store"
    return response


def download(request: HttpRequest, key: str) -> HttpResponseBase:
    if request.method not in ("GET", "HEAD"):
        return HttpResponse(status=405, headers={"Allow": "GET, HEAD"})
    return given(request, _row(request, key), staff(request))
