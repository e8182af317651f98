"""The witness: what it keeps, what it demands, and what it never does."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from outsider import witness
from tools.sample_export import ATTACKERS, REAL, consistency_proof, leaf_hash

LEAVES = [leaf_hash(b"%d" % number) for number in range(20)]
OTHERS = [*LEAVES[:3], leaf_hash(b"another"), *LEAVES[4:]]


@pytest.fixture
def offer(tmp_path, capsys):
    """Offer a checkpoint of a tree, with the proof that it continues `old`; the code and what was said."""

    def offer(size, old=None, leaves=LEAVES, signer=REAL, proof=None):
        note = tmp_path / "offered"
        note.write_bytes(signer.checkpoint(leaves[:size]))
        arguments = [str(tmp_path / "state"), "--key", REAL.verifier_key, "--checkpoint", str(note)]
        if old is not None:
            made = consistency_proof(old, leaves[:size], signer.checkpoint(leaves[:size]))
            path = tmp_path / "proof"
            path.write_bytes(made if proof is None else proof)
            arguments += ["--consistency", str(path)]
        code = witness.main(arguments)
        said = capsys.readouterr()
        return code, said.out + said.err

    return offer


@pytest.fixture
def kept(tmp_path):
    return (tmp_path / "state/checkpoint").read_bytes


def test_the_first_is_kept_and_the_next_must_continue_it(offer, kept, tmp_path):
    assert offer(5)[0] == 0
    assert kept() == REAL.checkpoint(LEAVES[:5])

    code, said = offer(12, old=5)

    assert (code, kept()) == (0, REAL.checkpoint(LEAVES[:12]))
    assert said == "12 entries continue the 5 kept before; the new checkpoint is kept.\n"
    names = {path.name for path in (tmp_path / "state/accepted").iterdir()}
    assert names == {"5.checkpoint", "12.checkpoint"}


def test_the_same_again_is_nothing_new(offer, kept):
    offer(5)

    assert offer(5) == (0, "Nothing new: still 5 entries, the same root.\n")


def test_a_larger_one_without_a_proof_changes_nothing(offer, kept):
    offer(5)

    assert offer(12)[0] == 2
    assert kept() == REAL.checkpoint(LEAVES[:5])


CONFLICTS = {
    "another root for the same size": {"size": 5, "leaves": OTHERS},
    "a smaller one": {"size": 4},
    "another ledger above": {"size": 12, "old": 5, "leaves": OTHERS},
    "a proof of another size": {"size": 12, "old": 4},
    "a proof that is none": {"size": 12, "old": 5, "proof": b"hello"},
    "a proof to another checkpoint": {
        "size": 12,
        "old": 5,
        "proof": consistency_proof(5, LEAVES[:11], REAL.checkpoint(LEAVES[:11])),
    },
    "a proof signed by a foreign key": {
        "size": 12,
        "old": 5,
        "proof": consistency_proof(5, LEAVES[:12], ATTACKERS.checkpoint(LEAVES[:12])),
    },
}


@pytest.mark.parametrize("offered", CONFLICTS.values(), ids=CONFLICTS)
def test_a_conflict_is_kept_as_evidence_and_replaces_nothing(offer, kept, tmp_path, offered):
    offer(5)

    code, said = offer(**offered)

    assert code == 1
    assert said.startswith("WRONG: ")
    assert kept() == REAL.checkpoint(LEAVES[:5])
    (evidence,) = (tmp_path / "state/conflicts").iterdir()
    assert (evidence / "kept.checkpoint").read_bytes() == REAL.checkpoint(LEAVES[:5])
    leaves = offered.get("leaves", LEAVES)[: offered["size"]]
    assert (evidence / "offered.checkpoint").read_bytes() == REAL.checkpoint(leaves)


def test_what_no_known_key_signed_is_no_conflict(offer, kept, tmp_path):
    """Any stranger could fill the disk with it."""
    offer(5)

    assert offer(12, old=5, signer=ATTACKERS)[0] == 1
    assert kept() == REAL.checkpoint(LEAVES[:5])
    assert not (tmp_path / "state/conflicts").exists()


def test_a_lost_checkpoint_is_no_new_beginning(offer, tmp_path):
    offer(5)
    (tmp_path / "state/checkpoint").unlink()

    code, said = offer(12, leaves=OTHERS)

    assert code == 2
    assert "copy the largest back" in said


def test_a_damaged_state_is_said(offer, tmp_path):
    offer(5)
    (tmp_path / "state/checkpoint").write_bytes(b"")

    assert offer(12, old=5)[0] == 1


def test_a_writing_that_fails_leaves_the_old_one(offer, kept, tmp_path, monkeypatch):
    offer(5)

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(witness.os, "fsync", full)

    code, said = offer(12, old=5)

    assert (code, kept()) == (2, REAL.checkpoint(LEAVES[:5]))
    assert "No space left" in said
    assert not list((tmp_path / "state").rglob(".writing-*"))


# --- Over the network ---------------------------------------------------------------------------------


class Door(BaseHTTPRequestHandler):
    """The portal's two addresses, over the leaves of `server`."""

    def do_GET(self):
        parts = urlsplit(self.path)
        server = self.server
        server.asked.append((self.path, self.headers["Authorization"]))
        if server.status != 200:
            self.send_response(server.status)
            self.send_header("Location", "http://127.0.0.1:9/elsewhere")
            self.end_headers()
            return
        leaves = server.leaves
        if parts.path == "/api/v1/audit/checkpoint":
            body = REAL.checkpoint(leaves)
        else:
            query = parse_qs(parts.query)
            new = leaves[: int(query["new"][0])]
            body = consistency_proof(int(query["old"][0]), new, REAL.checkpoint(new))
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    server.leaves, server.status, server.asked = LEAVES[:5], 200, []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def poll(tmp_path, capsys, server):
    def poll(url=None):
        token = tmp_path / "token"
        token.write_text("secret-token\n")
        code = witness.main(
            [str(tmp_path / "state"), "--key", REAL.verifier_key, "--token-file", str(token),
             "--url", url or f"http://127.0.0.1:{server.server_port}/"]
        )  # fmt: skip
        said = capsys.readouterr()
        return code, said.out + said.err

    return poll


