"""Lists as files: CSV for people, who open it in a spreadsheet, so that no cell is taken for a formula; NDJSON for
programs. A file whose digest is on record is built completely before its first byte is sent.
"""

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

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from common.files import serving
from common.text import words
from ledger import canonical

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
    them would otherwise see rows and cells that a person typed.
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
) -> HttpResponse:
    """A small table as a file to keep: built as a whole, never shown by a browser, never cached."""
    return HttpResponse(
        b"".join(csv_lines(header, rows)),
        headers=serving.kept_by_browser(filename, MEDIA_TYPES[CSV]),
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
    size: int
    digest: str
    """SHA-256 of all of it, in hexadecimal."""


LINES = {CSV: csv_lines, NDJSON: ndjson_lines}


class Counted:
    """Rows that are counted as they pass."""

    def __init__(self, rows: Iterable[Sequence[object]]) -> None:
        self._rows = rows
        self.count = 0

    def __iter__(self) -> Iterator[Sequence[object]]:
        for row in self._rows:
            self.count += 1
            yield row


def build(form: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> Built:
    """The rows in a temporary file, which goes when it is closed. For short lists: the request waits for it."""
    counted = Counted(rows)
    digest = hashlib.sha256()
    size = 0
    file = tempfile.TemporaryFile()  # noqa: SIM115  the response closes it
    try:
        for block in LINES[form](header, counted):
            digest.update(block)
            size += file.write(block)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return Built(form, file, counted.count, size, digest.hexdigest())


def built_response(request: HttpRequest, built: Built, name: str) -> HttpResponseBase:
    """The file, with its length and its digest: never shown by a browser, never cached."""
    stored = serving.Stored(
        built.file, built.size, built.digest, f"{name}.{built.form}", MEDIA_TYPES[built.form]
    )
    return serving.response(request, stored)
