import datetime as dt
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from making import COLUMNS, KEY, NOW, OPTIONS, UNTIL, account, make_permission, rows_in, write_raw

from training_portal import locks
from training_portal.errors import LeaseOver, Misuse, NotVerified
from training_portal.prepare import Columns, Options, Redaction, prepare, verify_directory
from training_portal.prepare.work import ASIDE
from training_portal.redaction import Profile

KEYS = [KEY.public_key()]
REDACTION = Redaction(Profile.load())


@pytest.fixture
def permission(tmp_path):
    return make_permission(tmp_path, [1, 2, 3, 5], population=8, withdrawn=[3])


def _prepare(inputs, output, permission, columns=COLUMNS, **others):
    said = {"redaction": REDACTION, "options": OPTIONS, "key": KEY} | others
    return prepare(inputs, output, permission=permission, columns=columns, **said)


def test_rows_of_the_delivered_come_out_redacted_and_the_receipt_says_so(tmp_path, permission):
    raw = write_raw(
        tmp_path / "raw/posts.parquet",
        {
            "author": [account(1), account(4), None, "", account(3), account(5), account(1)],
            "body": ["mail a@example.org", "no", "no", "no", "no", None, "plain"],
            "ip_address": ["192.0.2.1"] * 7,
        },
    )

    made = _prepare([raw], tmp_path / "clean", permission)

    assert rows_in(tmp_path / "clean") == [
        {"member_number": 1, "body": "mail [email]"},
        {"member_number": 5, "body": None},
        {"member_number": 1, "body": "plain"},
    ]
    said = made.statement["predicate"]
    assert said["rows"] == {
        "in": 7,
        "kept": 3,
        "dropped": {"excluded": 1, "null_member": 2, "unknown_member": 1},
    }
    assert (said["distinct_members"], said["unknown_per_mille"]) == ("1-9", 500)
    assert said["redaction"]["hits_by_kind"] == {"email": 1}
    assert said["member_column"] == {"name": "author", "type": "string"}
    assert said["inputs"][0]["schema"] == {"author": "string", "body": "string"}
    assert verify_directory(tmp_path / "clean", keys=KEYS, now=NOW).statement == made.statement
    assert sorted(one.name for one in (tmp_path / "clean").iterdir()) == [
        "posts.parquet",
        "receipt.json",
    ]


def test_numbers_need_no_list(tmp_path):
    permission = make_permission(tmp_path, [1, 2, 3], population=5, form="set")
    raw = write_raw(
        tmp_path / "raw.parquet",
        {"author": pa.array([3, -1, 4, None, 2**40, 0, 1], pa.int64()), "body": list("abcdefg")},
    )

    made = _prepare([raw], tmp_path / "clean", permission, accept_unknown="a-test")

    assert rows_in(tmp_path / "clean") == [
        {"member_number": 3, "body": "a"},
        {"member_number": 1, "body": "g"},
    ]
    assert made.rows["dropped"] == {"excluded": 1, "null_member": 1, "unknown_member": 3}
    assert made.statement["predicate"]["unknown_accepted"] == "a-test"


@pytest.mark.parametrize(
    "kind",
    [pa.date32(), pa.timestamp("us", tz="UTC"), pa.timestamp("ns", tz="America/New_York")],
)
def test_content_from_before_a_members_day_is_out(tmp_path, kind):
    permission = make_permission(tmp_path, [1, 2], population=2, use_from={1: dt.date(2025, 11, 3)})
    days = [dt.date(2025, 11, 2), dt.date(2025, 11, 3), None, dt.date(1969, 12, 31), None]
    values = pa.array(days, pa.date32()).cast(pa.timestamp("us")).cast(pa.timestamp("us", tz="UTC"))
    raw = write_raw(
        tmp_path / "raw.parquet",
        {
            "author": [account(one) for one in (1, 1, 1, 2, 2)],
            "created": values.cast(kind) if not pa.types.is_date32(kind) else pa.array(days),
            "body": list("abcde"),
        },
    )
    columns = Columns("author", {"posts": ("body",)}, ("body",), content_date="created")

    made = _prepare([raw], tmp_path / "clean", permission, columns)

    assert [row["body"] for row in rows_in(tmp_path / "clean")] == ["b", "d", "e"]
    assert made.rows["dropped"] == {"before_use_from": 2}
    assert made.statement["predicate"]["content"] == {
        "earliest": "1969-12-31",
        "latest": "2025-11-03",
    }


