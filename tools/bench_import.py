"""An import's time as a multiple of a bare `COPY` of the same file into a table of the same four columns."""

import csv
import datetime as dt
import random
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

_COUNTRIES = "US US US IN IN BR GB FR DE CA ID MX PH TR ES IT NL AU HK CH JP ZA NG".split()


@dataclass(frozen=True)
class Ratio:
    """Median seconds of both, and the median of the rounds' ratios."""

    rows: int
    copy: float
    imported: float
    ratio: float


def ratio(rows: int, rounds: int = 3) -> Ratio:
    """Import `rows` new members a few times, each time beside a bare COPY of the same file.

    Needs Django set up on a migrated PostgreSQL; the members stay. Each round's COPY is timed right before
    and right after its import: a busy machine slows all of them.
    """
    from consent import importing

    copies, imports, ratios = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds):
            path = Path(folder) / f"members-{number}.csv"
            _generate(path, rows, seed=time.time_ns())
            before = _bare_copy(path)
            started = time.perf_counter()
            summary = importing.import_members(path=path, actor="system:bench")
            imports.append(time.perf_counter() - started)
            assert summary.new == rows, summary
            copies.append(statistics.mean([before, _bare_copy(path)]))
            ratios.append(imports[-1] / copies[-1])
            path.unlink()
    return Ratio(
        rows, statistics.median(copies), statistics.median(imports), statistics.median(ratios)
    )


def report(rows: int, rounds: int = 3) -> None:
    """Measure and print."""
    found = ratio(rows, rounds)
    print(f"import of {found.rows:,} new members       {found.imported:8.2f} s")
    print(f"bare COPY of the same file         {found.copy:8.2f} s")
    print(f"import / bare COPY                 {found.ratio:8.1f}   (aim: at most 12)")


def _bare_copy(path: Path) -> float:
    from django.db import connection, transaction

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


def _generate(path: Path, rows: int, seed: int) -> None:
    """Members of many countries and every adult age, 5 in 100 closed, in the order of their references."""
    draw = random.Random(seed)  # noqa: S311  nothing secret
    first = dt.date(1950, 1, 1)
    days = [(first + dt.timedelta(days=day)).isoformat() for day in range(29_000)]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["account_ref", "country", "adult_on", "status"])
        writer.writerows(
            (
                f"acc-{seed}-{number:09d}",
                draw.choice(_COUNTRIES),
                draw.choice(days),
                "open" if draw.random() < 0.95 else "closed",
            )
            for number in range(rows)
        )
