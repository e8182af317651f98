import contextlib
import datetime as dt
import json

import pyarrow.parquet as pq
import pytest
from making import COLUMNS, KEY, NOW, OPTIONS, account, make_permission, rows_in, write_raw
from pyroaring import BitMap

from training_portal import locks
from training_portal.errors import LeaseOver, Misuse, NotVerified
from training_portal.prepare import Columns, Options, Redaction, prepare, subtract, verify_directory
from training_portal.prepare import subtracting as module
from training_portal.prepare.work import SUBTRACTING
from training_portal.redaction import Profile

KEYS = [KEY.public_key()]
DAY = dt.date(2025, 11, 3)


@pytest.fixture
def clean(tmp_path):
    """A data set of four members in three files."""
    permission = make_permission(tmp_path, [1, 2, 3, 5], population=8)
    raw = [
        write_raw(
            tmp_path / f"raw/{name}.parquet",
            {
                "author": [account(one) for one in authors],
                "body": [f"mail {one}@example.org" for one in authors],
            },
        )
        for name, authors in (("a", [1, 2, 1]), ("b", [2, 2]), ("c", [3, 5, 3]))
    ]
    prepare(
        raw, tmp_path / "clean", permission=permission, columns=COLUMNS, key=KEY,
        redaction=Redaction(Profile.load()), options=OPTIONS,
    )  # fmt: skip
    return tmp_path / "clean"


def renewed(tmp_path, delivered, **facts):
    return make_permission(tmp_path, delivered, population=8, delivery="DL-2026-000002", **facts)


def taken_out(clean, permission, before=(), **others):
    said = {"keys": KEYS, "key": KEY, "options": OPTIONS} | others
    return subtract(clean, permission=permission, before=before, **said)


def bytes_of(clean):
    return {one.name: one.read_bytes() for one in clean.iterdir()}


def test_who_has_left_is_gone_and_other_files_are_not_touched(tmp_path, clean):
    before = {one.name: one.stat() for one in clean.iterdir()}

    made = taken_out(clean, renewed(tmp_path, [1, 3, 5]))

    assert [row["member_number"] for row in rows_in(clean)] == [1, 1, 3, 5, 3]
    assert all(row["body"] == "mail [email]" for row in rows_in(clean))
    assert made.files == ("a.parquet", "b.parquet")
    assert not (clean / "b.parquet").exists()
    assert (clean / "c.parquet").stat() == before["c.parquet"]
    said = made.statement["predicate"]
    assert said["rows"] == {"in": 8, "kept": 5, "dropped": {"excluded": 3}}
    assert said["delivery"]["reference"] == "DL-2026-000002"
    assert said["redaction"]["hits_by_kind"] == {"email": 8}
    assert said["bytes"] == {"text": 5 * len("mail [email]")}
    assert verify_directory(clean, keys=KEYS, now=NOW).statement == made.statement
    metadata = pq.read_metadata(clean / "a.parquet").metadata
    assert metadata[b"training_portal.input"]
    assert metadata[b"training_portal.run"].decode() == said["run"]


def test_a_member_who_withdrew_after_the_renewal_is_out_too(tmp_path, clean):
    taken_out(clean, renewed(tmp_path, [1, 2, 3, 5], withdrawn=[5]))

    assert 5 not in {row["member_number"] for row in rows_in(clean)}


def test_when_everybody_stays_only_the_receipt_is_new(tmp_path, clean):
    before = bytes_of(clean)

    made = taken_out(clean, renewed(tmp_path, [1, 2, 3, 5]))

    after = bytes_of(clean)
    assert made.files == () and before.pop("receipt.json") != after.pop("receipt.json")
    assert after == before


def test_when_all_have_left_nothing_but_the_receipt_is_there(tmp_path, clean):
    made = taken_out(clean, renewed(tmp_path, [7]))

    assert list(bytes_of(clean)) == ["receipt.json"]
    assert made.rows == {"in": 8, "kept": 0, "dropped": {"excluded": 8}}
    verify_directory(clean, keys=KEYS, now=NOW)


@pytest.mark.parametrize(
    ("before", "is_out"),
    [((), True), ([(DAY - dt.timedelta(days=1), [3])], True), ([(DAY, [3])], False),
     ([(DAY + dt.timedelta(days=1), [3])], False), ([(DAY, [5])], True)],
)  # fmt: skip
def test_a_member_with_a_later_day_is_out_for_a_data_set_has_no_days(
    tmp_path, clean, before, is_out
):
    made = taken_out(
        clean,
        renewed(tmp_path, [1, 2, 3, 5], use_from={3: DAY}),
        [(day, BitMap(members)) for day, members in before],
    )

    assert (3 not in {row["member_number"] for row in rows_in(clean)}) == is_out
    assert made.rows["dropped"] == ({"before_use_from": 2} if is_out else {})


