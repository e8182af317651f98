"""The rows of a data frame that may be used: one guarded function for pandas, Polars, Arrow, DuckDB and Spark.

    kept = keep(frame, permission=permission, member_column="author")

It gives a frame of the same kind. A row stays because its author is in the delivery; types are refused, never cast; a row
without an author is out. For a data set with a receipt use `training_portal.prepare`: this makes none.
"""

import datetime as dt
import uuid
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from training_portal.errors import Misuse
from training_portal.permission import Permission
from training_portal.prepare import quality
from training_portal.prepare.inputs import check_lists, is_ambiguous
from training_portal.prepare.members import Members, Numbers, days_of, numbers_of
from training_portal.prepare.preparing import check_lease
from training_portal.prepare.types import check_days, member_type

_MAX_NAMES: Final = 5


def keep(
    frame: Any,
    *,
    permission: Permission,
    member_column: str,
    content_date: str | None = None,
    content_date_is_utc: bool = False,
    accept_unknown: str = "",
    now: dt.datetime | None = None,
) -> Any:
    """The rows of the frame whose members may be used, in their order (Spark has none).

    :param frame: a pandas or Polars DataFrame, an Arrow Table or RecordBatch, a DuckDB relation, or a Spark DataFrame.
    :param member_column: accounts as text, or member numbers as integers.
    :param content_date: the date or timestamp of the content; without it every row of a member who has a first day is out.
    :param content_date_is_utc: whether timestamps without a zone are in UTC; they are refused otherwise.
    :param accept_unknown: why more authors are unknown than the delivery explains.
    Raises Misuse, LeaseOver, NotVerified.
    """
    check_lease(permission, now or dt.datetime.now(dt.UTC))
    quality.check_words(accept_unknown)
    module = type(frame).__module__.partition(".")[0]
    if type(frame).__module__.startswith("pyspark.sql"):
        from training_portal.spark import keep_in_spark

        return keep_in_spark(
            frame,
            permission=permission,
            member_column=member_column,
            content_date=content_date,
            accept_unknown=accept_unknown,
        )
    if module not in _KINDS:
        raise Misuse(
            f"A {type(frame).__qualname__} is no frame that can be filtered.",
            "A pandas or Polars DataFrame, an Arrow Table, a DuckDB relation or a Spark DataFrame.",
            code="frame",
        )
    frame, column_of, filtered = _KINDS[module](frame)
    authors = _whole(column_of(member_column))
    dates = None
    if content_date is not None:
        dates = _whole(column_of(content_date))
        check_days(dates.type, content_date, is_utc=content_date_is_utc)
    members = Members(permission)
    numbers = _numbers(authors, member_column, permission)
    quality.check(_quality(authors, numbers, members), permission, accept_unknown)
    verdict = members.judge(numbers, None if dates is None else days_of(dates))
    try:
        return filtered(verdict.kept)
    except pa.ArrowNotImplementedError:
        raise Misuse(
            "PyArrow cannot select rows of a type in the frame, such as string_view.",
            "Give text the type string or large_string.",
            code="frame",
        ) from None


# --- The decision -------------------------------------------------------------------------------


def _numbers(authors: Any, name: str, permission: Permission) -> Numbers:
    """The member number of each row, 0 where the row has no member. Raises Misuse for a type that is not taken."""
    if member_type(authors.type, name) == "number":
        return numbers_of(authors)
    if pa.types.is_dictionary(authors.type):
        authors = authors.dictionary_decode()
    accounts, numbers = accounts_of(permission)
    places = pc.index_in(authors.cast(pa.large_string()), value_set=accounts)
    known = pc.is_valid(places).to_numpy(zero_copy_only=False)
    found: Numbers = np.where(
        known, numbers[pc.fill_null(places, 0).to_numpy(zero_copy_only=False)], 0
    ).astype(np.uint32)
    return found


