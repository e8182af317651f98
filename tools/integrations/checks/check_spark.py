"""PySpark in local mode keeps the rows that DuckDB keeps, and refuses what it would cast."""

import datetime as dt
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
from making import KEY, NOW, OPTIONS, account, make_permission, rows_in, write_raw
from pyspark.sql import SparkSession

from training_portal.errors import Misuse
from training_portal.frames import keep
from training_portal.prepare import Columns, prepare, verify_directory

ROWS = 20_000
MEMBERS = 2_000
FIRST = dt.date(2024, 5, 1)
MIDNIGHT = dt.datetime(2024, 5, 1, tzinfo=dt.UTC)
STRANGE = [None, "", " ", "no-member", account(1).upper(), f"{account(1)} ", f"{account(1)}\0", "1"]


def digest(rows) -> str:
    """SHA-256 over the canonical rows in sorted order."""
    return sha256("\n".join(sorted(repr(tuple(row)) for row in rows)).encode()).hexdigest()


def refuses(frame, permission, code, **said) -> None:
    try:
        keep(frame, permission=permission, now=NOW, accept_unknown="a-check", **said)
    except Misuse as refused:
        assert refused.code == code, refused
    else:
        raise SystemExit(f"Spark takes {frame.schema.simpleString()}.")


here = Path.cwd()
permission = make_permission(
    here,
    [one for one in range(1, MEMBERS + 1) if one % 3],
    population=MEMBERS,
    withdrawn=[4, 5],
    use_from=dict.fromkeys(range(10, MEMBERS, 30), FIRST),
    accounts={7: "007"},
)
authors = [
    STRANGE[at // 50 % len(STRANGE)] if at % 50 == 0 else account(at % (MEMBERS + 100))
    for at in range(ROWS)
] + ["007", "7"]
# Around the first moment of the first day, in UTC; the session is elsewhere.
written = [
    None if at % 11 == 0 else MIDNIGHT + dt.timedelta(microseconds=at % 3 - 1, days=at % 7 // 3)
    for at in range(len(authors))
]
raw = write_raw(
    here / "raw" / "posts.parquet",
    {
        "author": pa.array(authors, pa.string()),
        "written": pa.array(written, pa.timestamp("us", "UTC")),
        "body": [f"Post {at}" for at in range(len(authors))],
    },
)
columns = Columns("author", {"posts": ("body",)}, verbatim=("body",), content_date="written")
said = {"permission": permission, "accept_unknown": "a-check"}
prepare([raw], here / "clean", columns=columns, key=KEY, redaction=None, options=OPTIONS, **said)
verify_directory(here / "clean", keys=[KEY.public_key()], now=NOW)
of_duckdb = [(row["body"],) for row in rows_in(here / "clean")]

spark = (
    SparkSession.builder.master("local[2]")
    .config("spark.ui.enabled", "false")
    .config("spark.driver.host", "127.0.0.1")
    .config("spark.driver.bindAddress", "127.0.0.1")
    .config("spark.sql.shuffle.partitions", "2")
    .config("spark.sql.session.timeZone", "America/New_York")
    .getOrCreate()
)
try:
    frame = spark.read.parquet(str(raw))
    kept = keep(frame, member_column="author", content_date="written", now=NOW, **said)
    assert kept.columns == frame.columns
    of_spark = [(row["body"],) for row in kept.select("body").collect()]
    assert 0 < len(of_duckdb) < ROWS
    assert len(of_spark) == len(of_duckdb), (len(of_spark), len(of_duckdb))
    assert digest(of_spark) == digest(of_duckdb)
    print(f"{len(of_spark):,} of {len(authors):,} rows, the same as DuckDB's: {digest(of_spark)}")

    # Without a column of dates, no member who has a first day.
    dateless = keep(frame.drop("written"), member_column="author", now=NOW, **said)
    assert 0 < dateless.count() < ROWS
    assert {row["author"] for row in dateless.collect()}.isdisjoint(
        {account(one) for one in range(10, MEMBERS, 30)}
    )
    # 7 is the member's number and never the account 007.
    numbers = spark.createDataFrame([(7,), (3,), (4,), (None,)], "author bigint")
    assert [
        row["author"] for row in keep(numbers, member_column="author", now=NOW, **said).collect()
    ] == [7]

    refuses(
        spark.createDataFrame([(7.0,)], "author double"),
        permission,
        "member_type",
        member_column="author",
    )
    refuses(
        spark.createDataFrame([(b"x",)], "author binary"),
        permission,
        "member_type",
        member_column="author",
    )
    refuses(
        spark.createDataFrame([(None,)], "author void"),
        permission,
        "member_type",
        member_column="author",
    )
    refuses(
        spark.createDataFrame([(True,)], "author boolean"),
        permission,
        "member_type",
        member_column="author",
    )
    refuses(
        spark.sql("SELECT '007' COLLATE UTF8_LCASE AS author"),
        permission,
        "member_type",
        member_column="author",
    )
    refuses(
        spark.sql("SELECT '007' AS author, TIMESTAMP_NTZ '2024-05-01 00:00:00' AS written"),
        permission,
        "content_date_type",
        member_column="author",
        content_date="written",
    )
    try:
        keep(frame, permission=permission, member_column="body", now=NOW)
    except Misuse as refused:
        assert refused.code == "unknown_members", refused
    else:
        raise SystemExit("A column that has no authors is taken for one.")
    print("other types, a collation, times without a zone and a wrong column are refused")
finally:
    spark.stop()
