"""Types and empty values with which data libraries give out other people's rows: refused, or exact, in every kind of frame."""

import datetime as dt
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

sys.path.insert(0, str(Path(__file__).parent / "prepare"))
from making import NOW, account, make_permission

from training_portal.errors import Misuse
from training_portal.frames import keep

DAY = dt.date(2024, 5, 1)
MAKERS: dict[str, Any] = {
    "arrow": pa.table,
    "batch": lambda columns: pa.table(columns).combine_chunks().to_batches()[0],
    "pandas": lambda columns: pa.table(columns).to_pandas(),
    "pandas-arrow": lambda columns: pa.table(columns).to_pandas(types_mapper=pd.ArrowDtype),
    "polars": lambda columns: pl.from_arrow(pa.table(columns)),
    "duckdb": lambda columns: duckdb.connect().from_arrow(pa.table(columns)),
}


@pytest.fixture(params=MAKERS)
def make(request):
    return MAKERS[request.param]


@pytest.fixture
def permission(tmp_path):
    """1, 2 and 5 may be used, 5 from a day on; 3 has withdrawn; 4 and 6 are left out."""
    return make_permission(
        tmp_path, [1, 2, 3, 5], population=6, withdrawn=[3], use_from={5: DAY}, accounts={2: "007"}
    )


def _keep(frame, permission, **said):
    said = {
        "member_column": "author",
        "now": NOW,
        "accept_unknown": "rows-of-a-test",
    } | said
    return keep(frame, permission=permission, **said)


def _rows(frame):
    """The places that are left in a frame, of whatever kind."""
    if isinstance(frame, duckdb.DuckDBPyRelation):
        frame = frame.to_arrow_table()
    column = frame["place"]
    return column.to_pylist() if isinstance(column, pa.ChunkedArray | pa.Array) else list(column)


def _columns(authors, **more):
    return {"author": authors, "place": pa.array(range(len(authors))), **more}


A = account(1)
STRANGE = [
    A.upper(),
    f"{A} ",
    f" {A}",
    f"{A}\0",
    f"\ufeff{A}",
    A.replace("a", "а"),
    "7",
    "07",
    "acct-1",
]
EXACT = {
    "accounts": (pa.array([A, "007", account(3), account(4), "nobody"]), [0, 1]),
    "large strings": (pa.array([account(4), A], pa.large_string()), [1]),
    "a dictionary": (pa.array([A, account(4), A, None]).dictionary_encode(), [0, 2]),
    "empty authors": (pa.array([None, A, "", " "]), [1]),
    "no account but nearly": (pa.array([*STRANGE, A]), [len(STRANGE)]),
    "another way to write a letter": (pa.array(["é", "e\u0301", A]), [2]),
    "numbers": (pa.array([1, 4, 2, 0, -1, 3, 2**32 + 1], pa.int64()), [0, 2]),
    "numbers of another width": (pa.array([255, 2, 6], pa.uint8()), [1]),
}
REFUSED = {
    "floats": pa.array([1.0, 2.0]),
    "a float beside an empty value": pa.array([1.0, None]),
    "only empty values": pa.nulls(2),
    "booleans": pa.array([True, False]),
    "bytes": pa.array([A.encode(), b"x"]),
    "decimals": pa.array([Decimal(1), Decimal(2)]),
    "days": pa.array([DAY, DAY]),
    "lists of accounts": pa.array([[A], []]),
}


@pytest.mark.parametrize("case", EXACT)
def test_authors_are_matched_exactly(make, permission, case):
    authors, kept = EXACT[case]
    frame = make(_columns(authors))

    result = _keep(frame, permission)

    assert _rows(result) == kept
    assert type(result) is type(frame)


def test_views_of_strings_are_matched_or_refused_in_a_sentence(make, permission):
    frame = make(_columns(pa.array([account(4), A], pa.string_view())))
    try:
        kept = _keep(frame, permission)
    except Misuse as refused:
        assert refused.code == "frame"
    else:
        assert _rows(kept) == [1]


@pytest.mark.parametrize("case", REFUSED)
def test_other_types_are_refused_and_never_cast(make, permission, case):
    with pytest.raises(Misuse) as refused:
        _keep(make(_columns(REFUSED[case])), permission)
    assert refused.value.code == "member_type"


def test_integers_are_never_accounts_and_digits_are_never_numbers(make, permission):
    """The trap of Spark: 7 found the member whose account is 007."""
    assert _rows(_keep(make(_columns(pa.array([7, 2]))), permission)) == [1]
    assert _rows(_keep(make(_columns(pa.array(["7", "2", "007"]))), permission)) == [2]


