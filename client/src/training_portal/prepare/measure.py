"""`python -m training_portal.prepare.measure`: what a preparation costs beside DuckDB's bare copy of the same rows.

Each way runs in a process of its own, on the same files, one after the other; its CPU seconds and its largest memory are
those that the system counted. `--page FILE` writes docs/reference/preparation-measured.md of the portal.
"""

import argparse
import datetime as dt
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyroaring import BitMap

from training_portal.permission import ListFile, Permission, Subtraction

ROWS: Final = 10_000_000
ROWS_OF_FILE: Final = 1_000_000
MEMBERS: Final = 1_000_000
TEXTS: Final = 20_000
DIRTY_SHARE: Final = 0.05
AIMS: Final = {"prepared": 1.4, "prepared and redacted": 3.0}
MAX_MEMORY_MB: Final = 1024

_WORDS: Final = (
    "today we took the train along the river and it was late again so I read about the match that everyone talks of while"
    " the children slept under their coats and a man played the guitar in the last carriage"
).split()


@dataclass(frozen=True)
class Cost:
    """The cost of one way."""

    cpu_seconds: float
    memory_mb: float
    rows: int
    """Rows that came out."""


def account(number: int) -> str:
    return f"acct-{number:09}"


def write_world(directory: Path, rows: int) -> None:
    """Raw files, and the list of a delivery that has three of four members."""
    chance = np.random.default_rng(2026)
    accounts = pa.array([account(one) for one in range(1, MEMBERS + 1)])
    texts = pa.array(list(_texts(chance)))
    (directory / "raw").mkdir()
    for number, first in enumerate(range(0, rows, ROWS_OF_FILE)):
        count = min(ROWS_OF_FILE, rows - first)
        table = pa.table(
            {
                "author": accounts.take(pa.array(chance.integers(0, MEMBERS, count))),
                "body": texts.take(pa.array(chance.integers(0, TEXTS, count))),
                "likes": pa.array(chance.integers(0, 10_000, count)),
            }
        )
        pq.write_table(table, directory / "raw" / f"posts-{number:03}.parquet")
    delivered = [one for one in range(1, MEMBERS + 1) if one % 4]
    pq.write_table(
        pa.table(
            {
                "member_number": pa.array(delivered, pa.uint32()),
                "account_ref": pa.array([account(one) for one in delivered]),
                "use_from": pa.nulls(len(delivered), pa.date32()),
            }
        ),
        directory / "members.parquet",
    )


def _texts(chance: Any) -> Iterator[str]:
    for number in range(TEXTS):
        words = [str(one) for one in chance.choice(_WORDS, 25)]
        if chance.random() < DIRTY_SHARE:
            words.insert(5, f"write to reader{number}@example.org")
        yield " ".join(words)


def permission_of(directory: Path) -> Permission:
    """The permission of the world's delivery."""
    path = directory / "members.parquet"
    members = BitMap(range(1, MEMBERS + 1)) - BitMap(range(4, MEMBERS + 1, 4))
    file = ListFile(
        path,
        path.name,
        sha256(path.read_bytes()).hexdigest(),
        len(members),
        members.min(),
        members.max(),
    )
    return Permission(
        run="TR-2026-000001", delivery="DL-2026-000001", purpose="generative-ai", data_categories=("posts",),
        manifest="a" * 64, archive="b" * 64, files=(file,), subtraction=Subtraction(0, "c" * 64, 1),
        leased_until=dt.datetime(2999, 1, 1, tzinfo=dt.UTC), leased_until_text="2999-01-01T00:00:00.000000Z",
        as_of=dt.datetime(2026, 11, 26, tzinfo=dt.UTC), form="list", members=members, cohorts=(), population=MEMBERS,
        withdrawn_digest="d" * 64,
    )  # fmt: skip


# --- The ways, each in a process of its own -----------------------------------------------------


def bare(directory: Path, output: Path) -> int:
    """DuckDB's copy of the rows whose author is in the list: nothing is checked, counted, synced or signed."""
    import duckdb

    output.mkdir()
    connection = duckdb.connect()
    connection.execute("SET enable_progress_bar = false")
    connection.execute(
        f"CREATE TABLE accounts AS SELECT account_ref, member_number FROM read_parquet('{directory}/members.parquet')"
    )
    rows = 0
    for path in sorted((directory / "raw").iterdir()):
        rows += connection.execute(
            f"COPY (SELECT member_number, body, likes FROM read_parquet('{path}')"
            f" JOIN accounts ON author = account_ref) TO '{output / path.name}' (FORMAT parquet)"
        ).fetchall()[0][0]
    return rows