def test_without_a_content_date_nothing_of_a_member_with_a_day_comes_out(tmp_path):
    permission = make_permission(tmp_path, [1, 2], population=2, use_from={1: dt.date(2025, 11, 3)})
    raw = write_raw(
        tmp_path / "raw.parquet", {"author": [account(1), account(2)], "body": ["a", "b"]}
    )

    made = _prepare([raw], tmp_path / "clean", permission)

    assert [row["body"] for row in rows_in(tmp_path / "clean")] == ["b"]
    assert made.rows["dropped"] == {"before_use_from": 1}


def test_columns_of_a_category_that_the_run_does_not_use_are_dropped(tmp_path, permission):
    raw = write_raw(
        tmp_path / "raw.parquet",
        {"author": [account(1)], "body": ["a"], "job": ["b"], "likes": [3]},
    )
    columns = Columns(
        "author", {"posts": ("body", "likes"), "job-data": ("job",)}, text=("body", "job")
    )

    made = _prepare([raw], tmp_path / "clean", permission, columns)

    assert rows_in(tmp_path / "clean") == [{"member_number": 1, "body": "a", "likes": 3}]
    assert made.statement["predicate"]["data_categories"] == ["posts"]


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (["author", "Author", "author_1", "likes"], "author_1"),
        (["author", "author", "author_1", "likes"], "author_1"),
        (["Likes", "likes", "author", "likes_1"], "author"),
    ],
)
def test_a_file_of_which_the_engine_renames_columns_is_refused(tmp_path, permission, names, wanted):
    # DuckDB calls the second of `author` and `Author` by the name `Author_1`, and then takes it for `author_1`.
    def values(name):
        if name == wanted:
            return [account(1), account(4)]
        return [account(4), account(1)] if name.lower() == "author" else [10, 20]

    table = pa.Table.from_arrays([pa.array(values(one)) for one in names], names=names)
    pq.write_table(table, tmp_path / "raw.parquet")
    columns = Columns(wanted, {"posts": (names[-1],)})

    with pytest.raises(Misuse, match="columns whose names differ in case only, or not at all"):
        _prepare([tmp_path / "raw.parquet"], tmp_path / "clean", permission, columns)
    assert rows_in(tmp_path / "clean") == []


def test_a_column_of_a_name_that_the_engine_needs_is_named(tmp_path, permission):
    raw = write_raw(
        tmp_path / "raw.parquet", {"author": [account(1)], "body": ["a"], "File_Row_Number": [7]}
    )

    with pytest.raises(Misuse, match="has a column file_row_number, a name that the engine needs"):
        _prepare([raw], tmp_path / "clean", permission)


def test_files_without_a_kept_row_have_no_output(tmp_path, permission):
    inputs = [
        write_raw(tmp_path / f"raw/{one}.parquet", {"author": [account(one)], "body": ["a"]})
        for one in (1, 4, 7)
    ]

    made = _prepare(inputs, tmp_path / "clean", permission)

    assert [one["name"] for one in made.statement["predicate"]["outputs"]] == ["1.parquet"]
    assert made.rows == {"in": 3, "kept": 1, "dropped": {"unknown_member": 2}}
    verify_directory(tmp_path / "clean", keys=KEYS, now=NOW)


def test_two_files_of_the_same_rows_give_two_outputs(tmp_path, permission):
    inputs = [
        write_raw(
            tmp_path / f"raw/{one}.parquet",
            {"author": [account(1)], "body": ["a"], "unmapped": [one]},
        )
        for one in (1, 2)
    ]

    made = _prepare(inputs, tmp_path / "clean", permission)

    assert len({one["sha256"] for one in made.statement["predicate"]["outputs"]}) == 2


# --- Who is unknown ---


