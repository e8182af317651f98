"""An import's time as a multiple of a bare `COPY` of the same file into a table of the same four columns."""

import csv
import datetime as dt
import random
import statistics
import tempfile
import time
from pathlib import Path

from django.db import connection, transaction

from consent.imports import importing

# Roughly a large network's: a third of the members live where generative AI is not allowed.
_COUNTRIES = {"US": 38, "IN": 22, "BR": 8, "CA": 4, "DE": 7, "FR": 6, "IT": 5, "GB": 6, "HK": 2, "CH": 2}  # fmt: skip
_COPIES = 3
"""Times the bare COPY is measured before the import, and again after it."""


def report(rows: int) -> None:
    """Import `rows` new members, which stay, and print the ratio.

    The import ends with a VACUUM, once however many the lines: it is timed apart.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "members.csv"
        _generate(path, rows)
        copies = [_bare_copy(path) for _ in range(_COPIES)]
        imported, vacuumed = _import(path, rows)
        copies += [_bare_copy(path) for _ in range(_COPIES)]
    copy = statistics.median(copies)
    print(f"import of {rows:,} new members from CSV, in batches of one ledger entry each")
    print(f"  {'the import, without its final VACUUM':46} {imported:8.3f} s")
    print(
        f"  {'bare COPY of the same file':46} {copy:8.3f} s"
        f"   import ÷ this = {imported / copy:.1f}   (aim: at most 12)"
    )
    print(f"  {'the final VACUUM (ANALYZE) of three tables':46} {vacuumed:8.3f} s")


def _import(path: Path, rows: int) -> tuple[float, float]:
    """Seconds until the last batch was committed, and from there to the end."""
    batches = []
    started = time.perf_counter()
    summary = importing.import_members(
        path=path,
        actor="command:bench",
        on_progress=lambda summary, estimate: batches.append(time.perf_counter()),
    )
    ended = time.perf_counter()
    if summary.new != rows:
        raise SystemExit(f"{summary.new:,} of {rows:,} members are new: use an empty database.")
    return batches[-1] - started, ended - batches[-1]


def _bare_copy(path: Path) -> float:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE bench_bare (account_ref varchar(100), country varchar(20),"
            " adult_on date, status varchar(8))"
        )
    try:
        with connection.cursor() as cursor, path.open("rb") as file:
            started = time.perf_counter()
            with cursor.copy("COPY bench_bare FROM STDIN (FORMAT csv, HEADER)") as copy:
                while block := file.read(1 << 20):
                    copy.write(block)
            return time.perf_counter() - started
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE bench_bare")


def _generate(path: Path, rows: int) -> None:
    """A synthetic population, the same each time: 2 in 100 minors, 1 of unknown age, 2 closed."""
    draw = random.Random(20240918)  # noqa: S311  nothing secret
    first = dt.date(1950, 1, 1)
    adults = [(first + dt.timedelta(days=day)).isoformat() for day in range(27_000)]
    codes = draw.choices(list(_COUNTRIES), list(_COUNTRIES.values()), k=rows)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["account_ref", "country", "adult_on", "status"])
        for number, code in enumerate(codes):
            chance = draw.random()
            adult_on = draw.choice(adults)
            if chance < 0.03:
                adult_on = "2040-01-01" if chance < 0.02 else ""
            status = "closed" if chance > 0.98 else "open"
            writer.writerow([f"bench-{number:09d}", code, adult_on, status])