def accounts_of(permission: Permission) -> tuple[Any, Numbers]:
    """The accounts of a delivery and their member numbers, as the ledger seals the lists. Raises Misuse, NotVerified."""
    check_lists(permission)
    table = pa.concat_tables(
        pq.read_table(file.path, columns=["member_number", "account_ref"])
        for file in permission.files
    )
    accounts = _whole(table["account_ref"]).cast(pa.large_string())
    if pc.count_distinct(accounts).as_py() != len(table) or pc.any(pc.equal(accounts, "")).as_py():
        raise is_ambiguous(permission)
    return accounts, table["member_number"].to_numpy().astype(np.uint32)


def _quality(authors: Any, numbers: Numbers, members: Members) -> quality.Quality:
    """The count of distinct authors, and the count of those that the delivery has."""
    decoded = authors.dictionary_decode() if pa.types.is_dictionary(authors.type) else authors
    is_there = pc.is_valid(decoded).to_numpy(zero_copy_only=False)
    if not pa.types.is_integer(decoded.type):
        decoded = decoded.cast(pa.large_string())
        is_there &= pc.fill_null(pc.not_equal(decoded, ""), False).to_numpy(zero_copy_only=False)
    known = members.has(numbers) & is_there
    named = decoded.filter(pa.array(is_there))
    return quality.Quality(pc.count_distinct(named).as_py(), len(np.unique(numbers[known])))


# --- The kinds of frames ------------------------------------------------------------------------

Kind = tuple[Any, Callable[[str], Any], Callable[[Any], Any]]
"""The frame, what gives a column of it as Arrow, and what keeps the rows of a mask."""


def _of_arrow(frame: Any) -> Kind:
    return (
        frame,
        lambda name: frame.column(only(name, frame.schema.names)),
        lambda mask: frame.filter(pa.array(mask)),
    )


def _of_duckdb(frame: Any) -> Kind:
    # Once: a relation is asked anew each time, and may give its rows in another order.
    table = frame.to_arrow_table()
    _, column_of, filtered = _of_arrow(table)

    def relation_of(mask: Any) -> Any:
        rows = filtered(mask)
        names = ['"' + name.replace('"', '""') + '"' for name in frame.columns]
        # Arrow knows no ENUM, UUID or HUGEINT: their values go back to the type that they had.
        columns = [
            f"CAST({name} AS {kind}) AS {name}"
            for name, kind in zip(names, frame.types, strict=True)
        ]
        # On the relation's own connection, or it could not be joined with what is there. DuckDB finds `rows` by its name.
        result = frame.query(f"kept_{uuid.uuid4().hex}", f"SELECT {', '.join(columns)} FROM rows")
        del rows
        return result

    return table, column_of, relation_of


def _of_polars(frame: Any) -> Kind:
    import polars

    if not isinstance(frame, polars.DataFrame):
        raise Misuse(
            f"A {type(frame).__qualname__} has no rows yet.",
            "Collect it first: keep(frame.collect(), …).",
            code="frame",
        )
    return (
        frame,
        lambda name: frame.get_column(only(name, frame.columns)).to_arrow(),
        lambda mask: frame.filter(polars.Series(mask)),
    )


def _of_pandas(frame: Any) -> Kind:
    def column_of(name: str) -> Any:
        values = frame[only(name, [str(one) for one in frame.columns])]
        try:
            return pa.Array.from_pandas(values)
        except (pa.ArrowException, UnicodeError, OverflowError):
            # Without the error itself, which has the value.
            raise Misuse(
                f"The column {name} has values of several types or no values of its type, and nothing is cast.",
                "Give it one type: accounts as text, numbers as Int64, days as dates.",
                code="member_type",
            ) from None

    return frame, column_of, lambda mask: frame[mask]


_KINDS: Final[dict[str, Callable[[Any], Kind]]] = {
    "pyarrow": _of_arrow,
    "duckdb": _of_duckdb,
    "_duckdb": _of_duckdb,
    "polars": _of_polars,
    "pandas": _of_pandas,
}


def only(name: str, names: Sequence[str]) -> str:
    """The name, where exactly one column has it. Raises Misuse."""
    if names.count(name) != 1:
        raise Misuse(
            f"{names.count(name) or 'No'} columns are named {name}.",
            f"Name one of: {', '.join(names[:_MAX_NAMES])}.",
            code="columns",
        )
    return name


def _whole(column: Any) -> Any:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