def test_more_unknown_authors_than_the_delivery_explains_are_refused(tmp_path):
    permission = make_permission(tmp_path, range(1, 901), population=1000)
    authors = [account(one) for one in range(1, 801)] + [f"guest-{one}" for one in range(300)]
    raw = write_raw(tmp_path / "raw.parquet", {"author": authors, "body": ["a"] * len(authors)})

    with pytest.raises(Misuse, match=r"27\.3% of the authors are not in DL-2026-000001, .* 10\.0%"):
        _prepare([raw], tmp_path / "clean", permission)
    assert rows_in(tmp_path / "clean") == []
    made = _prepare([raw], tmp_path / "clean", permission, accept_unknown="guests-wrote-too")

    assert made.statement["predicate"]["unknown_accepted"] == "guests-wrote-too"
    assert made.statement["predicate"]["unknown_per_mille"] == 273


def test_as_many_authors_as_the_delivery_leaves_out_are_no_reason_to_refuse(tmp_path):
    permission = make_permission(tmp_path, range(1, 601), population=1000)
    authors = [account(one) for one in range(1, 1001)]
    raw = write_raw(tmp_path / "raw.parquet", {"author": authors, "body": ["a"] * 1000})

    assert _prepare([raw], tmp_path / "clean", permission).rows["kept"] == 600


def test_nobody_known_is_refused_however_few_they_are(tmp_path):
    permission = make_permission(tmp_path, [1], population=1000)
    raw = write_raw(tmp_path / "raw.parquet", {"author": [account(2)], "body": ["a"]})

    with pytest.raises(Misuse, match=r"100\.0% of the authors"):
        _prepare([raw], tmp_path / "clean", permission)


def test_words_that_a_receipt_cannot_hold_are_refused(tmp_path, permission):
    raw = write_raw(tmp_path / "raw.parquet", {"author": [account(1)], "body": ["a"]})

    with pytest.raises(Misuse, match="cannot stand in a receipt"):
        _prepare([raw], tmp_path / "clean", permission, accept_unknown="ask jane@example.org")


# --- Inputs, the lease, and what is in the way ---


def test_an_input_that_is_written_to_meanwhile_is_refused(tmp_path, permission):
    raw = write_raw(tmp_path / "raw.parquet", {"author": [account(1)], "body": ["a"]})

    class Writes:
        def step(self, sentence):
            if "is prepared" in sentence:
                with raw.open("r+b") as file:
                    file.seek(20)
                    file.write(b"\0")

    with pytest.raises(Misuse, match=r"changed while it was read|cannot read"):
        _prepare(
            [raw],
            tmp_path / "clean",
            permission,
            options=Options(now=lambda: NOW, progress=Writes()),
        )
    with pytest.raises(NotVerified):
        verify_directory(tmp_path / "clean", keys=KEYS, now=NOW)


def test_an_input_that_is_replaced_meanwhile_is_refused(tmp_path, permission):
    raw = write_raw(tmp_path / "raw.parquet", {"author": [account(1)], "body": ["a"]})
    other = write_raw(tmp_path / "other.parquet", {"author": [account(2)], "body": ["b"]})

    class Replaces:
        def step(self, sentence):
            if "is prepared" in sentence:
                other.replace(raw)

    with pytest.raises(Misuse, match="changed while it was read"):
        _prepare(
            [raw],
            tmp_path / "clean",
            permission,
            options=Options(now=lambda: NOW, progress=Replaces()),
        )
    assert rows_in(tmp_path / "clean") == []


def test_a_list_that_is_not_the_sealed_one_is_refused(tmp_path, permission):
    raw = write_raw(tmp_path / "raw.parquet", {"author": [account(1)], "body": ["a"]})
    path = permission.files[0].path
    path.write_bytes(path.read_bytes() + b"\0")

    with pytest.raises(NotVerified, match="not the file that the ledger seals"):
        _prepare([raw], tmp_path / "clean", permission)


def test_a_list_with_one_account_for_two_members_is_refused(tmp_path):
    permission = make_permission(tmp_path, [1, 2], population=2, accounts={2: account(1)})
    raw = write_raw(tmp_path / "raw.parquet", {"author": [account(1)], "body": ["a"]})

    with pytest.raises(NotVerified, match="one account for two members"):
        _prepare([raw], tmp_path / "clean", permission)


def test_a_lease_that_ends_while_data_is_prepared_ends_without_a_receipt(tmp_path, permission):
    raw = write_raw(tmp_path / "raw.parquet", {"author": [account(1)], "body": ["a"]})
    times = iter([NOW, NOW, UNTIL])

    with pytest.raises(LeaseOver):
        _prepare([raw], tmp_path / "clean", permission, options=Options(now=lambda: next(times)))
    with pytest.raises(NotVerified, match="no receipt"):
        verify_directory(tmp_path / "clean", keys=KEYS, now=NOW)


