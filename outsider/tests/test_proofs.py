"""Proofs in words, and checkpoints that continue one another."""

import pytest

from outsider import verify
from tools.sample_export import (
    ATTACKERS,
    CODES,
    REAL,
    base64_of,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
)

RUN = "TR-2026-000002"


@pytest.fixture
def check(capsys):
    """Run a command of verify.py with the key; its code and what it said."""

    def check(*arguments, key=REAL.verifier_key):
        code = verify.main([*map(str, arguments), *(["--key", key] if key else [])])
        said = capsys.readouterr()
        return code, said.out + said.err

    return check


@pytest.fixture
def members_proof(made, tmp_path):
    def proof(block, change=lambda data: data):
        data = made.sample.members[RUN]
        leaves = [*map(leaf_hash, data)]
        path = tmp_path / "members.tlog-proof"
        note = REAL.checkpoint(leaves, RUN)
        path.write_bytes(inclusion_proof(change(data[block]), block, leaves, note))
        return path

    return proof


@pytest.fixture
def entry_proof(made, tmp_path):
    leaves = made.sample.leaves()
    path = tmp_path / "entry.tlog-proof"
    note = made.sample.checkpoint(len(leaves))
    path.write_bytes(inclusion_proof(made.sample.lines[41], 41, leaves, note))
    return path


def test_it_says_of_every_member_what_the_archive_says(made, members_proof):
    archive = verify.archive_from(made.sample.archives[RUN], "the archive")

    for block in (1, 2):
        proved = verify.check_proof(
            members_proof(block).read_bytes(), [verify.key_from(REAL.verifier_key)], "it"
        )
        for member, value in verify.block_of(proved, "it").items():
            said = verify.standing(member, value, RUN)
            reasons = [code for code, members in archive.sets.items() if members >> member & 1]
            if member > archive.population:
                assert said == f"there was no member {member} at the cut of {RUN}"
            elif reasons == ["included"]:
                assert said == f"member {member} is in {RUN}"
            else:
                assert said == f"member {member} is out of {RUN}: {reasons[0]}"


def test_the_codes_stand_in_the_order_of_the_page():
    assert list(verify.CODES[1:]) == CODES


def test_a_member_in_words(check, members_proof):
    code, said = check("proof", members_proof(1), "--member", 1)

    assert code == 0
    assert (
        f"Proved: member 1 is out of {RUN}: opted_out (portal.example/ledger/{RUN}, size 3" in said
    )


def test_a_proof_says_whom_it_is_about(check, members_proof):
    assert "the standing of members 129 to 256" in check("proof", members_proof(2))[1]
    code, said = check("proof", members_proof(2), "--member", 4711)
    assert code == 1
    assert "is about members 129 to 256, not about 4711" in said


def test_a_proof_of_the_archive_says_so(check, members_proof):
    assert "training-manifest-members/1" in check("proof", members_proof(0))[1]
    assert check("proof", members_proof(0), "--member", 1)[0] == 1


def test_another_half_byte_is_refused(check, members_proof):
    """Member 1 is said to be in."""
    path = members_proof(1, lambda data: bytes([data[0] & 0xF0]) + data[1:])

    code, said = check("proof", path, "--member", 1)

    assert code == 1
    assert "do not lead to the root" in said


def test_an_entry_is_printed(check, entry_proof):
    code, said = check("proof", entry_proof, "--entry")

    assert code == 0
    assert "Proved: entry 42 (" in said
    assert '"sequence": 42' in said


def test_an_entry_proves_nothing_of_a_member(check, entry_proof, members_proof):
    assert check("proof", entry_proof, "--member", 1)[0] == 1
    assert check("proof", members_proof(1), "--entry")[0] == 1


def test_an_entry_left_out_is_taken_from_a_file(check, entry_proof, made, tmp_path):
    lines = entry_proof.read_bytes().split(b"\n")
    entry_proof.write_bytes(b"\n".join(line for line in lines if not line.startswith(b"extra")))
    data = tmp_path / "line"
    data.write_bytes(made.sample.lines[41] + b"\n")

    assert "leaves the entry out" in check("proof", entry_proof)[1]
    assert check("proof", entry_proof, "--data", data)[0] == 0
    data.write_bytes(made.sample.lines[40])
    assert check("proof", entry_proof, "--data", data)[0] == 1


