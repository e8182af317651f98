"""A file that decides is read as a whole once by each process, and again when it has changed."""

import hashlib
import os

from ledger import files


def test_a_settled_file_is_hashed_once_until_it_changes(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_SETTLED", 0)
    hashed, digest = [], hashlib.file_digest
    monkeypatch.setattr(
        files.hashlib, "file_digest", lambda *given: hashed.append(1) or digest(*given)
    )
    path = tmp_path / "list"
    path.write_bytes(b"abc")

    def ask():
        with path.open("rb") as file:
            return files.digest_of(file)

    before = path.stat()
    assert ask() == ask() == hashlib.sha256(b"abc").hexdigest()
    assert len(hashed) == 1
    # The same size, and the old time of writing put back.
    path.write_bytes(b"abd")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert ask() == hashlib.sha256(b"abd").hexdigest()
    assert len(hashed) == 2
