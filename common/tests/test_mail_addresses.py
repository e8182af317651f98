"""E-mail addresses as people have them, and mail to them."""

import smtplib
import socketserver
import threading

import pytest
from django.core.mail import EmailMessage
from hypothesis import given
from hypothesis import strategies as st

from common.mail.addresses import NoAddress, for_envelope, normal
from common.mail.backend import InternationalBackend


@pytest.mark.parametrize(
    ("typed", "kept", "envelope"),
    [
        ("Nora@Example.ORG", "nora@example.org", "nora@example.org"),
        (" nora+x@example.org ", "nora+x@example.org", "nora+x@example.org"),
        ("müller@bücher.example", "müller@bücher.example", "müller@xn--bcher-kva.example"),
        ("Müller@BÜCHER.example", "müller@bücher.example", "müller@xn--bcher-kva.example"),
        ("mu\u0308ller@bu\u0308cher.example", "müller@bücher.example", "müller@xn--bcher-kva.example"),
        ("nora@xn--bcher-kva.example", "nora@bücher.example", "nora@xn--bcher-kva.example"),
        ("nora@XN--BCHER-KVA.example", "nora@bücher.example", "nora@xn--bcher-kva.example"),
        ("用户@例え.jp", "用户@例え.jp", "用户@xn--r8jz45g.jp"),
        ("用户＠例え。jp", "用户@例え.jp", "用户@xn--r8jz45g.jp"),
        ("nora@straße.de", "nora@straße.de", "nora@xn--strae-oqa.de"),
        ("почта@пример.рф", "почта@пример.рф", "почта@xn--e1afmkfd.xn--p1ai"),
        ("nora.ö'brien@example.org", "nora.ö'brien@example.org", "nora.ö'brien@example.org"),
    ],
)  # fmt: skip
def test_an_address_has_one_form_and_a_domain_that_servers_take(typed, kept, envelope):
    assert normal(typed) == kept
    assert normal(kept) == kept
    assert for_envelope(kept) == envelope


@pytest.mark.parametrize(
    "text",
    [
        "", "nora", "nora@", "@example.org", "ö@", "nora@example", "ö@example", "a b@example.org",
        "ö b@example.org", "ö..b@example.org", ".ö@example.org", "ö.@example.org", "ö@-.org",
        "ö@exa mple.org", "ö\n@example.org", "ö\u202e@example.org", "ö@\u200b.org", "ö,b@example.org",
        "ö<b@example.org", "ö@example.org>", "ö@b@example.org", "nora@xn--.org", "nora@xn--a.org",
        "ö" * 33 + "@example.org", "n@" + "ü" * 60 + ".example", "ö@" + "a." * 130 + "org",
        "ö\ud800@example.org",
    ],
)  # fmt: skip
def test_what_no_letter_can_be_sent_to_is_refused(text):
    with pytest.raises((NoAddress, UnicodeEncodeError) if "\ud800" in text else NoAddress):
        normal(text)


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_text_is_an_address_that_stays_or_is_refused(local, domain):
    try:
        kept = normal(f"{local}@{domain}")
    except (NoAddress, UnicodeEncodeError):
        return
    assert normal(kept) == kept
    assert for_envelope(kept).rpartition("@")[2].isascii()


class _Smtp(socketserver.StreamRequestHandler):
    """Just enough of a mail server, which writes down what it is told."""

    def handle(self):
        said = self.server.said
        self.wfile.write(b"220 here\r\n")
        in_data = False
        for line in self.rfile:
            said.append(line)
            if in_data:
                in_data = line != b".\r\n"
                if not in_data:
                    self.wfile.write(b"250 taken\r\n")
            elif line.upper().startswith(b"EHLO"):
                extra = b"250-8BITMIME\r\n250-SMTPUTF8\r\n" if self.server.is_modern else b""
                self.wfile.write(b"250-here\r\n" + extra + b"250 SIZE\r\n")
            elif line.upper().startswith(b"DATA"):
                in_data = True
                self.wfile.write(b"354 go\r\n")
            elif line.upper().startswith(b"QUIT"):
                self.wfile.write(b"221 bye\r\n")
                return
            else:
                self.wfile.write(b"250 ok\r\n")


@pytest.fixture
def server():
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Smtp) as found:
        found.daemon_threads = True
        found.said, found.is_modern = [], True
        threading.Thread(target=found.serve_forever, args=(0.05,), daemon=True).start()
        yield found
        found.shutdown()


def sent(server, to):
    backend = InternationalBackend(host="127.0.0.1", port=server.server_address[1], timeout=5)
    EmailMessage("Grüße", "Text äöü", "portal@example.org", [to], connection=backend).send()
    return b"".join(server.said)


def test_a_mail_to_letters_of_any_script_is_sent_as_they_are(server):
    said = sent(server, "用户@例え.jp")

    assert "rcpt TO:<用户@xn--r8jz45g.jp>".encode() in said
    assert b"SMTPUTF8" in said
    assert "To: 用户@xn--r8jz45g.jp".encode() in said


def test_a_domain_of_any_script_needs_nothing_new_of_the_server(server):
    server.is_modern = False

    said = sent(server, "nora@straße.de")

    assert b"rcpt TO:<nora@xn--strae-oqa.de>" in said
    assert b"SMTPUTF8" not in said


def test_a_server_that_cannot_is_a_failure_and_no_letter_to_another_mailbox(server):
    server.is_modern = False

    with pytest.raises(smtplib.SMTPNotSupportedError):
        sent(server, "müller@bücher.example")
    assert b"RCPT" not in b"".join(server.said).upper()