def test_the_same_delivery_another_run_and_a_lease_that_is_over_are_refused(tmp_path, clean):
    before = bytes_of(clean)
    same = make_permission(tmp_path, [1, 3, 5], population=8)

    with pytest.raises(Misuse, match="from DL-2026-000001 already"):
        taken_out(clean, same)
    with pytest.raises(LeaseOver):
        late = Options(now=lambda: dt.datetime(2027, 1, 1, tzinfo=dt.UTC))
        taken_out(clean, renewed(tmp_path, [1]), options=late)
    with pytest.raises(NotVerified, match="not known"):
        taken_out(clean, renewed(tmp_path, [1]), keys=[])

    assert bytes_of(clean) == before
    verify_directory(clean, keys=KEYS, now=NOW)


def test_a_changed_data_set_is_left_alone(tmp_path, clean):
    (clean / "c.parquet").write_bytes(b"something else")
    before = bytes_of(clean)

    with pytest.raises(NotVerified):
        taken_out(clean, renewed(tmp_path, [1]))

    assert bytes_of(clean) == before


def test_a_data_set_that_another_process_subtracts_from_is_left_alone(tmp_path, clean):
    aside = clean / SUBTRACTING
    aside.mkdir()
    (aside / "a.partial").touch()

    with (
        locks.held(aside),
        pytest.raises(Misuse, match="Another process is subtracting") as refused,
    ):
        taken_out(clean, renewed(tmp_path, [1]))

    assert refused.value.code == "busy"
    assert (aside / "a.partial").exists()


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("at", range(1, 16))
def test_a_subtraction_that_was_killed_at_any_step_goes_on_to_the_same(
    tmp_path, clean, monkeypatch, at
):
    count = 0

    def counted(function):
        def call(*args, **kwargs):
            nonlocal count
            count += 1
            if count == at:
                raise Killed
            return function(*args, **kwargs)

        return call

    with monkeypatch.context() as patch:
        for name in ("write", "place", "sync_directory"):
            patch.setattr(module.disk, name, counted(getattr(module.disk, name)))
        patch.setattr(module.Path, "unlink", counted(module.Path.unlink))
        with contextlib.suppress(Killed):
            taken_out(clean, renewed(tmp_path, [1, 3, 5]))
    was_killed = count >= at
    if was_killed and (clean / ".subtracting").exists():
        with pytest.raises(NotVerified):
            verify_directory(clean, keys=KEYS, now=NOW)

    done = json.loads((clean / "receipt.json").read_bytes()) if not was_killed else None
    if was_killed:
        try:
            taken_out(clean, renewed(tmp_path, [1, 3, 5]))
        except Misuse as error:
            # It was killed after its last step that matters.
            assert error.code == "same_delivery"
    assert [row["member_number"] for row in rows_in(clean)] == [1, 1, 3, 5, 3]
    assert not (clean / ".subtracting").exists()
    found = verify_directory(clean, keys=KEYS, now=NOW)
    assert done is None or found.envelope == done
    assert found.predicate["delivery"]["reference"] == "DL-2026-000002"


def test_what_a_killed_process_left_aside_is_no_obstacle(tmp_path, clean):
    aside = clean / ".subtracting"
    (aside / "files").mkdir(parents=True)
    (aside / "files/a.parquet.partial").write_bytes(b"half")
    (aside / "subtraction.json.partial").write_bytes(b"{")

    taken_out(clean, renewed(tmp_path, [1, 3, 5]))

    verify_directory(clean, keys=KEYS, now=NOW)
    assert sorted(bytes_of(clean)) == ["a.parquet", "c.parquet", "receipt.json"]


def test_columns_stay_as_they_are(tmp_path):
    permission = make_permission(tmp_path, [1, 2], population=2)
    raw = write_raw(
        tmp_path / "raw.parquet",
        {"author": [account(1), account(2)], "body": [None, "x"], "likes": [3, 4]},
    )
    columns = Columns("author", {"posts": ("body", "likes")}, text=("body",))
    prepare(
        [raw], tmp_path / "clean", permission=permission, columns=columns, key=KEY,
        redaction=None, options=OPTIONS,
    )  # fmt: skip
    schema = pq.read_schema(tmp_path / "clean/raw.parquet")

    taken_out(
        tmp_path / "clean",
        make_permission(tmp_path, [1], population=2, delivery="DL-2026-000002"),
    )

    assert rows_in(tmp_path / "clean") == [{"member_number": 1, "body": None, "likes": 3}]
    assert pq.read_schema(tmp_path / "clean/raw.parquet").remove_metadata() == (
        schema.remove_metadata()
    )
