from hashlib import sha256
from pathlib import Path

import pytest
from django.conf import settings

from training_runs.errors import ManifestDamaged
from training_runs.manifests import archives


def _files() -> list[Path]:
    return [path for path in Path(settings.MANIFEST_DIR).rglob("*") if path.is_file()]


def test_an_archive_is_found_by_its_digest():
    digest = archives.store(b"content")

    assert digest == sha256(b"content").hexdigest()
    assert archives.load(digest) == b"content"


def test_storing_twice_leaves_one_file():
    archives.store(b"content")
    digest = archives.store(b"content")

    assert _files() == [archives.path_of(digest)]


@pytest.mark.parametrize("content", [b"", b"other", b"conten", b"content!"])
def test_other_bytes_than_were_stored_are_damage(content):
    digest = archives.store(b"content")
    path = archives.path_of(digest)
    path.unlink()
    path.write_bytes(content)

    with pytest.raises(ManifestDamaged, match="does not have the digest"):
        archives.load(digest)


def test_a_missing_archive_is_damage():
    with pytest.raises(ManifestDamaged, match="not in the store"):
        archives.load("0" * 64)


def test_a_store_that_cannot_be_replaced_into_keeps_no_part():
    # A directory occupies the place of the file: the last step fails.
    digest = sha256(b"content").hexdigest()
    archives.path_of(digest).mkdir(parents=True)

    with pytest.raises(OSError):
        archives.store(b"content")

    assert _files() == []