def test_a_directory_with_other_files_is_left_alone(tmp_path, permission):
    raw = write_raw(tmp_path / "raw.parquet", {"author": [account(1)], "body": ["a"]})
    kept = write_raw(tmp_path / "clean/raw.parquet", {"a": [1]})
    before = kept.read_bytes()

    with pytest.raises(Misuse, match="1 other files"):
        _prepare([raw], tmp_path / "clean", permission)
    assert kept.read_bytes() == before


def test_a_data_set_is_not_made_twice(tmp_path, permission):
    raw = write_raw(tmp_path / "raw.parquet", {"author": [account(1)], "body": ["a"]})
    _prepare([raw], tmp_path / "clean", permission)

    with pytest.raises(Misuse, match="is a data set already"):
        _prepare([raw], tmp_path / "clean", permission)
    verify_directory(tmp_path / "clean", keys=KEYS, now=NOW)


def test_a_directory_that_another_process_prepares_is_left_alone(tmp_path, permission):
    raw = write_raw(tmp_path / "raw.parquet", {"author": [account(1)], "body": ["a"]})
    aside = tmp_path / "clean" / ASIDE
    aside.mkdir(parents=True)
    (aside / "journal.json").write_text("{}")

    with locks.held(aside), pytest.raises(Misuse, match="Another process is preparing") as refused:
        _prepare([raw], tmp_path / "clean", permission)

    assert refused.value.code == "busy"
    assert (aside / "journal.json").read_text() == "{}"


# --- What verify refuses ---


def _data_set(tmp_path, permission):
    raw = write_raw(tmp_path / "raw/a.parquet", {"author": [account(1)], "body": ["a"]})
    other = write_raw(tmp_path / "raw/b.parquet", {"author": [account(2)], "body": ["b"]})
    _prepare([raw, other], tmp_path / "clean", permission)
    return tmp_path / "clean"


def _flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _forge(path):
    said = json.loads(path.read_bytes())
    said["payload"] = said["payload"][:-8] + "AAAA" + said["payload"][-4:]
    path.write_bytes(json.dumps(said).encode())


@pytest.mark.parametrize(
    "harm",
    [
        lambda clean: _flip(clean / "a.parquet"),
        lambda clean: (clean / "a.parquet").unlink(),
        lambda clean: (clean / "a.parquet").rename(clean / "c.parquet"),
        lambda clean: (clean / "c.parquet").write_bytes((clean / "a.parquet").read_bytes()),
        lambda clean: (clean / "receipt.json").unlink(),
        lambda clean: _forge(clean / "receipt.json"),
        lambda clean: (clean / ".preparing").mkdir(),
        lambda clean: (
            (clean / "b.parquet").rename(clean.parent / "b"),
            (clean / "b.parquet").symlink_to(clean.parent / "b"),
        ),
    ],
)
def test_a_directory_that_was_changed_is_no_data_set(tmp_path, permission, harm):
    clean = _data_set(tmp_path, permission)
    verify_directory(clean, keys=KEYS, now=NOW)

    harm(clean)

    with pytest.raises(NotVerified):
        verify_directory(clean, keys=KEYS, now=NOW)


def test_a_data_set_is_of_a_known_key_of_its_run_and_within_its_lease(tmp_path, permission):
    clean = _data_set(tmp_path, permission)

    with pytest.raises(NotVerified, match="a key that is not known"):
        verify_directory(clean, keys=[Ed25519PrivateKey.generate().public_key()], now=NOW)
    with pytest.raises(NotVerified, match="not of TR-2026-000013"):
        verify_directory(clean, keys=KEYS, now=NOW, run="TR-2026-000013")
    with pytest.raises(LeaseOver):
        verify_directory(clean, keys=KEYS, now=UNTIL)


def test_the_metadata_of_a_file_names_its_raw_file(tmp_path, permission):
    clean = _data_set(tmp_path, permission)
    said = verify_directory(clean, keys=KEYS, now=NOW).predicate

    metadata = pq.read_metadata(clean / "a.parquet").metadata

    assert metadata[b"training_portal.input"].decode() == said["inputs"][0]["sha256"]
