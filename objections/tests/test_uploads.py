"""What may be attached, under which name it is kept, where it is stored and how it is given out.

The pictures are the smallest of their kind, so that a case can break one part of them.
"""

import datetime as dt
import os
import re
import stat
import struct
import zlib

import pytest
from django.http import FileResponse
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import InvalidInput, NotFound
from objections.ticket import uploads


def png(width=1, height=1, first=b"IHDR"):
    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(first, struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(b"\0\0"))
        + chunk(b"IEND", b"")
    )


def segment(marker, data):
    return bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data


START = b"\xff\xd8"
TABLE = segment(0xC4, b"\x00" + bytes(16))
FRAME = segment(0xC0, b"\x08\x00\x01\x00\x01\x01\x01\x11\x00")
SCAN = segment(0xDA, b"\x01\x01\x00\x00\x3f\x00") + b"\x12\x34"
END = b"\xff\xd9"
EXIF = segment(0xE1, b"Exif\x00\x00 at 53.35 N, 6.26 W \xff\xd9")

PDF = (
    b"%PDF-1.7\n1 0 obj <</Type /Catalog>> endobj\n"
    b"xref\n0 2\n0000000000 65535 f \n0000000009 00000 n \ntrailer <</Root 1 0 R /Size 2>>\nstartxref\n43\n%%EOF\n"
)
PNG = png()
JPEG = START + EXIF + TABLE + FRAME + SCAN + END
TEXT = "I object – Zoë, אני מתנגד\r\n\tAbs. 2\n".encode()
HTML = b"<!DOCTYPE html><script>alert(1)</script>"
TYPES = [
    pytest.param("letter.pdf", PDF, "application/pdf", id="pdf"),
    pytest.param("screen.png", PNG, "image/png", id="png"),
    pytest.param("photo.jpg", JPEG, "image/jpeg", id="jpeg"),
    pytest.param("note.txt", TEXT, "text/plain", id="text"),
]


@pytest.fixture(autouse=True)
def store(settings, tmp_path):
    settings.ATTACHMENT_DIR = tmp_path / "attachments"
    return settings.ATTACHMENT_DIR


def refusal_of(name, data):
    with pytest.raises(InvalidInput) as refusal:
        uploads.check(name, data)
    assert refusal.value.field == "attachments"
    return refusal.value


# --- What it is ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "data", "media_type"), TYPES)
def test_a_file_is_what_its_content_shows_and_is_not_altered(name, data, media_type):
    assert uploads.check(name, data) == uploads.Upload(name, media_type, data)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        pytest.param("a.pdf", PDF + b"\0" * 4096, id="a PDF that fills its sector"),
        pytest.param("a.pdf", b"%PDF-2.0" + PDF[8:], id="a PDF 2.0"),
        pytest.param("a.jpg", START + b"\xff" + JPEG[2:], id="a JPEG with padding"),
        pytest.param("a.jpg", JPEG + b"motion photo", id="a JPEG with more behind its end"),
        # Harmless for us: it is given out as a download of bytes, which no browser looks into.
        pytest.param("a.png", PNG + HTML, id="a PNG with HTML behind its end"),
        pytest.param("a.txt", b"\xef\xbb\xbfI object", id="text with a byte order mark"),
        pytest.param("a.txt", b"<zoe@example.org> wrote:\n> no", id="a quoted mail"),
        pytest.param("a.txt", b"a < b, <abbr>", id="text with angle brackets"),
        pytest.param("a.txt", b"see <html> and %!PS", id="text that speaks of markup"),
        pytest.param("a.txt", b"=1+1", id="text that would be a formula"),
        pytest.param("a.txt", "\u202egpj.exe".encode(), id="text that turns its direction"),
        pytest.param("a.txt", b"x" * 100_000, id="a word of 100 kB"),
    ],
)
def test_unusual_files_that_are_taken(name, data):
    assert uploads.check(name, data).data == data


DAMAGED = "is damaged or cut off."
HUGE = "has more pixels than can be shown safely."
NO_TEXT = "is not a PDF or image, and not text in UTF-8."
CONTROLS = "is not a PDF or image, and contains control characters."


