"""A checkpoint verifies in whatever form a person saved the mail that brought it."""

import base64
import quopri
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outsider import verify, witness
from tools.sample_export import ATTACKERS, REAL

LEAVES = [verify.leaf_hash(b"%d" % number) for number in range(12)]
NOTE = REAL.checkpoint(LEAVES)
TEXT = NOTE.decode()
MAIL = f"Keep what stands below this line.\n\n{TEXT}\nhttps://portal.example\n-- \nThe portal\n"


def mail(body=MAIL, **how):
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = (
        "portal@example.org",
        "ada@example.org",
        "Checkpoint",
    )
    made.set_content(body, **how)
    return made


def with_html():
    made = EmailMessage()
    made["Subject"] = "Checkpoint"
    lines = "<br>\r\n".join(MAIL.replace("\u2014", "&mdash;").split("\n"))
    made.set_content(
        f"<html><style>p {{}}</style><body><p>{lines}</p></body></html>", subtype="html"
    )
    return made.as_bytes()


def alternatives():
    made = mail(cte="quoted-printable")
    made.add_alternative(f"<pre>{MAIL}</pre>", subtype="html")
    made.add_attachment(b"\0\1", maintype="application", subtype="octet-stream")
    return made.as_bytes()


def flowed():
    header = (
        b"Subject: Checkpoint\r\nContent-Type: text/plain; charset=utf-8; format=flowed\r\n\r\n"
    )
    return header + MAIL.replace("\u2014 ", "\u2014 \n").replace("\n", "\r\n").encode()


FORMS = {
    "as it is": NOTE,
    "CRLF": NOTE.replace(b"\n", b"\r\n"),
    "CR": NOTE.replace(b"\n", b"\r"),
    "a byte order mark": b"\xef\xbb\xbf" + NOTE,
    "both": b"\xef\xbb\xbf" + NOTE.replace(b"\n", b"\r\n"),
    "UTF-16": TEXT.encode("utf-16"),
    "a Windows code page": TEXT.encode("cp1252"),
    "without the last line break": NOTE[:-1],
    "more empty lines": b"\n\n" + NOTE + b"\n\n",
    "spaces at the ends": NOTE.replace(b"\n", b" \n"),
    "an en dash": TEXT.replace("\u2014", "\u2013").encode(),
    "two hyphens": TEXT.replace("\u2014", "--").encode(),
    "the words of the mail": MAIL.encode(),
    "quoted": "".join(f"> {line}\n" for line in MAIL.split("\n")).encode(),
    "8bit": mail(cte="8bit").as_bytes(),
    "quoted-printable": mail(cte="quoted-printable").as_bytes(),
    "base64": mail(cte="base64").as_bytes(),
    "an eml of Windows": b"\xef\xbb\xbf" + mail(cte="base64").as_bytes().replace(b"\n", b"\r\n"),
    "HTML alone": with_html(),
    "alternatives": alternatives(),
    "flowed": flowed(),
    "forwarded": EmailMessage().as_bytes()
    + b"Content-Type: message/rfc822\n\n"
    + mail(cte="base64").as_bytes(),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("script", [verify, witness])
def test_a_checkpoint_verifies_in_the_form_it_was_saved_in(script, form):
    note = script.note_given(FORMS[form])

    found = script.ledger_checkpoint_from(note, [script.key_from(REAL.verifier_key)], "the mail")

    assert (found.size, note) == (len(LEAVES), NOTE)


def test_the_witness_takes_a_saved_mail_and_keeps_the_note(tmp_path, capsys):
    (tmp_path / "mail.eml").write_bytes(FORMS["an eml of Windows"])
    options = [str(tmp_path / "state"), "--key", REAL.verifier_key]

    code = witness.main([*options, "--checkpoint", str(tmp_path / "mail.eml")])

    assert (code, capsys.readouterr().err) == (0, "")
    assert (tmp_path / "state/checkpoint").read_bytes() == NOTE


@pytest.mark.parametrize(
    "data",
    [
        MAIL.replace(NOTE.decode().split("\n")[2], base64.b64encode(b"x" * 32).decode()).encode(),
        MAIL.replace("\n12\n", "\n13\n").encode(),
        mail(MAIL.replace("\n12\n", "\n11\n"), cte="base64").as_bytes(),
        ATTACKERS.checkpoint(LEAVES),
        NOTE + REAL.checkpoint(LEAVES[:5]),
        b"",
        b"no note\n",
        quopri.encodestring(NOTE)[:60],
    ],
)
def test_what_was_changed_or_holds_several_does_not_verify(data):
    with pytest.raises(verify.Wrong):
        verify.ledger_checkpoint_from(
            verify.note_given(data), [verify.key_from(REAL.verifier_key)], "the mail"
        )


@given(st.binary(max_size=80), st.integers(0, len(MAIL)), st.integers(0, 40))
def test_no_file_breaks_the_reader(data, place, cut):
    whole = mail(cte="quoted-printable").as_bytes()

    for made in (data, whole[:place] + data + whole[place + cut :]):
        note = verify.note_given(made)
        try:
            verify.ledger_checkpoint_from(note, [verify.key_from(REAL.verifier_key)], "the mail")
        except verify.Wrong:
            continue
        assert note == NOTE
