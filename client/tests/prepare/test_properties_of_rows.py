"""Whatever the raw data looks like, exactly the rows of members who may be used come out: held against plain Python."""

import datetime as dt
import shutil
import tempfile
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from making import KEY, NOW, account, make_permission, rows_in, write_raw

from training_portal.errors import Misuse
from training_portal.prepare import Columns, Options, prepare, verify_directory

POPULATION = 12
DAYS = [dt.date(2024, 1, 1), dt.date(2025, 6, 1)]

# Spelt otherwise than the product's accounts: none of these is a member's.
ODD = [
    account(1).upper(), f" {account(1)}", f"{account(1)} ", f"{account(1)}\n", "1", "01", "1.0", "nan", "None",
    "NULL", "acct-\uff10\uff10\uff10\uff10\uff11", f"{account(1)}\u200b", "guest", "*", "%", "acct-0000_",
]  # fmt: skip
AUTHORS = st.one_of(
    st.integers(1, POPULATION).map(account),
    st.sampled_from(["", None, *ODD]),
)
STRINGS = [
    pa.string(),
    pa.large_string(),
    pa.string_view(),
    pa.dictionary(pa.int32(), pa.string()),
    pa.dictionary(pa.int8(), pa.large_string()),
]
NUMBERS = st.one_of(
    st.integers(-2, POPULATION + 2), st.sampled_from([None, 2**31 - 1, 2**31, 2**40, -(2**40)])
)


@st.composite
def worlds(draw):
    """Who is delivered, who has withdrawn since, and from which day on the content of some may be used."""
    delivered = draw(st.sets(st.integers(1, POPULATION), min_size=1))
    withdrawn = draw(st.sets(st.sampled_from(sorted(delivered))))
    dated = draw(st.dictionaries(st.sampled_from(sorted(delivered)), st.sampled_from(DAYS)))
    return sorted(delivered), sorted(withdrawn), dated


DATES = st.one_of(st.none(), st.dates(dt.date(2023, 12, 30), dt.date(2025, 6, 3)))


def may_be_used(number, day, has_dates, world):
    """The rule, as the documents say it."""
    delivered, withdrawn, dated = world
    if number not in delivered or number in withdrawn:
        return False
    if number not in dated:
        return True
    return has_dates and day is not None and day >= dated[number]


def prepared(directory, raw, permission, columns, threads=2):
    output = directory / f"clean-{threads}"
    made = prepare(
        [raw], output, permission=permission, columns=columns, key=KEY, redaction=None,
        accept_unknown="a-property-test", options=Options(threads=threads, now=lambda: NOW),
    )  # fmt: skip
    verify_directory(output, keys=[KEY.public_key()], now=NOW)
    return output, made


def check(directory, world, rows, raw, form, has_dates):
    """`rows` has (number or None, day, place) of each raw row."""
    delivered, withdrawn, dated = world
    permission = make_permission(
        directory, delivered, population=POPULATION, withdrawn=withdrawn, use_from=dated, form=form
    )
    columns = Columns(
        "author", {"posts": ("place",)}, content_date="written" if has_dates else None
    )
    expected = [
        {"member_number": number, "place": place}
        for number, day, place in rows
        if may_be_used(number, day, has_dates, world)
    ]

    output, made = prepared(directory, raw, permission, columns)

    assert rows_in(output) == expected
    said = made.statement["predicate"]
    assert said["rows"]["kept"] == len(expected)
    assert (
        said["rows"]["in"]
        == len(rows)
        == said["rows"]["kept"] + sum(said["rows"]["dropped"].values())
    )
    early = sum(
        number in delivered and number not in withdrawn
        and not may_be_used(number, day, has_dates, world)
        for number, day, _ in rows
    )  # fmt: skip
    assert Counter(said["rows"]["dropped"])["before_use_from"] == early
    again, _ = prepared(directory, raw, permission, columns, threads=1)
    assert [one.read_bytes() for one in sorted(again.glob("*.parquet"))] == [
        one.read_bytes() for one in sorted(output.glob("*.parquet"))
    ]


@pytest.fixture
def places():
    """A directory for each example: Hypothesis calls a test many times."""
    made = []

    def one() -> Path:
        made.append(Path(tempfile.mkdtemp()))
        return made[-1]

    yield one
    for path in made:
        shutil.rmtree(path)


LIMITS = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@LIMITS
@given(
    world=worlds(),
    rows=st.lists(st.tuples(AUTHORS, DATES), max_size=40),
    kind=st.sampled_from(STRINGS),
    has_dates=st.booleans(),
)
def test_rows_by_account(places, world, rows, kind, has_dates):
    directory = places()
    raw = write_raw(
        directory / "raw.parquet",
        {
            "author": pa.array([author for author, _ in rows], pa.string()).cast(kind),
            "written": pa.array([day for _, day in rows], pa.date32()),
            "place": pa.array(range(len(rows)), pa.int64()),
        },
    )
    numbers = {account(number): number for number in range(1, POPULATION + 1)}

    check(
        directory,
        world,
        [(numbers.get(author), day, place) for place, (author, day) in enumerate(rows)],
        raw,
        "list",
        has_dates,
    )


@LIMITS
@given(
    world=worlds(),
    rows=st.lists(st.tuples(NUMBERS, DATES), max_size=40),
    form=st.sampled_from(["list", "set"]),
    has_dates=st.booleans(),
)
def test_rows_by_number(places, world, rows, form, has_dates):
    directory = places()
    raw = write_raw(
        directory / "raw.parquet",
        {
            "author": pa.array([number for number, _ in rows], pa.int64()),
            "written": pa.array([day for _, day in rows], pa.date32()),
            "place": pa.array(range(len(rows)), pa.int64()),
        },
    )

    check(
        directory,
        world,
        [(number, day, place) for place, (number, day) in enumerate(rows)],
        raw,
        form,
        has_dates,
    )


@pytest.mark.parametrize(
    "authors",
    [
        pa.array([1.0, 2.0]),
        pa.array([b"acct-00001", b"acct-00002"]),
        pa.array([True, False]),
        pa.array([dt.date(2025, 1, 1)] * 2),
        pa.array([[account(1)], [account(2)]]),
        pa.array([{"ref": account(1)}] * 2),
        pa.nulls(2),
        pa.array([1, 2], pa.decimal128(5, 0)),
    ],
    ids=lambda array: str(array.type),
)
def test_an_author_of_another_type_is_refused_and_never_cast(tmp_path, authors):
    permission = make_permission(tmp_path, [1, 2], population=2)
    raw = write_raw(tmp_path / "raw.parquet", {"author": authors, "place": [1, 2]})

    with pytest.raises(Misuse, match="nothing is cast"):
        prepared(tmp_path, raw, permission, Columns("author", {"posts": ("place",)}))
    assert not list((tmp_path / "clean-2").glob("*.parquet"))