@pytest.mark.parametrize(
    ("name", "data", "fault"),
    [
        pytest.param("a.pdf", PDF[:-7], DAMAGED, id="a PDF without its end"),
        pytest.param("a.pdf", b"%PDF-1.7 %%EOF", DAMAGED, id="a PDF without its table"),
        pytest.param("a.pdf", b"%PDF-9.x" + PDF[8:], DAMAGED, id="a PDF of no version"),
        pytest.param("a.pdf", PDF + HTML * 30, DAMAGED, id="a PDF whose end is far before the end"),
        pytest.param("a.png", PNG[:40], DAMAGED, id="a PNG without its end"),
        pytest.param("a.png", PNG[:8] + HTML, DAMAGED, id="HTML behind a PNG's signature"),
        pytest.param("a.png", png(first=b"tEXt"), DAMAGED, id="a PNG that begins with words"),
        pytest.param("a.png", png(width=0), DAMAGED, id="a PNG without width"),
        pytest.param("a.png", png(height=0), DAMAGED, id="a PNG without height"),
        pytest.param("a.png", PNG[:29] + b"\0\0\0\0" + PNG[33:], DAMAGED, id="a PNG's wrong sum"),
        pytest.param(
            "a.png", PNG[:-20] + b"\1" + PNG[-19:], DAMAGED, id="a PNG with a changed byte"
        ),
        pytest.param("a.png", png(20_000, 20_000), HUGE, id="a picture of 400 million pixels"),
        pytest.param("a.jpg", JPEG[:-2], DAMAGED, id="a JPEG without its end"),
        pytest.param("a.jpg", START + TABLE + SCAN + END, DAMAGED, id="a JPEG without a frame"),
        pytest.param("a.jpg", START + FRAME + END, DAMAGED, id="a JPEG without a scan"),
        pytest.param("a.jpg", START + b"\xff" + HTML, DAMAGED, id="HTML behind a JPEG's start"),
        pytest.param("a.jpg", START + b"\xff" * 9, DAMAGED, id="nothing but padding"),
        pytest.param("a.gif", b"GIF89a\x01\x00\x01\x00", CONTROLS, id="a GIF"),
        pytest.param("a.zip", b"PK\x03\x04", CONTROLS, id="a ZIP"),
        pytest.param("a.exe", b"MZ\x90\x00", NO_TEXT, id="a program"),
        pytest.param("a.txt", "Zoë".encode("latin-1"), NO_TEXT, id="text in Latin-1"),
        pytest.param("a.txt", "Zoë".encode("utf-16"), NO_TEXT, id="text in UTF-16"),
        pytest.param("a.txt", b"\xed\xa0\x80", NO_TEXT, id="half of a surrogate pair"),
        pytest.param("a.txt", b"a\x00b", CONTROLS, id="text with a NUL"),
        pytest.param("a.txt", b"a\x1b[31m", CONTROLS, id="text that paints a terminal"),
        pytest.param("a.txt", "a\x9b31m".encode(), CONTROLS, id="the same in one character"),
    ],
)
def test_a_file_of_no_type_we_take_is_refused_with_the_types_we_take(name, data, fault):
    refusal = refusal_of(name, data)

    assert str(refusal) == (f"“{name}” {fault} Attach {uploads.ALLOWED}.")
    assert refusal.code == "wrong_type"


@pytest.mark.parametrize(
    ("data", "start"),
    [
        (HTML, "<!DOCTYPE"),
        (b"\xef\xbb\xbf \r\n\t<HTML>", "<HTML>"),
        (b"<svg onload=alert(1)>", "<svg"),
        (b"<svg/onload=alert(1)>", "<svg/"),
        (b"<script\n>", "<script"),
        (b"<!-- x -->", "<!--"),
        (b"<?xml version='1.0'?>", "<?xml"),
        (b"<?php system('x');", "<?php"),
        (b"<b>bold</b>", "<b>"),
        (b"%!PS-Adobe-3.0", "%!PS"),
        (b"\n" + PDF, "%PDF-"),
        (b"{\\rtf1 x}", "{\\rtf"),
        (b"#!/bin/sh", "#!"),
    ],
)
@pytest.mark.parametrize("name", ["a.txt", "a.pdf", "a"])
def test_a_document_that_poses_as_text_is_refused_whatever_its_name(name, data, start):
    refusal = refusal_of(name, data)

    assert str(refusal).startswith(
        f"“{name}” begins with {start}: it is no plain text but a document or a program."
    )
    assert refusal.code == "wrong_type"


@pytest.mark.parametrize("data", [b"", b" \r\n\t "])
def test_an_empty_file_is_refused(data):
    refusal = refusal_of("a.txt", data)

    assert (str(refusal), refusal.code) == ("“a.txt” is empty.", "empty")


def test_a_file_of_the_largest_size_is_taken():
    assert len(uploads.check("a.txt", b"x" * uploads.MAX_BYTES).data) == 4 * 1024 * 1024


def test_a_larger_file_is_refused_with_both_sizes():
    refusal = refusal_of("a.txt", b"x" * (uploads.MAX_BYTES + 2**19))

    assert (str(refusal), refusal.code) == ("“a.txt” has 4.5 MiB; at most 4 MiB.", "too_large")


