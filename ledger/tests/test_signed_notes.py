"""Keys and notes, against the published vector and against forgeries."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.checkpoints.notes import Signer, TreeHead, Verifier, open_note, sign
from ledger.errors import BadNote

NAME = "portal.example/manifest-log"
SEED = bytes(range(32))
ROOT = bytes.fromhex("5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328")
SIGNATURE = (
    "— portal.example/manifest-log 0xdESpFtvBoOQWo4N98BSgBp5bEQzEt50IhJKAPoS2E+17eB5"
    "/V9xx1zZiIUERbyXDG04DAuhrhV/QbjMNCPCPqpKAI=\n"
)
SIGNER = Signer(NAME, SEED)
NOTE = sign(TreeHead(NAME, 8, ROOT).text, [SIGNER])


def test_a_checkpoint_is_signed_as_the_vector_says():
    assert SIGNER.verifier.key_id.hex() == "d317444a"
    assert f"{NAME}\n8\n{base64.b64encode(ROOT).decode()}\n\n{SIGNATURE}" == NOTE


def test_a_note_opens_with_the_key_that_signed_it():
    text = open_note(NOTE, [SIGNER.verifier])

    assert TreeHead.parse(text) == TreeHead(NAME, 8, ROOT)


def test_keys_are_read_as_they_are_written():
    assert Signer.parse(SIGNER.text) == SIGNER
    assert Verifier.parse(SIGNER.verifier.text) == SIGNER.verifier
    assert SEED.hex() not in repr(SIGNER)


def test_while_a_key_is_replaced_either_key_opens_the_note():
    following = Signer.new(NAME)
    note = sign(TreeHead(NAME, 8, ROOT).text, [SIGNER, following])

    assert open_note(note, [SIGNER.verifier]) == open_note(note, [following.verifier])


@pytest.mark.parametrize(
    "note",
    [
        NOTE.replace("\n8\n", "\n9\n"),
        NOTE.replace("0xdESp", "0xdESq"),
        NOTE.replace("— ", "- "),
        NOTE.replace("\n\n", "\n"),
        NOTE.rstrip("\n"),
        NOTE + "— \n",
        NOTE + SIGNATURE.replace("F", "G"),
        "",
        "\n\n",
        NOTE.partition("\n\n")[0] + "\n\n— other.example 0xdESpFt\n",
    ],
)
def test_a_note_that_was_touched_does_not_open(note):
    with pytest.raises(BadNote):
        open_note(note, [SIGNER.verifier])


def test_a_note_by_another_key_of_the_same_name_does_not_open():
    note = sign(TreeHead(NAME, 8, ROOT).text, [Signer.new(NAME)])

    with pytest.raises(BadNote, match="no key that is known"):
        open_note(note, [SIGNER.verifier])


@given(st.binary(min_size=1, max_size=200), st.data())
def test_no_byte_of_a_note_can_be_changed(noise, data):
    at = data.draw(st.integers(0, len(NOTE.encode()) - 1))
    touched = bytearray(NOTE.encode())
    touched[at] ^= noise[0] or 1

    # A line may turn into one by an unknown key, and then no known key is left.
    with pytest.raises((BadNote, UnicodeDecodeError)):
        TreeHead.parse(open_note(bytes(touched).decode(), [SIGNER.verifier]))


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u00a0b", "a\nb"])
def test_a_name_that_no_note_could_hold_is_refused(name):
    with pytest.raises(BadNote):
        Signer.new(name)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a\n1\n",
        "a\n01\n" + base64.b64encode(ROOT).decode() + "\n",
        "a\n-1\n" + base64.b64encode(ROOT).decode() + "\n",
        "a\n1\n" + base64.b64encode(ROOT[:31]).decode() + "\n",
        "a\n1\n" + base64.b64encode(ROOT).decode(),
        "a\n1\n" + base64.b64encode(ROOT).decode() + "\nmore\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(text):
    with pytest.raises(BadNote):
        TreeHead.parse(text)
