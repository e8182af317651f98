import pytest

from training_portal import locks
from training_portal.errors import Misuse


@pytest.mark.parametrize("name", ["directory", "file.lock"])
def test_a_lock_that_another_has_is_refused_and_free_after_the_block(tmp_path, name):
    (tmp_path / "directory").mkdir()
    path = tmp_path / name

    taken = Misuse("It is taken.", code="busy")
    with locks.held(path), pytest.raises(Misuse, match="It is taken"), locks.held(path, taken):
        pass
    with locks.held(path, taken):
        pass


def test_a_lock_file_is_private(tmp_path):
    with locks.held(tmp_path / "one.lock"):
        assert (tmp_path / "one.lock").stat().st_mode & 0o077 == 0
