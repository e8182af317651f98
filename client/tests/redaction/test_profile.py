from hashlib import sha256

import pytest

from training_portal.errors import Misuse
from training_portal.redaction import Profile
from training_portal.redaction.kinds import KINDS_OF_PATTERNS


def test_the_shipped_profile_has_every_kind_and_its_digest_is_that_of_its_bytes(tmp_path):
    shipped = Profile.load()

    assert set(shipped.kinds) == set(KINDS_OF_PATTERNS)
    assert (shipped.name, shipped.version) == ("default", "1")

    data = b'name = "own"\nversion = "2"\nkinds = ["email", "phone"]\n'
    (tmp_path / "own.toml").write_bytes(data)
    own = Profile.load(tmp_path / "own.toml")
    assert own.digest == sha256(data).hexdigest() != shipped.digest
    assert own.kinds == ("email", "phone")


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"name = ", "no TOML"),
        (b"\xff", "not UTF-8"),
        (b'name = "a"\nversion = "1"\n', "missing fields: kinds"),
        (b'name = "a"\nversion = "1"\nkinds = []\ncolour = 1\n', "unknown fields: colour"),
        (b'name = "a"\nversion = "1"\nkinds = ["mail"]\n', "unknown kinds: mail"),
        (b'name = "a"\nversion = "1"\nkinds = ["name"]\n', "unknown kinds: name"),
        (b'name = "a"\nversion = "1"\nkinds = "email"\n', "no list of texts"),
        (b'name = "a"\nversion = "1"\nkinds = ["email", "email"]\n', "twice"),
        (b'name = "a b"\nversion = "1"\nkinds = []\n', "`name` is not plain"),
        (b'name = "a"\nversion = 1\nkinds = []\n', "`version` is not plain"),
        (b"#" * 70_000, "70,000 bytes"),
    ],
)
def test_a_profile_with_a_fault_is_refused_and_the_fault_named(data, fault):
    with pytest.raises(Misuse, match=fault):
        Profile.read(data)


def test_a_profile_that_is_not_there_is_refused_with_what_there_is(tmp_path):
    with pytest.raises(Misuse, match="or one of: default"):
        Profile.load(tmp_path / "none.toml")
