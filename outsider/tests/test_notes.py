"""Keys, signed notes and checkpoints."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outsider import verify
from tools.sample_export import ATTACKERS, NAME, REAL, Signer, base64_of

# The vector of the design: seed 000102…1f over the known root of eight leaves.
VECTOR_SIGNER = Signer(bytes(range(32)), "portal.example/manifest-log")
VECTOR_TEXT = (
    "portal.example/manifest-log\n8\n"
    + base64_of(bytes.fromhex("5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"))
    + "\n"
)
VECTOR_LINE = (
    "— portal.example/manifest-log 0xdESpFtvBoOQWo4N98BSgBp5bEQzEt50IhJKAPoS2E+17eB5/V9xx1zZiIUER"
    "byXDG04DAuhrhV/QbjMNCPCPqpKAI=\n"
)
KEYS = [verify.key_from(REAL.verifier_key)]
LEAVES = [verify.leaf_hash(b"%d" % number) for number in range(5)]
TEXT, _, _ = REAL.checkpoint(LEAVES).decode().partition("\n\n")
TEXT += "\n"


def read(text: str, *lines: str, keys=KEYS) -> verify.Checkpoint:
    return verify.ledger_checkpoint_from((text + "\n" + "".join(lines)).encode(), keys, "the note")


def test_the_vector_of_the_design():
    key = verify.key_from(VECTOR_SIGNER.verifier_key)

    found = read(VECTOR_TEXT, VECTOR_LINE, keys=[key])

    assert key.id.hex() == "d317444a"
    assert VECTOR_SIGNER.line(VECTOR_TEXT) == VECTOR_LINE
    assert (found.origin, found.size) == ("portal.example/manifest-log", 8)


def test_signatures_of_unknown_keys_are_ignored():
    assert read(TEXT, ATTACKERS.line(TEXT), REAL.line(TEXT)).signers == (KEYS[0],)


def test_one_false_signature_of_a_known_key_makes_the_note_bad():
    both = [*KEYS, verify.key_from(ATTACKERS.verifier_key)]

    with pytest.raises(verify.Wrong, match="that is false"):
        read(TEXT, REAL.line(TEXT), ATTACKERS.line(TEXT + "x"), keys=both)


def test_a_note_without_a_known_key_says_whose_signature_it_has():
    with pytest.raises(verify.Wrong, match=rf"{NAME}\+{ATTACKERS.key_id.hex()}"):
        read(TEXT, ATTACKERS.line(TEXT))


def test_a_known_key_does_not_speak_for_another_ledger():
    text = TEXT.replace(NAME, "other.example/ledger")

    with pytest.raises(verify.Wrong, match=r"not of the ledger"):
        read(text, REAL.line(text))


def test_a_checkpoint_of_members_is_none_of_the_ledger():
    text = TEXT.replace(NAME, f"{NAME}/TR-2026-000001")

    with pytest.raises(verify.Wrong, match=r"not of the ledger"):
        read(text, REAL.line(text))


BAD_TEXTS = {
    "two lines": f"{NAME}\n5\n",
    "four lines": TEXT + "more\n",
    "a size with a zero before": TEXT.replace("\n5\n", "\n05\n"),
    "a size with a sign": TEXT.replace("\n5\n", "\n+5\n"),
    "a size in other digits": TEXT.replace("\n5\n", "\n٥\n"),
    "a huge size": TEXT.replace("\n5\n", f"\n{2**63}\n"),
    "a size of a million digits": TEXT.replace("\n5\n", f"\n{'9' * 100_000}\n"),
    "a short root": f"{NAME}\n5\n{base64_of(b'short')}\n",
    "a root without padding": TEXT.replace("=\n", "\n"),
    "a root in base 64 for addresses": f"{NAME}\n5\n{'_' * 43}=\n",
    "CRLF": TEXT.replace("\n", "\r\n"),
    "NUL": TEXT.replace("5", "5\0"),
    "an empty line inside": TEXT.replace("\n5\n", "\n\n5\n"),
}


@pytest.mark.parametrize("text", BAD_TEXTS.values(), ids=BAD_TEXTS)
def test_a_signed_text_that_is_no_checkpoint_is_refused(text):
    with pytest.raises(verify.Wrong):
        read(text, REAL.line(text))


BAD_NOTES = {
    "nothing": b"",
    "no signature": TEXT.encode(),
    "an empty line only": TEXT.encode() + b"\n",
    "no empty line": TEXT.encode() + REAL.line(TEXT).encode(),
    "no LF at the end": REAL.checkpoint(LEAVES)[:-1],
    "another dash": REAL.checkpoint(LEAVES).replace("—".encode(), b"-"),
    "two spaces": REAL.checkpoint(LEAVES).replace("— ".encode(), "—  ".encode()),
    "CRLF": REAL.checkpoint(LEAVES).replace(b"\n", b"\r\n"),
    "not UTF-8": b"\xff" + REAL.checkpoint(LEAVES),
    "NUL": REAL.checkpoint(LEAVES) + b"\0",
    "a line that is no signature": REAL.checkpoint(LEAVES) + b"hello\n",
    "a signature of four bytes": f"{TEXT}\n— {NAME} {base64_of(REAL.key_id)}\n".encode(),
    "a short signature": f"{TEXT}\n— {NAME} {base64_of(REAL.key_id + bytes(63))}\n".encode(),
    "spare bits in the base 64": REAL.checkpoint(LEAVES)[:-2] + b"B\n",
    "a hundred signatures more": REAL.checkpoint(LEAVES) + ATTACKERS.line(TEXT).encode() * 100,
}


@pytest.mark.parametrize("note", BAD_NOTES.values(), ids=BAD_NOTES)
def test_what_is_no_note_is_refused(note):
    with pytest.raises(verify.Wrong):
        verify.ledger_checkpoint_from(note, KEYS, "the note")


@given(st.binary(max_size=300))
def test_rubbish_is_refused(data):
    for read_it in (
        lambda: verify.ledger_checkpoint_from(data, KEYS, "it"),
        lambda: verify.consistency_from(data, "it"),
        lambda: verify.proof_from(data, "it"),
        lambda: verify.archive_from(data, "it"),
    ):
        with pytest.raises(verify.Wrong):
            read_it()


@given(st.text(max_size=100))
def test_a_text_that_is_no_key_is_refused(text):
    with pytest.raises(verify.Wrong):
        verify.key_from(text)


BAD_KEYS = {
    "a signer key": f"PRIVATE+KEY+{NAME}+{REAL.key_id.hex()}+{base64_of(b'x' * 33)}",
    "another key id": REAL.verifier_key.replace(REAL.key_id.hex(), "00000000"),
    "another name": REAL.verifier_key.replace(NAME, "portal.example/other"),
    "another kind": REAL.verifier_key[:-44] + base64_of(b"\x02" + REAL.public),
    "all zero": REAL.verifier_key[:-44] + base64_of(b"\x01" + bytes(32)),
    "a bit flipped": REAL.verifier_key[:-3] + "AAA",
    "a space": REAL.verifier_key.replace("/", " "),
}


@pytest.mark.parametrize("text", BAD_KEYS.values(), ids=BAD_KEYS)
def test_a_key_that_was_miscopied_is_refused(text):
    with pytest.raises(verify.Wrong):
        verify.key_from(text)
