"""The same rows from every kind of frame, and the traps of types and empty values: refused, or exact."""

import datetime as dt
import sys
from pathlib import Path

import duckdb
import pandas
import polars
import pyarrow as pa
import pytest

sys.path.insert(0, str(Path(__file__).parent / "prepare"))
from making import NOW, UNTIL, account, make_permission

from training_portal.errors import LeaseOver, Misuse, NotVerified
from training_portal.frames import keep

DAY = dt.date(2025, 11, 3)


@pytest.fixture
def permission(tmp_path):
    """Of six members: 1, 2 and 5 may be used, 3 has withdrawn since; 5 from a day on."""
    return make_permission(tmp_path, [1, 2, 3, 5], population=6, withdrawn=[3], use_from={5: DAY})


def as_pandas(table):
    return table.to_pandas(types_mapper=pandas.ArrowDtype)


def as_objects(table):
    return pandas.DataFrame({name: table[name].to_pylist() for name in table.column_names})


FRAMES = {
    "arrow": (lambda table: table, lambda frame: frame),
    "batch": (lambda table: table.combine_chunks().to_batches()[0], pa.Table.from_batches),
    "polars": (polars.from_arrow, lambda frame: frame.to_arrow()),
    "pandas": (as_pandas, lambda frame: pa.Table.from_pandas(frame, preserve_index=False)),
    "pandas objects": (as_objects, lambda frame: pa.Table.from_pandas(frame, preserve_index=False)),
    "duckdb": (duckdb.from_arrow, lambda frame: frame.to_arrow_table()),
}


@pytest.fixture(params=list(FRAMES))
def frames(request):
    """How a table becomes the kind of frame, and how its rows are read."""
    to, back = FRAMES[request.param]
    if request.param == "batch":
        return to, lambda frame: back([frame])["place"].to_pylist()
    return to, lambda frame: back(frame)["place"].to_pylist()


def places_of(frames, table, permission, **said):
    to, places = frames
    options = {"member_column": "author", "now": NOW, "accept_unknown": "a-test"} | said
    return places(keep(to(table), permission=permission, **options))


def table_of(authors, days=None):
    columns = {"author": authors, "place": pa.array(range(len(authors)), pa.int64())}
    if days is not None:
        columns["written"] = pa.array(days, pa.date32())
    return pa.table(columns)


def test_only_rows_of_members_who_may_be_used_stay(frames, permission):
    authors = pa.array(
        [account(2), account(3), account(4), "", None, "guest", account(1), account(5), account(1).upper(), f" {account(1)}"]
    )  # fmt: skip

    assert places_of(frames, table_of(authors), permission) == [0, 6]


def test_numbers_need_no_list(frames, tmp_path):
    permission = make_permission(tmp_path, [1, 2], population=6, form="set")

    assert places_of(frames, table_of(pa.array([2, 0, -1, 7, 1], pa.int64())), permission) == [0, 4]


def test_content_before_the_first_day_is_out(frames, permission):
    authors = pa.array([account(5)] * 4 + [account(1)])
    days = [DAY - dt.timedelta(days=1), DAY, DAY + dt.timedelta(days=1), None, None]

    found = places_of(frames, table_of(authors, days), permission, content_date="written")

    assert found == [1, 2, 4]


@pytest.mark.parametrize(
    ("authors", "why"),
    [
        (pa.array([1.0, 2.0]), "nothing is cast"),
        (pa.array([True, False]), "nothing is cast"),
        (pa.array([b"acct-00001", b"acct-00002"]), "nothing is cast"),
        (pa.array([[account(1)], [account(2)]]), "nothing is cast"),
        (pa.nulls(2), "nothing is cast"),
    ],
    ids=lambda one: str(getattr(one, "type", "")),
)
def test_other_types_are_refused(frames, permission, authors, why):
    with pytest.raises(Misuse, match=why):
        places_of(frames, table_of(authors), permission)


def test_many_unknown_authors_are_refused_until_words_say_why(frames, permission):
    authors = pa.array([f"guest-{one}" for one in range(50)] + [account(1)])

    with pytest.raises(Misuse, match="are not in DL-2026-000001"):
        places_of(frames, table_of(authors), permission, accept_unknown="")
    assert places_of(frames, table_of(authors), permission) == [50]


def test_dictionaries_of_text_are_text(permission):
    authors = pa.array([account(2), account(4), None, account(2)]).dictionary_encode()

    found = keep(
        table_of(authors), permission=permission, member_column="author", now=NOW,
        accept_unknown="a-test",
    )  # fmt: skip

    assert found["place"].to_pylist() == [0, 3]
    categories = pandas.DataFrame({"author": pandas.Categorical([account(2), account(4)])})
    kept = keep(
        categories, permission=permission, member_column="author", now=NOW, accept_unknown="a-test"
    )
    assert list(kept["author"]) == [account(2)]


@pytest.mark.parametrize(
    "frame",
    [
        pandas.DataFrame({"author": [account(1), 7]}),
        pandas.DataFrame({"author": [7, None]}),
        pandas.DataFrame([[1, 2]], columns=["author", "author"]),
        pandas.DataFrame({"writer": [account(1)]}),
    ],
    ids=["mixed", "integers beside an empty value", "the name twice", "no such column"],
)
def test_what_pandas_makes_of_columns_is_refused(permission, frame):
    with pytest.raises(Misuse):
        keep(frame, permission=permission, member_column="author", now=NOW)


def test_an_index_stays_with_its_rows(permission):
    frame = pandas.DataFrame({"author": [account(4), account(1)]}, index=[10, 20])

    kept = keep(
        frame, permission=permission, member_column="author", now=NOW, accept_unknown="a-test"
    )

    assert list(kept.index) == [20]


def test_what_is_no_frame_or_has_no_rows_yet_is_refused(permission):
    with pytest.raises(Misuse, match="no frame"):
        keep([account(1)], permission=permission, member_column="author", now=NOW)
    lazy = polars.LazyFrame({"author": [account(1)]})
    with pytest.raises(Misuse, match="Collect it first"):
        keep(lazy, permission=permission, member_column="author", now=NOW)


def test_a_lease_that_is_over_and_a_changed_list_are_refused(permission):
    table = table_of(pa.array([account(1)]))

    with pytest.raises(LeaseOver):
        keep(table, permission=permission, member_column="author", now=UNTIL)
    path = permission.files[0].path
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(NotVerified):
        keep(table, permission=permission, member_column="author", now=NOW)


def test_times_without_a_zone_say_no_day(permission):
    table = table_of(pa.array([account(5)])).append_column(
        "written", pa.array([dt.datetime(2025, 11, 3)], pa.timestamp("us"))
    )  # fmt: skip
    said = {
        "member_column": "author",
        "now": NOW,
        "accept_unknown": "a-test",
        "permission": permission,
    }

    with pytest.raises(Misuse, match="no time zone"):
        keep(table, content_date="written", **said)
    assert len(keep(table, content_date="written", content_date_is_utc=True, **said)) == 1
