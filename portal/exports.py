"""CSV for people, who open it in a spreadsheet: streamed, and no cell is taken for a formula."""

import csv
import datetime as dt
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import chain

from django.http import StreamingHttpResponse
from django.utils.http import content_disposition_header

from portal import words

BLOCK = 32 * 1024
# A cell ends at a semicolon where the decimal sign is a comma, so a formula may also begin after one.
# Spreadsheets look past spaces, quotes and apostrophes, and read full-width signs like the plain ones.
_FORMULA = re.compile(r"""(^|;)(?=[\s"']*[=+\-@＝＋－＠])""")


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
