"""PySpark in local mode prepares the data set that DuckDB prepares: the same files to the byte, and a receipt that verifies."""

import datetime as dt
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from making import KEY, NOW, OPTIONS, account, make_permission, rows_in, write_raw
from pyspark.sql import SparkSession

from training_portal.errors import Misuse
from training_portal.prepare import Columns, Redaction, prepare, verify_directory
from training_portal.redaction import KnownValue, Profile

os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
ROWS, MEMBERS, FILES = 9_000, 2_000, 4
MIDNIGHT = dt.datetime(2024, 5, 1, tzinfo=dt.UTC)
STRANGE = [None, "", " ", "no-member", account(1).upper(), f"{account(1)} ", f"{account(1)}\0", "1"]
SPARK = replace(OPTIONS, engine="spark")
REDACTION = Redaction(Profile.load())

here = Path.cwd()
permission = make_permission(
    here,
    [one for one in range(1, MEMBERS + 1) if one % 3],
    population=MEMBERS,
    withdrawn=[4, 5],
    use_from=dict.fromkeys(range(10, MEMBERS, 30), MIDNIGHT.date()),
    accounts={7: "007"},
)
columns = Columns(
    "author",
    {"posts": ("body", "likes", "written")},
    text=("body",),
    content_date="written",
)


def posts(at: int) -> Mapping[str, Any]:
    """The rows of a raw file; the first one has none."""
    places = range(ROWS if at else 0)
    authors = [
        STRANGE[one // 50 % len(STRANGE)] if one % 50 == 0 else account((one * 7 + at) % MEMBERS)
        for one in places
    ]
    written = [
        None if one % 11 == 0 else MIDNIGHT + dt.timedelta(microseconds=one % 3 - 1, days=one % 2)
        for one in places
    ]
    return {
        "author": pa.array(authors, pa.string()),
        "written": pa.array(written, pa.timestamp("us", "UTC")),
        "likes": pa.array(places, pa.int32()),
        "body": pa.array([f"Post {one}, a{one}@example.org" for one in places], pa.string()),
        "ignored": pa.array(places, pa.int64()),
    }


def made(inputs: Sequence[Path], name: str, **said: Any) -> Any:
    facts = {
        "permission": permission, "columns": columns, "key": KEY, "redaction": REDACTION,
        "accept_unknown": "a-check", "options": SPARK, **said,
    }  # fmt: skip
    return prepare(inputs, here / name, **facts)


def refuses(inputs: Sequence[Path], name: str, words: str, **said: Any) -> None:
    try:
        made(inputs, name, **said)
    except Misuse as refused:
        assert words in str(refused), refused
        assert not (here / name / "receipt.json").exists()
    else:
        raise SystemExit(f"Spark does not refuse: {words}")


# Directories that look like partitions, and a name with a blank.
raw = [write_raw(here / f"raw files/y={at % 2}/p{at}.parquet", posts(at)) for at in range(FILES)]
of_duckdb = made(raw, "of-duckdb", options=OPTIONS).statement

# In a session of its own.
of_spark = made(raw, "of-spark").statement
assert of_spark == of_duckdb, "The statements differ."
verify_directory(here / "of-spark", keys=[KEY.public_key()], now=NOW)
said = of_spark["predicate"]
assert len(said["outputs"]) == FILES - 1 and 0 < said["rows"]["kept"] < said["rows"]["in"]
assert said["redaction"]["hits_by_kind"]["email"] == said["rows"]["kept"]
print(
    f"{said['rows']['kept']:,} of {said['rows']['in']:,} rows in {FILES - 1} files, to the byte as DuckDB's"
)

# In a session that is there already, in another time zone; its settings stay.
spark = (
    SparkSession.builder.master("local[2]")
    .config("spark.ui.enabled", "false")
    .config("spark.io.encryption.enabled", "false")
    .config("spark.sql.shuffle.partitions", "2")
    .config("spark.sql.session.timeZone", "America/New_York")
    .getOrCreate()
)
try:
    assert made(raw, "of-session").statement == of_duckdb
    assert spark.conf.get("spark.sql.session.timeZone") == "America/New_York"
    assert spark.conf.get("spark.sql.caseSensitive") == "false"

    # Member numbers need no list, and 7 is no account.
    numbers = write_raw(
        here / "numbers.parquet",
        {
            "author": pa.array([7, 3, 4, None, 2**40, -1, 10, 7], pa.int64()),
            "body": ["one", "out", "withdrawn", "none", "far", "below", "no date", "two"],
        },
    )
    by_number = Columns("author", {"posts": ("body",)}, text=("body",))
    with_numbers = made([numbers], "with-numbers", columns=by_number).statement["predicate"]
    assert [row["body"] for row in rows_in(here / "with-numbers")] == ["one", "two"]
    assert with_numbers["rows"]["dropped"] == {
        "before_use_from": 1, "excluded": 2, "null_member": 1, "unknown_member": 2,
    }, with_numbers["rows"]  # fmt: skip

    other = write_raw(
        here / "raw files/y=1/other.parquet",
        {**posts(1), "likes": pa.array(range(ROWS), pa.int64())},
    )
    refuses([raw[1], other], "refused-types", "another type")
    wide = write_raw(
        here / "wide.parquet", {**posts(1), "likes": pa.array(range(ROWS), pa.uint64())}
    )
    refuses([wide], "refused-wide", "would change the type of likes")
    odd = write_raw(here / "odd[1]/posts.parquet", posts(1))
    refuses([odd], "refused-pattern", "takes for a pattern")
    table = pa.table(posts(1)).append_column("Author", pa.array(["x"] * ROWS))
    pq.write_table(table, here / "twice.parquet")
    refuses([here / "twice.parquet"], "refused-case", "differ in case")
    wrong = Columns("body", {"posts": ("likes",)})
    refuses(raw, "refused-unknown", "are not in", columns=wrong, accept_unknown="")
    people = Redaction(Profile.load(), known_values=(KnownValue("name", "Quilla Zebrowski", 1),))
    refuses(raw, "refused-people", "spark.io.encryption.enabled", redaction=people)
    print(
        "other types, a pattern, names in two cases, a wrong column and values of people are refused"
    )
finally:
    spark.stop()
