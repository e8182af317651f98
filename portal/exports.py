"""Lists as files: CSV for people, who open it in a spreadsheet, so that no cell is taken for a formula; NDJSON for
programs. A file whose digest is on record is built as a whole before anybody gets a byte.
"""

import base64
import csv
import datetime as dt
import hashlib
import io
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain
from typing import IO

from django.http import FileResponse, StreamingHttpResponse
from django.utils.http import content_disposition_header

from portal import canonical, words

BLOCK = 32 * 1024
# A cell ends at a semicolon where the decimal sign is a comma, so a formula may also begin after one.
# Spreadsheets look past spaces, quotes and apostrophes, and read full-width signs like the plain ones; what
# else takes no room (joiners, soft hyphens, variation selectors) is looked past here to be sure.
_FORMULA = re.compile(
    r"""(^|;)(?=[\s"'\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200c\u200d\u2060-\u2065\u3164\ufe00-\ufe0f]*"""
    r"""[=+\-@＝＋－＠﹦﹢﹣﹫−])"""
)


def csv_lines(header: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[bytes]:
    """CSV (RFC 4180) in UTF-8, in blocks; takes the rows one at a time.

    It begins with a byte order mark: without one spreadsheets misread every name with an accent.
    """
    buffer = io.StringIO("\ufeff")
    buffer.seek(0, io.SEEK_END)
    writer = csv.writer(buffer)
    for row in chain([header], rows):
        writer.writerow([as_cell(value) for value in row])
        if buffer.tell() >= BLOCK:
            yield _taken(buffer)
    yield _taken(buffer)


def as_cell(value: object) -> str:
    """A value as one cell on one line.

    Nothing is empty, yes and no are words, days and times are ISO 8601, numbers stay numbers. Text gets an
    apostrophe where a formula could begin, and spaces for its newlines and tabs: a tool that splits at
    them would otherwise see rows and cells that somebody typed.
    """
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case int() | float() | Decimal():
            return str(value)
        case dt.date() | dt.time():
            return value.isoformat()
    text = words.visible(str(value))
    return _FORMULA.sub(r"\1'", text.replace("\n", " ").replace("\t", " "))


def csv_response(
    filename: str, header: Sequence[str], rows: Iterable[Sequence[object]]
) -> StreamingHttpResponse:
    """The rows as a file to keep: never shown by a browser, never cached."""
    return StreamingHttpResponse(
        csv_lines(header, rows),
        headers={
            "Content-Type": "text/csv; charset=utf-8",
            "Content-Disposition": content_disposition_header(True, filename) or "attachment",
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
        },
    )


def _taken(buffer: io.StringIO) -> bytes:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text.encode()


# --- Files with a digest ------------------------------------------------------------------------

CSV, NDJSON = "csv", "ndjson"
MEDIA_TYPES = {CSV: "text/csv; charset=utf-8", NDJSON: "application/x-ndjson"}


def ndjson_lines(header: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[bytes]:
    """An object a line, in canonical form: every value as it is, times in UTC, nothing is null."""
    for row in rows:
        yield canonical.dumps(dict(zip(header, row, strict=True))) + b"\n"


@dataclass(frozen=True)
class Built:
    """A whole file, written and not given out yet. Close it, or answer with it."""

    form: str
    file: IO[bytes]
    count: int
    """Rows."""
    digest: bytes
    """SHA-256 of all of it."""


def build(form: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> Built:
    """The rows in a temporary file, which goes when it is closed."""
    count = 0

    def counted() -> Iterator[Sequence[object]]:
        nonlocal count
        for row in rows:
            count += 1
            yield row

    lines = csv_lines if form == CSV else ndjson_lines
    digest = hashlib.sha256()
    file = tempfile.TemporaryFile()  # noqa: SIM115  whoever answers with it closes it
    try:
        for block in lines(header, counted()):
            digest.update(block)
            file.write(block)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return Built(form, file, count, digest.digest())


def built_response(built: Built, name: str) -> FileResponse:
    """The file, with its digest in a header (RFC 9530): never shown by a browser, never cached."""
    return FileResponse(
        built.file,
        as_attachment=True,
        filename=f"{name}.{built.form}",
        content_type=MEDIA_TYPES[built.form],
        headers={
            "Repr-Digest": f"sha-256=:{base64.b64encode(built.digest).decode()}:",
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
        },
    )
