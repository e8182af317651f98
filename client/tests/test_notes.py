import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from lying_portal import NAME, LyingPortal, root_and_path

from training_portal.errors import Misuse, NotVerified
from training_portal.trust import Memory, VerifierKey
from training_portal.trust.merkle import leaf_hash
from training_portal.trust.notes import Checkpoint, check_growth, read_proof

LEAVES = [b"one", b"two", b"three"]
HASHES = [leaf_hash(leaf) for leaf in LEAVES]
ROOT, PATH = root_and_path(HASHES, 1)


@pytest.fixture
def signer(tmp_path):
    return LyingPortal(tmp_path)


@pytest.fixture
def keys(signer):
    return (VerifierKey.parse(signer.verifier_key),)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def sealed(signer, text: str) -> str:
    """Any text as a note that the key has signed."""
    return f"{text}\n\u2014 {NAME} {b64(signer.key_id + signer.key.sign(text.encode()))}\n"


# --- Keys ---------------------------------------------------------------------------------------


def test_a_key_is_read_as_people_hand_it_over(signer, keys):
    assert str(keys[0]) == f"{NAME}+{signer.key_id.hex()}"


@pytest.mark.parametrize(
    "change",
    [
        lambda text: f"PRIVATE+KEY+{text}",
        lambda text: text.replace("+", " ", 1),
        lambda text: text[:-4],
        lambda text: text.replace(NAME, "another/ledger"),
        lambda text: f"{text.rpartition('+')[0]}+{b64(bytes(33))}",
        lambda text: f"{NAME}+{'0' * 8}+{text.split('+', 2)[2]}",
        lambda text: "",
    ],
)
def test_what_is_no_key_is_a_fault_of_the_settings(signer, change):
    with pytest.raises(Misuse):
        VerifierKey.parse(change(signer.verifier_key))


# --- Notes --------------------------------------------------------------------------------------


def test_a_checkpoint_is_read_under_its_key(signer, keys):
    found = Checkpoint.read(signer._note(NAME, 3, ROOT), keys, "It")

    assert (found.origin, found.size, found.root) == (NAME, 3, ROOT)


def test_a_signature_of_an_unknown_key_beside_it_changes_nothing(signer, keys):
    note = signer._note(NAME, 3, ROOT)
    other = f"\u2014 somebody/else {b64(bytes(68))}\n"

    assert Checkpoint.read(note + other, keys, "It").size == 3


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda note: note.replace("\n3\n", "\n4\n"), "that is false"),
        (lambda note: note[:-1], "no signed note"),
        (lambda note: note.replace("\n\n", "\n"), "no signed note"),
        (lambda note: note.replace("\u2014", "-"), "among its signatures"),
        (lambda note: note + "more\n", "among its signatures"),
        (lambda note: note + f"\u2014 x {b64(b'abc')}\n", "among its signatures"),
        (lambda note: note + f"\u2014 somebody/else {b64(bytes(68))}\n" * 100, "more than 100"),
        (lambda note: note.replace("portal", "port\tal", 1), "control characters"),
        (lambda note: "", "no signed note"),
    ],
)
def test_a_note_that_was_changed_is_refused(signer, keys, change, problem):
    with pytest.raises(NotVerified, match=problem):
        Checkpoint.read(change(signer._note(NAME, 3, ROOT)), keys, "It")


@pytest.mark.parametrize(
    "text",
    [
        f"{NAME}\n3\n",
        f"{NAME}\n3\n{b64(ROOT)}\nmore\n",
        f"{NAME}\n03\n{b64(ROOT)}\n",
        f"{NAME}\n{2**63}\n{b64(ROOT)}\n",
        f"{NAME}\n-1\n{b64(ROOT)}\n",
        f"{NAME}\n3\n{b64(ROOT[:31])}\n",
        f"{NAME}\n3\n{b64(ROOT)[:-2]}\n",
        f"other/ledger\n3\n{b64(ROOT)}\n",
        f"{NAME}-of-somebody\n3\n{b64(ROOT)}\n",
    ],
)
def test_a_signed_text_that_is_no_checkpoint_of_the_ledger_is_refused(signer, keys, text):
    with pytest.raises(NotVerified):
        Checkpoint.read(sealed(signer, text), keys, "It")


# --- Proofs -------------------------------------------------------------------------------------


def proof(signer, *lines: str) -> str:
    return "\n".join(lines) + "\n\n" + signer._note(NAME, 3, ROOT)


GOOD = ("c2sp.org/tlog-proof@v1", f"extra {b64(LEAVES[1])}", "index 1", *map(b64, PATH))


