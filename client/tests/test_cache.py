import datetime as dt
import stat
from hashlib import sha256

import pytest

from training_portal.cache import Cache
from training_portal.errors import Misuse

DELIVERY, OTHER = "DL-2026-000001", "DL-2026-000002"
DATA = b"accounts"
DIGEST = sha256(DATA).hexdigest()
NOW = dt.datetime(2026, 11, 26, tzinfo=dt.UTC)
LATER = NOW + dt.timedelta(days=30)


class Clock:
    now = NOW

    def __call__(self) -> dt.datetime:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def cache(tmp_path, clock):
    return Cache(tmp_path / "cache", clock)


def bring(partial):
    partial.write_bytes(DATA)


def test_a_file_is_brought_once(cache):
    brought = []

    for _ in range(2):
        path = cache.file(DELIVERY, LATER, DIGEST, lambda to: (brought.append(to), bring(to)))

    assert (path.read_bytes(), len(brought)) == (DATA, 1)


def test_nobody_else_reads_it(cache):
    path = cache.file(DELIVERY, LATER, DIGEST, bring)

    modes = [stat.S_IMODE(one.stat().st_mode) for one in (path, path.parent, cache.directory)]
    assert modes == [0o600, 0o700, 0o700]


def test_a_cache_that_others_read_is_refused(cache):
    cache.directory.mkdir(mode=0o755)

    with pytest.raises(Misuse, match="chmod 700"):
        cache.file(DELIVERY, LATER, DIGEST, bring)


def test_the_next_use_after_the_lease_deletes_it(cache, clock):
    path = cache.file(DELIVERY, LATER, DIGEST, bring)
    clock.now = LATER

    cache.file(OTHER, LATER + dt.timedelta(days=30), DIGEST, bring)

    assert not path.parent.exists()


def test_what_says_no_lease_is_deleted(cache):
    path = cache.file(DELIVERY, LATER, DIGEST, bring)
    (path.parent / "lease").unlink()

    assert cache.sweep() == [DELIVERY]


def test_what_is_not_the_caches_stays(cache):
    cache.file(DELIVERY, LATER, DIGEST, bring)
    mine = cache.directory / "mine"
    mine.mkdir()

    cache.sweep()

    assert mine.exists()


def test_a_file_that_could_not_be_brought_leaves_its_part(cache):
    def breaks(partial):
        partial.write_bytes(DATA[:3])
        raise ConnectionError

    with pytest.raises(ConnectionError):
        cache.file(DELIVERY, LATER, DIGEST, breaks)
    seen = []
    path = cache.file(DELIVERY, LATER, DIGEST, lambda to: (seen.append(to.read_bytes()), bring(to)))

    assert (seen, path.read_bytes()) == ([DATA[:3]], DATA)


@pytest.mark.parametrize(
    ("delivery", "digest"), [("../outside", DIGEST), (DELIVERY, "../../outside"), (DELIVERY, "")]
)
def test_no_name_leads_outside(cache, delivery, digest):
    with pytest.raises(ValueError, match="is none"):
        cache.file(delivery, LATER, digest, bring)