def test_as_many_files_as_may_come_together_are_taken():
    checked = uploads.check_all([("a.txt", b"a"), ("b.png", PNG)] + [("c.pdf", PDF)] * 3)

    assert [upload.name for upload in checked] == ["a.txt", "b.png", "c.pdf", "c.pdf", "c.pdf"]


def test_one_file_more_is_refused():
    with pytest.raises(InvalidInput, match=r"^At most 5 files; these are 6\.$") as refusal:
        uploads.check_all([("a.txt", b"a")] * 6)

    assert (refusal.value.field, refusal.value.code) == ("attachments", "too_many")


# --- Under which name it is kept ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        (
            "a.png",
            JPEG,
            "is a JPEG picture, but its name ends in .png, not in .jpg or .jpeg or .jfif",
        ),
        ("a.exe", PDF, "is a PDF, but its name ends in .exe, not in .pdf"),
        ("a.pdf.exe", PDF, "is a PDF, but its name ends in .exe, not in .pdf"),
        ("a.HTML", TEXT, "is plain text, but its name ends in .html, not in .txt or .text"),
        ("a.pdf", TEXT, "is plain text, but its name ends in .pdf, not in .txt or .text"),
        ("a.exe. ", PDF, "is a PDF, but its name ends in .exe, not in .pdf"),
        ("a.e\u202exe", PDF, "is a PDF, but its name ends in .exe, not in .pdf"),
    ],
)
def test_a_name_that_speaks_of_another_type_is_refused(name, data, sentence):
    refusal = refusal_of(name, data)

    assert str(refusal).endswith(f"” {sentence}.")
    assert refusal.code == "wrong_name"


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        pytest.param("letter.pdf", "letter.pdf", id="plain"),
        pytest.param("Letter.PDF", "Letter.pdf", id="capitals"),
        pytest.param("letter", "letter.pdf", id="no extension"),
        pytest.param("J. Smith", "J. Smith.pdf", id="a full stop that begins no extension"),
        pytest.param("", "attachment.pdf", id="nothing"),
        pytest.param("...", "attachment.pdf", id="dots"),
        pytest.param(".pdf", "pdf.pdf", id="nothing but an extension"),
        pytest.param("../../x", "x.pdf", id="path traversal"),
        pytest.param("../../x.pdf", "x.pdf", id="path traversal with an extension"),
        pytest.param("..\\..\\x.pdf", "x.pdf", id="path traversal on Windows"),
        pytest.param("C:\\x", "x.pdf", id="a path on Windows"),
        pytest.param("C:x.pdf", "C_x.pdf", id="a drive"),
        pytest.param("/etc/passwd", "passwd.pdf", id="an absolute path"),
        pytest.param("dir/", "attachment.pdf", id="a directory"),
        pytest.param("a\x00.pdf", "a.pdf", id="NUL"),
        pytest.param("a\r\nSet-Cookie: b=c.pdf", "a Set-Cookie_ b=c.pdf", id="a header"),
        pytest.param('a"; filename="b.pdf', "a_; filename=_b.pdf", id="quotes"),
        pytest.param(
            "<img src=x onerror=alert(1)>.pdf", "_img src=x onerror=alert(1)_.pdf", id="HTML"
        ),
        pytest.param("\u202efdp.annual.pdf", "fdp.annual.pdf", id="a turned direction"),
        pytest.param("-rf.pdf", "rf.pdf", id="an option"),
        pytest.param(".bashrc.pdf", "bashrc.pdf", id="a hidden file"),
        pytest.param(" Zoe\u0308 \t Brief .pdf ", "Zoë Brief.pdf", id="accents and spaces"),
        pytest.param("מכתב.pdf", "מכתב.pdf", id="Hebrew"),
        pytest.param("x" * 100_000 + ".pdf", "x" * 96 + ".pdf", id="100 kB"),
        pytest.param("a\ud800b.pdf", "ab.pdf", id="half of a surrogate pair"),
    ],
)
def test_the_name_that_is_kept(name, kept):
    assert uploads.check(name, PDF).name == kept


@given(st.text(st.characters()) | st.text('./\\ \r\n:"-p\u202e\u0958é', max_size=300))
def test_any_name_is_kept_harmless_or_refused(name):
    try:
        kept = uploads.check(name, PDF).name
    except InvalidInput as refusal:
        assert refusal.code == "wrong_name"
        return

    assert re.fullmatch(r'[^./\\:"\s\x00-\x1f\u202e-][^/\\:"\x00-\x1f\u202e]{0,95}\.pdf', kept)
    assert uploads.check(kept, PDF).name == kept


# --- Storage ------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "data", "media_type"), TYPES)
def test_what_is_stored_can_be_read_again(name, data, media_type):
    key = uploads.store(uploads.check(name, data))

    with uploads.open_file(key) as file:
        assert file.read() == data


