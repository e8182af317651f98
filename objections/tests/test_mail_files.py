"""Mails that people saved are taken as evidence, and stay bytes."""

from email.message import EmailMessage

import pytest

from ledger.errors import InvalidInput
from objections.ticket import uploads

PLAIN = b"From: nora@example.org\r\nSubject: My data\r\nDate: Thu, 5 Mar 2026 09:30:00 +0100\r\n\r\nI object.\r\n"


def with_parts():
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "nora@example.org", "a@example.org", "Grüße"
    mail.set_content("I object.")
    mail.add_alternative("<script>alert(1)</script>", subtype="html")
    mail.add_attachment(b"\0\1\2", maintype="application", subtype="octet-stream", filename="x.exe")
    return mail.as_bytes()


MAILS = [
    PLAIN,
    PLAIN.replace(b"\r\n", b"\n"),
    PLAIN.replace(b"\r\n", b"\r"),
    b"\xef\xbb\xbf" + PLAIN,
    b"\n" + PLAIN,
    b"From nora@example.org Thu Mar  5 09:30:00 2026\n" + PLAIN,
    PLAIN.replace(b"My data", "Möine".encode("latin-1")) + b"caf\xe9 \0 \x1b",
    b"Received: from a by b;\r\n Thu, 5 Mar 2026 09:30:00 +0100\r\n" + PLAIN,
    b"X-Mozilla-Status: 0001\r\nX-Mozilla-Status2: 00000000\r\n" + PLAIN,
    b"Subject : spaced\n" + PLAIN,
    PLAIN.partition(b"\r\n\r\n")[0] + b"\r\n",
    b"From: \"\xff\" <x@[::1]>, ;:<>\nDate: never\n\nx",
    b"Subject: =?utf-8?b?broken?=\nContent-Type: multipart/mixed; boundary=x\n\n--x\n--x\n",
    with_parts(),
    b"Date: x\n" + b"Content-Type: multipart/mixed; boundary=a\n\n--a\n" * 5_000,
    "From: 用户@例え.jp\nSubject: データ\n\n反対します".encode(),
]  # fmt: skip


@pytest.mark.parametrize("data", MAILS, ids=range(len(MAILS)))
@pytest.mark.parametrize("name", ["Re: my data.eml", "MAIL.EML"])
def test_a_saved_mail_is_taken_byte_for_byte_and_given_out_as_a_file(name, data):
    upload = uploads.check(name, data)

    assert (upload.media_type, upload.data) == ("message/rfc822", data)
    assert upload.name.lower().endswith(".eml")
    headers = uploads.download_headers(upload.name, upload.media_type)
    assert headers["Content-Type"] == "application/octet-stream"
    assert headers["Content-Disposition"].startswith("attachment")
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "data",
    [
        b"<html><body>From: x</body></html>",
        b"<!-- -->\nFrom: x\n\n",
        b"%PDF-1.7\nFrom: x\n",
        b"%!PS\nFrom: x\n",
        b"#!/bin/sh\nSubject: x\n",
        b"MZ\x90\0From: x\n\n",
        b"PK\x03\x04From: x\n\n",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1Subject: of Outlook",
        b"\x89PNG\r\n\x1a\nFrom: x\n\n",
        b"Hello, I object.\n\nFrom: nora\n",
        b"Note: nothing that a mail has\n\nx",
        b"From nora@example.org Thu Mar  5 09:30:00 2026\nno field\n",
        "From: x\n\n".encode("utf-16"),
        b" \r\n ",
    ],
)
def test_what_only_has_the_name_of_a_mail_is_refused(data):
    with pytest.raises(InvalidInput):
        uploads.check("mail.eml", data)


@pytest.mark.parametrize("name", ["mail.txt", "mail", "mail.html", "mail.exe", "mail.eml.exe"])
def test_a_mail_by_another_name_is_what_its_name_and_content_say(name):
    if name in ("mail.txt", "mail"):
        assert uploads.check(name, PLAIN.replace(b"\r\n", b"\n")).media_type == "text/plain"
    else:
        with pytest.raises(InvalidInput):
            uploads.check(name, PLAIN)
