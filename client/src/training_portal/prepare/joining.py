"""The exact join of raw rows with the members of a delivery, by DuckDB, as Arrow batches in the file's order."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import duckdb
import numpy as np

from training_portal.errors import Misuse, NotVerified
from training_portal.permission import Permission
from training_portal.prepare.columns import Columns
from training_portal.prepare.inputs import Inputs, Raw, check_lists, is_ambiguous
from training_portal.prepare.members import Members, Numbers, numbers_of
from training_portal.prepare.quality import Authors, Quality
from training_portal.prepare.types import CONTENT_DATE, ROW, MemberType

MEMORY_MB: Final = 600
"""Memory that DuckDB takes before it spills to the directory it was given."""
_ROW_NUMBER: Final = "file_row_number"
"""The column that DuckDB adds to a file."""
_ROWS: Final = 1 << 18
"""Authors that are looked at together."""


@dataclass(frozen=True)
class Matched:
    """The members of the rows of a file."""

    numbers: Numbers
    """The member number of each row, 0 where the row has no member."""
    without_author: int
    """Rows whose author is empty."""


class Joiner:
    """An engine that knows the members of a permission. `scratch` is a private directory for what memory does not hold.

    It goes over each file twice. First over the authors alone, which gives a member number or none for each row: a join
    gives rows in any order, and a number for each place does not mind. Then over the columns, in the file's order.
    """

    def __init__(
        self,
        permission: Permission,
        columns: Columns,
        kind: MemberType,
        scratch: Path,
        *,
        threads: int | None = None,
        memory_mb: int = MEMORY_MB,
    ) -> None:
        self._columns = columns
        self._kind = kind
        self._scratch = scratch
        self._members = Members(permission)
        settings: dict[str, Any] = {
            "memory_limit": f"{memory_mb}MB",
            "temp_directory": str(scratch),
            # Nothing is fetched, and no file is remembered by a name that another one may have by then.
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "enable_external_file_cache": False,
            "preserve_insertion_order": True,
        }
        if threads is not None:
            settings["threads"] = threads
        self._connection = duckdb.connect(":memory:", config=settings)
        self._connection.execute("SET enable_progress_bar = false")
        self._connection.execute("SET TimeZone = 'UTC'")
        if kind == "string":
            load_accounts(self._connection, permission)

    def __enter__(self) -> "Joiner":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.close()

    def match(self, inputs: Inputs) -> tuple[Quality, dict[str, Matched]]:
        """The match of the authors of all inputs with the delivery, and the members of the rows, by the name of the input."""
        for raw in inputs:
            self._check_names(raw)
        authors = Authors()
        # Four bytes a row: beyond 128 MB they are kept in the scratch directory.
        in_memory = inputs.rows <= 1 << 25
        matched = {
            raw.name: self._match(raw, authors, None if in_memory else self._scratch / f"{at}.rows")
            for at, raw in enumerate(inputs)
        }
        return authors.quality(), matched

    def _check_names(self, raw: Raw) -> None:
        """Raises Misuse where the engine knows a column by another name than the file does.

        Of `author` and `Author` it calls the second one `Author_1`, and then reads it where `author_1` is asked for.
        """
        if _ROW_NUMBER in map(str.lower, raw.schema.names):
            raise Misuse(
                f"{raw.name} has a column {_ROW_NUMBER}, a name that the engine needs.",
                "Rename the column.",
                code="column",
            )
        with _named(raw.name):
            found = self._connection.sql(f"FROM read_parquet({_quoted(raw.by_descriptor)})").columns
        if found != raw.schema.names:
            raise Misuse(
                f"{raw.name} has columns whose names differ in case only, or not at all.",
                "The engine would take one for the other: rename them.",
                code="column",
            )

    def _match(self, raw: Raw, authors: Authors, path: Path | None) -> Matched:
        author = f"raw.{_name(self._columns.member_column)}"
        source = f"read_parquet({_quoted(raw.by_descriptor)}, file_row_number = true) AS raw"
        if self._kind == "string":
            number, empty = "accounts.member_number", f"({author} IS NULL OR {author} = '')"
            source += f" LEFT JOIN accounts ON {author} = accounts.account_ref"
        else:
            number, empty = author, f"({author} IS NULL)"
        numbers = _zeros(raw.rows, path)
        rows = without = 0
        with _named(raw.name):
            relation = self._connection.sql(
                f"SELECT raw.file_row_number, {number}, hash({author}), {empty} FROM {source}"
            )
            for batch in relation.to_arrow_reader(_ROWS):
                found = numbers_of(batch.column(1))
                numbers[batch.column(0).to_numpy()] = found
                is_empty = batch.column(3).to_numpy(zero_copy_only=False)
                authors.saw(
                    batch.column(2).to_numpy()[~is_empty],
                    self._members.has(found)[~is_empty],
                )
                rows += len(batch)
                without += int(np.count_nonzero(is_empty))
        if rows != raw.rows:
            raise NotVerified(f"The join of {raw.name} gave {rows} rows for {raw.rows}.")
        return Matched(numbers, without)

    def rows(self, raw: Raw, matched: Matched, size: int) -> Iterator[tuple[Any, Numbers, Any]]:
        """The rows of a file in their order, some `size` at a time: their mapped columns, their members, their dates.

        A number is 0 where the row has no member. The dates are the content dates, None where no column has them.
        """
        names = [f"raw.{_name(one)}" for one in self._columns.mapped]
        if self._columns.content_date is not None:
            names.append(f"raw.{_name(self._columns.content_date)} AS {CONTENT_DATE}")
        with _named(raw.name):
            relation = self._connection.sql(
                f"SELECT raw.file_row_number AS {ROW}, {', '.join(names)}"
                f" FROM read_parquet({_quoted(raw.by_descriptor)}, file_row_number = true) AS raw"
            )
            at = 0
            for batch in relation.to_arrow_reader(size):
                end = at + len(batch)
                if not np.array_equal(batch.column(0).to_numpy(), np.arange(at, end)):
                    raise NotVerified(f"The rows of {raw.name} did not come in their order.")
                dates = None
                if self._columns.content_date is not None:
                    dates = batch.column(batch.num_columns - 1)
                kept = batch.select(list(self._columns.mapped))
                yield kept, matched.numbers[at:end], dates
                at = end
        if at != raw.rows:
            raise NotVerified(f"{raw.name} gave {at} rows of {raw.rows}.")


def _zeros(rows: int, path: Path | None) -> Numbers:
    if path is None or not rows:
        return np.zeros(rows, np.uint32)
    return np.memmap(path, np.uint32, "w+", shape=(rows,))


def load_accounts(connection: Any, permission: Permission) -> None:
    """Load the lists of a permission as the table `accounts`. Raises Misuse, NotVerified.

    An account that two members have would give one's rows to the other.
    """
    check_lists(permission)
    paths = ", ".join(_quoted(str(one.path)) for one in permission.files)
    with _named("the list"):
        connection.execute(
            "CREATE TABLE accounts AS SELECT account_ref, member_number"
            f" FROM read_parquet([{paths}]) WHERE account_ref <> ''"
        )
        rows, accounts, numbers = connection.sql(
            "SELECT count(*), count(DISTINCT account_ref), count(DISTINCT member_number) FROM accounts"
        ).fetchall()[0]
    expected = sum(one.rows for one in permission.files)
    if not rows == accounts == numbers == expected:
        raise is_ambiguous(permission)


@contextlib.contextmanager
def _named(what: str) -> Iterator[None]:
    """Errors of the engine without the values that they may quote."""
    try:
        yield
    except duckdb.OutOfMemoryException:
        raise Misuse(
            f"There is not enough memory to join {what} with the list.",
            "Prepare it from Python with a larger Options(memory_mb=…), or with --engine spark.",
            code="memory",
        ) from None
    except duckdb.Error as error:
        raise Misuse(
            f"DuckDB cannot read {what} ({type(error).__name__}).",
            "A column may be broken, or the disk for its temporary files full.",
            code="input",
        ) from None


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