def test_a_file_lies_under_a_random_key_for_the_portal_alone(store):
    upload = uploads.check("letter.pdf", PDF)

    keys = [uploads.store(upload), uploads.store(upload)]

    assert keys[0] != keys[1]
    assert all(re.fullmatch("[0-9a-f]{32}", key) for key in keys)
    assert {path for path in store.rglob("*") if path.is_file()} == {
        store / key[:2] / key for key in keys
    }
    path = store / keys[0][:2] / keys[0]
    modes = [stat.S_IMODE(place.stat().st_mode) for place in (path, path.parent, store)]
    assert modes == [0o600, 0o700, 0o700]


def test_files_lie_outside_what_is_served(settings):
    attachments = settings.DATA_DIR / "attachments"

    for served in [settings.STATIC_ROOT, *settings.STATICFILES_DIRS]:
        assert not attachments.is_relative_to(served)
        assert not served.is_relative_to(attachments)


def test_nothing_stays_of_a_file_that_could_not_be_written(store, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(OSError, match="No space left"):
        uploads.store(uploads.check("letter.pdf", PDF))
    assert [path for path in store.rglob("*") if path.is_file()] == []


BAD_KEYS = [
    "",
    "../../etc/passwd",
    "/etc/passwd",
    "0" * 31,
    "0" * 33,
    "0" * 32 + "\n",
    "A" * 32,
    "٠" * 32,
    "00/" + "0" * 29,
    "\x00" * 32,
]


@pytest.mark.parametrize("key", BAD_KEYS)
def test_what_is_no_key_is_not_looked_for(key):
    with pytest.raises(NotFound):
        uploads.open_file(key)
    with pytest.raises(NotFound):
        uploads.remove(key)


def test_a_key_without_a_file_is_not_found():
    with pytest.raises(NotFound, match=r"^There is no such file\.$"):
        uploads.open_file("0" * 32)


def test_a_removed_file_is_gone_and_may_be_removed_again(store):
    gone, kept = (uploads.store(uploads.check("letter.pdf", PDF)) for _ in range(2))

    uploads.remove(gone)
    uploads.remove(gone)

    with pytest.raises(NotFound):
        uploads.open_file(gone)
    assert [path.name for path in store.rglob("*") if path.is_file()] == [kept]


def test_files_are_listed_by_their_age(store):
    old, new = (uploads.store(uploads.check("letter.pdf", PDF)) for _ in range(2))
    yesterday = dt.datetime.now().timestamp() - 25 * 3600
    os.utime(store / old[:2] / old, (yesterday, yesterday))
    (store / old[:2] / "README").touch()
    os.utime(store / old[:2] / "README", (yesterday, yesterday))

    assert list(uploads.stored_before(dt.timedelta(days=1))) == [old]
    assert set(uploads.stored_before(dt.timedelta(0))) == {old, new}


def test_without_a_store_there_are_no_files():
    assert list(uploads.stored_before(dt.timedelta(0))) == []


# --- How it is given out ------------------------------------------------------------------------


def test_a_download_is_bytes_that_no_browser_looks_into():
    assert uploads.download_headers("letter.pdf", "application/pdf") == {
        "Content-Disposition": 'attachment; filename="letter.pdf"',
        "Content-Type": "application/octet-stream",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "Cross-Origin-Resource-Policy": "same-origin",
    }


@pytest.mark.parametrize(
    ("name", "disposition"),
    [
        ("Zoë's letter.pdf", "attachment; filename*=utf-8''Zo%C3%AB%27s%20letter.pdf"),
        ('a"\r\nSet-Cookie: b=c.pdf', 'attachment; filename="a_ Set-Cookie_ b=c.pdf"'),
        ("../x.html", 'attachment; filename="x.html.pdf"'),
        ("", 'attachment; filename="attachment.pdf"'),
        ("\u202efdp.pdf", 'attachment; filename="fdp.pdf"'),
    ],
)
def test_no_name_reaches_a_header_as_it_was_sent(name, disposition):
    headers = uploads.download_headers(name, "application/pdf")

    assert headers["Content-Disposition"] == disposition


@pytest.mark.django_db  # closing an answer looks after the connections
@pytest.mark.parametrize("data", [HTML, PDF], ids=["html", "pdf"])
def test_the_headers_survive_the_answer_that_carries_the_file(data):
    key = uploads.store(uploads.Upload("letter.pdf", "application/pdf", data))
    headers = uploads.download_headers("letter.pdf", "application/pdf")

    answer = FileResponse(uploads.open_file(key), headers=headers)

    assert answer.headers == headers | {"Content-Length": str(len(data))}
    assert answer.getvalue() == data
    answer.close()