def test_a_proof_gives_its_leaf(signer, keys):
    found = read_proof(proof(signer, *GOOD), keys, "It")

    assert (found.data, found.index, found.checkpoint.size) == (b"two", 1, 3)


@pytest.mark.parametrize(
    "lines",
    [
        ("c2sp.org/tlog-proof@v2", *GOOD[1:]),
        (GOOD[0], *GOOD[2:]),
        (GOOD[0], f"extra {b64(b'twO')}", *GOOD[2:]),
        (GOOD[0], "extra t", *GOOD[2:]),
        (*GOOD[:2], "index 0", *GOOD[3:]),
        (*GOOD[:2], "index 3", *GOOD[3:]),
        (*GOOD[:2], "index one", *GOOD[3:]),
        GOOD[:-1],
        (*GOOD, b64(ROOT)),
        (*GOOD[:-1], "no hash"),
        GOOD[:2],
        (*GOOD, *[b64(ROOT)] * 70),
    ],
)
def test_a_proof_that_was_changed_is_refused(signer, keys, lines):
    with pytest.raises(NotVerified):
        read_proof(proof(signer, *lines), keys, "It")


# --- Growth -------------------------------------------------------------------------------------

GROWN = ("training-portal/consistency@v1", "old 2", b64(HASHES[2]))


@pytest.fixture
def two(signer, keys):
    old, _ = root_and_path(HASHES[:2], 0)
    return [
        Checkpoint.read(note, keys, "It")
        for note in (signer._note(NAME, 2, old), signer._note(NAME, 3, ROOT))
    ]


def test_a_checkpoint_continues_the_one_before(signer, keys, two):
    check_growth(*two, proof(signer, *GROWN), keys, "It")


@pytest.mark.parametrize(
    "lines",
    [
        ("training-portal/consistency@v2", *GROWN[1:]),
        (GROWN[0], "old 1", *GROWN[2:]),
        GROWN[:2],
        (*GROWN, b64(ROOT)),
        (*GROWN[:2], b64(ROOT)),
        (*GROWN[:2], "no hash"),
        GROWN[:1],
    ],
)
def test_a_growth_that_was_changed_is_refused(signer, keys, two, lines):
    with pytest.raises(NotVerified):
        check_growth(*two, proof(signer, *lines), keys, "It")


def test_a_growth_of_other_checkpoints_is_refused(signer, keys, two):
    other = "\n".join(GROWN) + "\n\n" + signer._note(NAME, 4, ROOT)

    with pytest.raises(NotVerified, match="other checkpoints"):
        check_growth(*two, other, keys, "It")


# --- What was seen before -----------------------------------------------------------------------


@pytest.fixture
def memory(tmp_path):
    return Memory(tmp_path / "state")


def grown(signer):
    return lambda old, new: proof(signer, *GROWN)


def test_the_memory_follows_a_ledger_that_grows(signer, keys, two, memory):
    for one in (*two, two[1]):
        memory.follow(one, keys, grown(signer))


def test_the_memory_refuses_a_smaller_ledger(signer, keys, two, memory):
    memory.follow(two[1], keys, grown(signer))

    with pytest.raises(NotVerified) as refused:
        memory.follow(two[0], keys, grown(signer))

    assert refused.value.code == "older_checkpoint"


def test_the_memory_refuses_two_ledgers_of_one_size(signer, keys, two, memory):
    memory.follow(two[1], keys, grown(signer))
    other = Checkpoint.read(signer._note(NAME, 3, bytes(32)), keys, "It")

    with pytest.raises(NotVerified) as refused:
        memory.follow(other, keys, grown(signer))

    assert refused.value.code == "ledger_rewritten"


def test_the_memory_keeps_the_last_one_when_the_next_is_refused(signer, keys, two, memory):
    memory.follow(two[0], keys, grown(signer))
    with pytest.raises(NotVerified):
        memory.follow(two[1], keys, lambda old, new: proof(signer, *GROWN[:2], b64(bytes(32))))

    memory.follow(two[1], keys, grown(signer))


def test_a_memory_under_a_key_that_is_not_pinned_any_more_is_kept(signer, keys, two, memory):
    memory.follow(two[0], keys, grown(signer))
    signer.use_key(Ed25519PrivateKey.generate())
    newer = (VerifierKey.parse(signer.verifier_key),)

    with pytest.raises(NotVerified, match="do not delete it"):
        memory.follow(
            Checkpoint.read(signer._note(NAME, 3, ROOT), newer, "It"), newer, grown(signer)
        )
