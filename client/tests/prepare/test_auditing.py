import json
from hashlib import sha256

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from making import COLUMNS, KEY, NOW, OPTIONS, account, make_permission, write_raw

from training_portal import receipts
from training_portal.errors import Misuse, NotVerified
from training_portal.prepare import Redaction, audit, prepare, subtract, verify_directory
from training_portal.prepare.receipt import write
from training_portal.redaction import Profile

KEYS = [KEY.public_key()]
REDACTION = Redaction(Profile.load())


@pytest.fixture
def permission(tmp_path):
    return make_permission(tmp_path, range(1, 801), population=1000)


@pytest.fixture
def raw(tmp_path):
    """Two files of a thousand rows, a fifth of excluded members."""
    return [
        write_raw(
            tmp_path / f"raw/{name}.parquet",
            {
                "author": [account(1 + (7 * row + start) % 1000) for row in range(1000)],
                "body": [f"mail {row}@example.org about {row}" for row in range(1000)],
            },
        )
        for name, start in (("a", 0), ("b", 500))
    ]


@pytest.fixture
def clean(tmp_path, raw, permission):
    prepare(
        raw, tmp_path / "clean", permission=permission, columns=COLUMNS, key=KEY,
        redaction=REDACTION, options=OPTIONS,
    )  # fmt: skip
    return tmp_path / "clean"


def audited(clean, raw, permission, sample=100, **others):
    said = {"columns": COLUMNS, "redaction": REDACTION, "options": OPTIONS} | others
    found = verify_directory(clean, keys=KEYS, now=NOW)
    scratch = clean.parent / "scratch"
    scratch.mkdir(exist_ok=True)
    return audit(found, raw, scratch, permission=permission, sample=sample, **said)


def resigned(clean, name):
    """The receipt of a data set whose maker has changed a file and signed it again."""
    found = receipts.opened(json.loads((clean / "receipt.json").read_bytes()))
    predicate = found["predicate"]
    for one in (*predicate["outputs"],):
        data = (clean / one["name"]).read_bytes()
        one["sha256"], one["bytes"] = sha256(data).hexdigest(), len(data)
        one["rows"] = pq.read_metadata(clean / one["name"]).num_rows
    predicate["rows"]["kept"] = sum(one["rows"] for one in predicate["outputs"])
    found["subject"] = [
        {"name": one["name"], "digest": {"sha256": one["sha256"]}} for one in predicate["outputs"]
    ]
    write(clean, clean.parent, found, KEY)
    assert name in {one["name"] for one in predicate["outputs"]}


def rewritten(clean, change, name="a.parquet"):
    path = clean / name
    table = pq.read_table(path)
    metadata = pq.read_metadata(path).metadata
    kept = {key: metadata[key] for key in metadata if key.startswith(b"training_portal")}
    pq.write_table(change(table).replace_schema_metadata(kept), path)
    resigned(clean, name)


def test_a_true_data_set_is_found_equal(clean, raw, permission):
    found = audited(clean, raw, permission)

    assert (found.rows, found.sampled) == (1600, 100)
    again = audited(clean, raw, permission, seed=found.seed)
    assert again == found


def test_all_rows_can_be_made_again(clean, raw, permission):
    assert audited(clean, raw, permission, sample=10_000).sampled == 1600
    assert audited(clean, raw, permission, sample=0).sampled == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.slice(1),
        lambda table: pa.concat_tables([table, table.slice(0, 1)]),
        lambda table: table.set_column(
            0, table.schema.field(0), pa.array([900] * len(table), pa.uint32())
        ),
        lambda table: table.take(list(reversed(range(len(table))))),
    ],
    ids=["a row missing", "a row too many", "rows of an excluded member", "another order"],
)
def test_rows_that_are_not_those_that_may_be_used_are_found_without_a_sample(
    clean, raw, permission, change
):
    rewritten(clean, change)

    with pytest.raises(NotVerified, match="not those that may be used"):
        audited(clean, raw, permission, sample=0)


def test_text_that_was_not_redacted_is_found_in_a_sample(clean, raw, permission):
    def unredacted(table):
        body = ["mail 1@example.org about it"] * len(table)
        return table.set_column(1, table.schema.field(1), pa.array(body))

    rewritten(clean, unredacted)

    with pytest.raises(NotVerified, match=r"sampled rows of a\.parquet"):
        audited(clean, raw, permission, sample=20)


def test_a_file_that_was_left_out_is_found(clean, raw, permission):
    found = receipts.opened(json.loads((clean / "receipt.json").read_bytes()))
    predicate = found["predicate"]
    gone = predicate["outputs"].pop()
    found["subject"].pop()
    predicate["rows"]["kept"] -= gone["rows"]
    (clean / gone["name"]).unlink()
    write(clean, clean.parent, found, KEY)

    with pytest.raises(NotVerified, match="is not in the data set"):
        audited(clean, raw, permission)


def test_other_raw_files_are_refused(clean, raw, permission, tmp_path):
    with pytest.raises(Misuse, match="names 2 inputs"):
        audited(clean, raw[:1], permission)
    raw[0].write_bytes(raw[1].read_bytes())
    with pytest.raises(NotVerified, match="not the raw file that the receipt names"):
        audited(clean, raw, permission)


def test_a_data_set_that_members_were_taken_out_of_is_not_audited(clean, raw, permission, tmp_path):
    renewed = make_permission(tmp_path, range(1, 800), population=1000, delivery="DL-2026-000002")
    subtract(clean, permission=renewed, before=(), keys=KEYS, key=KEY, options=OPTIONS)

    with pytest.raises(Misuse, match="Members were taken out"):
        audited(clean, raw, renewed)


def test_another_delivery_or_another_way_of_redacting_is_no_audit(clean, raw, permission, tmp_path):
    other = make_permission(tmp_path, range(1, 801), population=1000, delivery="DL-2026-000009")

    with pytest.raises(Misuse, match="is of DL-2026-000001"):
        audited(clean, raw, other)
    with pytest.raises(Misuse, match="in another way"):
        audited(clean, raw, permission, redaction=None)