def test_a_proof_of_a_foreign_key_is_refused(check, entry_proof):
    code, said = check("proof", entry_proof, key=ATTACKERS.verifier_key)

    assert code == 1
    assert "is signed by no key you trust" in said


def test_a_key_speaks_for_its_own_trees_only(made):
    data = [b"x" * 64, b"y" * 64]
    leaves = [*map(leaf_hash, data)]
    text = f"{REAL.name}2/TR-2026-000001\n2\n{base64_of(leaf_hash(b''))}\n"
    note = f"{text}\n{REAL.line(text)}".encode()

    with pytest.raises(verify.Wrong, match="for which"):
        verify.check_proof(
            inclusion_proof(data[1], 1, leaves, note), [verify.key_from(REAL.verifier_key)], "it"
        )


@pytest.mark.parametrize(
    "change",
    [
        lambda proof: proof[: len(proof) // 2],
        lambda proof: b"",
        lambda proof: proof.replace(b"\n", b"\r\n"),
        lambda proof: proof.replace(b"index 41", b"index 041"),
        lambda proof: proof.replace(b"index 41", b"index " + b"9" * 100_000),
        lambda proof: proof.replace(b"index 41", b"index -1"),
        lambda proof: proof.replace(b"@v1", b"@v2"),
        lambda proof: proof.replace(b"\n\n", b"\n" + b"A" * 43 + b"=\n\n", 1),
        lambda proof: proof.replace(b"\n\n", (b"\n" + b"A" * 43 + b"=") * 80 + b"\n\n", 1),
        lambda proof: proof.replace(b"extra ", b"extra !"),
        lambda proof: proof + b"\0",
        lambda proof: proof + b"x" * 2_000_000,
    ],
)
def test_a_damaged_proof_is_refused_without_a_traceback(check, entry_proof, change):
    entry_proof.write_bytes(change(entry_proof.read_bytes()))

    assert check("proof", entry_proof)[0] == 1


def test_one_checkpoint_continues_another(check, made, kept, tmp_path):
    leaves = made.sample.leaves()
    proof = tmp_path / "consistency"
    proof.write_bytes(consistency_proof(made.kept, leaves, REAL.checkpoint(leaves)))

    code, said = check("consistency", proof, "--old", kept)

    assert code == 0
    assert f"over {len(leaves)} entries continues the one over {made.kept}" in said


def test_a_rewritten_ledger_has_no_consistency_proof(check, made, kept, tmp_path):
    leaves = made.sample.leaves()
    leaves[100] = leaf_hash(b"another entry")
    proof = tmp_path / "consistency"
    proof.write_bytes(consistency_proof(made.kept, leaves, REAL.checkpoint(leaves)))

    code, said = check("consistency", proof, "--old", kept)

    assert code == 1
    assert f"does not continue the one of {made.kept}" in said


def test_a_proof_from_another_size_is_refused(check, made, kept, tmp_path):
    leaves = made.sample.leaves()
    proof = tmp_path / "consistency"
    proof.write_bytes(consistency_proof(made.kept - 1, leaves, REAL.checkpoint(leaves)))

    assert check("consistency", proof, "--old", kept)[0] == 1


def test_the_list_of_checkpoints_alone(check, export):
    path = export / "checkpoints.ndjson"

    assert check("checkpoints", path)[0] == 0
    path.write_bytes(path.read_bytes().replace(b'"size":', b'"size":1', 1))
    assert check("checkpoints", path)[0] == 1


def test_an_archive_alone_and_with_its_checkpoint(check, export):
    archive = export / f"manifests/{RUN}.manifest"

    assert check("manifest", archive, key=None)[0] == 0
    assert check("manifest", archive, "--checkpoint", archive.with_suffix(".checkpoint"))[0] == 0
    other = export / "manifests/TR-2026-000001.checkpoint"
    assert check("manifest", archive, "--checkpoint", other)[0] == 1
    archive.write_bytes(archive.read_bytes()[:-1])
    assert check("manifest", archive, key=None)[0] == 1


def test_a_missing_file_cannot_be_read(check, tmp_path):
    assert check("proof", tmp_path / "none")[0] == 2
    assert check("proof", tmp_path)[0] == 2