def _prepared(directory: Path, output: Path, *, is_redacted: bool) -> int:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from training_portal.prepare import Columns, Redaction, prepare
    from training_portal.redaction import Profile

    made = prepare(
        sorted((directory / "raw").iterdir()),
        output,
        permission=permission_of(directory),
        columns=Columns("author", {"posts": ("body", "likes")}, text=("body",)),
        key=Ed25519PrivateKey.generate(),
        redaction=Redaction(Profile.load()) if is_redacted else None,
    )
    return int(made.rows["kept"])


WAYS: Final[dict[str, Callable[[Path, Path], int]]] = {
    "DuckDB's COPY of the join": bare,
    "prepared": lambda directory, output: _prepared(directory, output, is_redacted=False),
    "prepared and redacted": lambda directory, output: _prepared(
        directory, output, is_redacted=True
    ),
}


def cost_of(way: str, directory: Path) -> Cost:
    """Run a way in a process of its own. Raises RuntimeError where it fails."""
    with tempfile.TemporaryDirectory(dir=directory) as place:
        child = subprocess.Popen(
            [sys.executable, "-m", __spec__.name, "--way", way, str(directory), f"{place}/clean"],
            stdout=subprocess.PIPE,
        )
        assert child.stdout is not None
        said = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            raise RuntimeError(f"{way} ended with {child.returncode}")
    rows, memory_kb = json.loads(said)
    return Cost(usage.ru_utime + usage.ru_stime, memory_kb / 1024, rows)


def _most_memory() -> int:
    """The most that this process has held, in kilobytes. (`getrusage` counts what its parent held, too.)"""
    said = Path("/proc/self/status").read_text()
    return int(next(line for line in said.splitlines() if line.startswith("VmHWM")).split()[1])


def measure(rows: int) -> dict[str, Cost]:
    """The cost of each way, on the same rows."""
    with tempfile.TemporaryDirectory(prefix="preparation-") as name:
        directory = Path(name)
        write_world(directory, rows)
        found = {way: cost_of(way, directory) for way in WAYS}
    if len({one.rows for one in found.values()}) != 1:
        raise RuntimeError("The ways did not give the same rows.")
    return found


def table(found: dict[str, Cost]) -> str:
    """The figures in Markdown."""
    base = found["DuckDB's COPY of the join"].cpu_seconds
    lines = [
        "| way | CPU seconds | against the copy | aim | memory at most |",
        "|---|---|---|---|---|",
    ]
    for way, cost in found.items():
        aim = f"{AIMS[way]:.1f}" if way in AIMS else ""
        lines.append(
            f"| {way} | {cost.cpu_seconds:.1f} | {cost.cpu_seconds / base:.2f} | {aim} | {cost.memory_mb:,.0f} MB |"
        )
    return "\n".join(lines)


def _missed(found: dict[str, Cost]) -> str:
    base = found["DuckDB's COPY of the join"].cpu_seconds
    missed = [way for way, aim in AIMS.items() if found[way].cpu_seconds > aim * base]
    return f"Above its aim: {'; '.join(missed)}." if missed else "All aims are met."


def page(found: dict[str, Cost], rows: int) -> str:
    """The page of the figures."""
    kept = next(iter(found.values())).rows
    return f"""# Preparation: what it costs

`python -m training_portal.prepare.measure --page docs/reference/preparation-measured.md` writes this page. {rows:,} rows in
files of {ROWS_OF_FILE:,}, of {MEMBERS:,} authors; {kept:,} rows are of delivered members. A text has 25 words, and one of
twenty has something to redact. Each way runs in a process of its own, one after the other, on one machine with two cores.

{table(found)}

The aims are shares of the copy's CPU seconds; memory has an aim of {MAX_MEMORY_MB:,} MB. {_missed(found)}

A preparation does what the copy does not: it hashes every raw byte and every byte that it writes, goes over the authors
first (so that a wrong column is noticed before a row is written, and so that the rows keep their order, which a join does
not), passes each row by the set of members again, makes row groups of one size (so that the same rows are the same bytes),
syncs each file, and signs what it did.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--page", type=Path)
    parser.add_argument("--way", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        way, directory, output = options.way
        rows = WAYS[way](Path(directory), Path(output))
        sys.stdout.write(json.dumps([rows, _most_memory()]))
        return
    found = measure(options.rows)
    sys.stdout.write(f"{table(found)}\n")
    if options.page:
        options.page.write_text(page(found, options.rows))


if __name__ == "__main__":
    main()