@pytest.mark.parametrize(
    "authors",
    [
        pd.Series([1, A], dtype=object),
        pd.Series([1.0, None], dtype=object),
        pd.Series([1, np.nan]),
        pd.Series([1, 2], dtype="category"),
        pd.Series([b"x", A], dtype=object),
        pd.Series(["\ud800", A], dtype=object),
        pd.Series([2**70, 1], dtype=object),
        pd.Series([None, None], dtype=object),
    ],
)
def test_columns_of_several_types_in_pandas_are_refused_without_a_value(permission, authors):
    with pytest.raises(Misuse) as refused:
        _keep(pd.DataFrame({"author": authors, "place": [0, 1]}), permission)
    assert A not in str(refused.value)
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


def test_what_pandas_means_by_empty_is_nobody(permission):
    frame = pd.DataFrame(
        {"author": pd.Series([A, None, np.nan, pd.NA, ""], dtype=object), "place": range(5)}
    )
    frame.index = [7, 7, 7, 7, 7]
    assert _rows(_keep(frame, permission)) == [0]
    numbers = pd.DataFrame({"author": pd.array([1, None, 4], dtype="Int64"), "place": range(3)})
    assert _rows(_keep(numbers, permission)) == [0]


def test_a_member_with_a_first_day_is_kept_from_it_on(make, permission):
    columns = _columns(
        pa.array([account(5)] * 3 + [A]),
        day=pa.array([DAY - dt.timedelta(1), DAY, None, None], pa.date32()),
        at=pa.array(
            [dt.datetime(2024, 4, 30, 23, 59, 59, 999_999), dt.datetime(2024, 5, 1), None, None],
            pa.timestamp("us", "UTC"),
        ),
        naive=pa.array(
            [dt.datetime(2024, 4, 30, 23, 59), dt.datetime(2024, 5, 1), None, None],
            pa.timestamp("us"),
        ),
    )
    frame = make(columns)

    assert _rows(_keep(frame, permission)) == [3]
    assert _rows(_keep(frame, permission, content_date="at")) == [1, 3]
    assert _rows(_keep(frame, permission, content_date="naive", content_date_is_utc=True)) == [1, 3]
    with pytest.raises(Misuse, match="time zone"):
        _keep(frame, permission, content_date="naive")
    assert _rows(_keep(frame, permission, content_date="day")) == [1, 3]


def test_a_column_that_is_missing_or_there_twice_is_named(make, permission):
    with pytest.raises(Misuse, match="No columns are named author"):
        _keep(make({"writer": pa.array([A])}), permission)
    with pytest.raises(Misuse, match="No columns are named written"):
        _keep(make(_columns(pa.array([A]))), permission, content_date="written")
    for columns in (
        pd.DataFrame([[A, A]], columns=["author", "author"]),
        pa.table([[A], [A]], ["author", "author"]),
    ):
        with pytest.raises(Misuse, match="2 columns are named"):
            _keep(columns, permission)


def test_no_list_is_needed_for_numbers_and_one_is_for_accounts(make, tmp_path):
    permission = make_permission(tmp_path, [1, 2], population=3, form="set")
    assert _rows(_keep(make(_columns(pa.array([3, 2]))), permission)) == [1]
    with pytest.raises(Misuse, match="has no list"):
        _keep(make(_columns(pa.array([A]))), permission)


def test_other_columns_keep_their_types_in_a_relation_of_duckdb(permission):
    connection = duckdb.connect()
    connection.execute("CREATE TABLE names AS SELECT 1 AS place, 'one' AS name")
    relation = connection.sql(
        f"SELECT * FROM (VALUES ('{A}', 1), ('x', 2)) AS t(author, place),"
        " (SELECT 'a'::ENUM('a', 'b') AS e, 2::HUGEINT AS h, uuid() AS u, 1.5::DECIMAL(5, 2) AS d)"
    )
    kept = _keep(relation, permission)
    again = _keep(relation.filter("place = 2"), permission)
    assert (kept.types, kept.columns) == (relation.types, relation.columns)
    assert again.fetchall() == []
    assert len(kept.fetchall()) == 1
    assert connection.sql("SELECT name FROM kept JOIN names USING (place)").fetchall() == [("one",)]


def test_a_frame_without_rows_stays_one(make, permission):
    columns = {"author": pa.array([], pa.string()), "place": pa.array([], pa.int64())}
    frame = pa.RecordBatch.from_pydict(columns) if make is MAKERS["batch"] else make(columns)
    assert _rows(_keep(frame, permission)) == []