def test_it_asks_the_portal_with_the_token(poll, server, kept):
    assert poll()[0] == 0
    server.leaves = LEAVES[:9]

    code, _ = poll()

    assert (code, kept()) == (0, REAL.checkpoint(LEAVES[:9]))
    assert server.asked == [
        ("/api/v1/audit/checkpoint", "Bearer secret-token"),
        ("/api/v1/audit/checkpoint", "Bearer secret-token"),
        ("/api/v1/audit/consistency?old=5&new=9", "Bearer secret-token"),
    ]


@pytest.mark.parametrize("leaves", [OTHERS[:9], OTHERS[:5], LEAVES[:4]])
def test_a_rewritten_ledger_is_noticed(poll, server, kept, leaves):
    poll()
    server.leaves = leaves

    assert poll()[0] == 1
    assert kept() == REAL.checkpoint(LEAVES[:5])


@pytest.mark.parametrize("status", [302, 401, 403, 404, 500, 503])
def test_a_portal_that_does_not_answer_is_no_conflict(poll, server, status, tmp_path):
    server.status = status

    code, said = poll()

    assert code == 2
    assert f"answers {status}" in said
    assert not (tmp_path / "state/checkpoint").exists()
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "url",
    ["http://portal.example", "http://127.0.0.1.portal.example", "ftp://127.0.0.1", "portal.example",
     "file:///etc/passwd", "http://[::2]/", ""],
)  # fmt: skip
def test_the_token_goes_over_https_or_nowhere(poll, server, url):
    code, said = poll(url or "x")

    assert code == 2
    assert "is not https" in said
    assert server.asked == []


def test_a_closed_port_is_reported(poll):
    code, said = poll("http://127.0.0.1:1")

    assert code == 2
    assert "cannot be reached" in said
