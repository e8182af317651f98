"""Giving out a stored file: with its length, so that a cut is seen, and in parts, so that it can be resumed.

The one place that answers with a file (RFC 9110, 13 and 14; RFC 9530).
"""

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import content_disposition_header, parse_etags

from common.api.problems import problem

BLOCK = 64 * 1024


@dataclass(frozen=True)
class Span:
    """A part of a file: from `start`, `length` bytes."""

    start: int
    length: int


class Unsatisfiable(Exception):
    """No byte of the file is in the range asked for (416)."""


def span(header: str, size: int) -> Span | None:
    """The span a Range header names; None when the whole is to be sent (RFC 9110, 14.2).

    Several ranges, other units and what is no range at all give the whole, as the RFC allows.
    """
    unit, _, ranges = header.partition("=")
    first, dash, last = ranges.strip().partition("-")
    numbers = [text for text in (first, last) if text]
    readable = all(text.isascii() and text.isdecimal() and len(text) < 19 for text in numbers)
    if unit.strip().lower() != "bytes" or not dash or not numbers or not readable:
        return None
    if not first:
        length = min(int(last), size)
        if not length:
            raise Unsatisfiable
        return Span(size - length, length)
    start = int(first)
    end = min(int(last), size - 1) if last else size - 1
    if last and int(last) < start:
        return None
    if start >= size:
        raise Unsatisfiable
    return Span(start, end - start + 1)


def blocks(file: IO[bytes], part: Span) -> Iterator[bytes]:
    """The part's bytes; closes the file."""
    with file:
        file.seek(part.start)
        left = part.length
        while left and (block := file.read(min(BLOCK, left))):
            left -= len(block)
            yield block


def repr_digest(digest: str) -> str:
    """The header `Repr-Digest` (RFC 9530) for a SHA-256 in hexadecimal: of the whole, also beside a part of it."""
    return f"sha-256=:{base64.b64encode(bytes.fromhex(digest)).decode()}:"


def kept_by_browser(name: str, media_type: str) -> dict[str, str]:
    """Headers under which a browser keeps a file, does not look into it, and caches nothing."""
    return {
        "Content-Disposition": content_disposition_header(True, name) or "attachment",
        "Content-Type": media_type,
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }


@dataclass(frozen=True)
class Stored:
    """An open file that was checked against its SHA-256."""

    file: IO[bytes]
    size: int
    digest: str
    name: str
    media_type: str


def is_known(request: HttpRequest, digest: str) -> bool:
    """Whether the caller has the file already (If-None-Match)."""
    known = [
        tag.removeprefix("W/") for tag in parse_etags(request.headers.get("If-None-Match", ""))
    ]
    return "*" in known or f'"{digest}"' in known


def not_modified(digest: str, headers: Mapping[str, str] | None = None) -> HttpResponse:
    """304, with the `ETag` that the caller knows; `headers` say more, or name it in another form."""
    said = {"ETag": f'"{digest}"', "Cache-Control": "no-store", **(headers or {})}
    return HttpResponse(status=304, headers=said)


def response(
    request: HttpRequest, stored: Stored, headers: Mapping[str, str] | None = None
) -> HttpResponseBase:
    """The file or the part that was asked for; closes the file.

    304 when the caller has it (If-None-Match), 412 when it is not the one the caller means (If-Match), 416 for a range
    without a byte. A range of another version (If-Range) gives the whole.
    """
    etag = f'"{stored.digest}"'
    expected = parse_etags(request.headers.get("If-Match", ""))
    if expected and "*" not in expected and etag not in expected:
        stored.file.close()
        return problem(
            412, "The file has been replaced by another one.", name="precondition_failed"
        )
    if is_known(request, stored.digest):
        stored.file.close()
        return not_modified(stored.digest)
    asked = request.headers.get("Range", "") if request.method == "GET" else ""
    if request.headers.get("If-Range", etag) != etag:
        asked = ""
    try:
        part = span(asked, stored.size)
    except Unsatisfiable:
        stored.file.close()
        return problem(
            416, "No byte of the file is in this range.", name="range_not_satisfiable",
            headers={"Content-Range": f"bytes */{stored.size}"},
        )  # fmt: skip
    sent = part or Span(0, stored.size)
    said = {
        **kept_by_browser(stored.name, stored.media_type),
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Repr-Digest": repr_digest(stored.digest),
        "Content-Length": str(sent.length),
        **(headers or {}),
    }
    if part is not None:
        said["Content-Range"] = f"bytes {part.start}-{part.start + part.length - 1}/{stored.size}"
    if request.method == "HEAD":
        stored.file.close()
        return HttpResponse(headers=said)
    return StreamingHttpResponse(
        blocks(stored.file, sent), status=206 if part else 200, headers=said
    )
