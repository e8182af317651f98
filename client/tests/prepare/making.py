"""Permissions and raw files for the tests: a small world whose truth is known without the code that is tested."""

import datetime as dt
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pyroaring import BitMap

from training_portal.permission import ListFile, Permission, Subtraction
from training_portal.prepare import Columns, Options

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
NOW = dt.datetime(2026, 11, 26, 10, tzinfo=dt.UTC)
UNTIL = dt.datetime(2026, 12, 26, 10, tzinfo=dt.UTC)
OPTIONS = Options(threads=2, now=lambda: NOW)
COLUMNS = Columns("author", {"posts": ("body",)}, text=("body",))


def account(number: int) -> str:
    """The account of a member."""
    return f"acct-{number:05}"


def make_permission(
    directory: Path,
    delivered: Sequence[int],
    *,
    population: int,
    use_from: Mapping[int, dt.date] | None = None,
    withdrawn: Sequence[int] = (),
    accounts: Mapping[int, str] | None = None,
    form: Any = "list",
    categories: Sequence[str] = ("posts",),
    delivery: str = "DL-2026-000001",
) -> Permission:
    """The permission of a delivery, with its list in `directory`. `delivered` has the withdrawn too."""
    days = use_from or {}
    numbers = sorted(delivered)
    files: tuple[ListFile, ...] = ()
    if form == "list":
        path = directory / f"members-of-{delivery}.parquet"
        table = pa.table(
            {
                "member_number": pa.array(numbers, pa.uint32()),
                "account_ref": pa.array(
                    [(accounts or {}).get(one, account(one)) for one in numbers], pa.string()
                ),
                "use_from": pa.array([days.get(one) for one in numbers], pa.date32()),
            }
        )
        pq.write_table(table, path)
        digest = sha256(path.read_bytes()).hexdigest()
        first, last = (numbers[0], numbers[-1]) if numbers else (0, 0)
        files = (ListFile(path, path.name, digest, len(numbers), first, last),)
    members = BitMap(numbers) - BitMap(withdrawn)
    cohorts = tuple(
        (day, BitMap(one for one in members if days.get(one) == day))
        for day in sorted({days[one] for one in members if one in days})
    )
    return Permission(
        run="TR-2026-000012",
        delivery=delivery,
        purpose="generative-ai",
        data_categories=tuple(categories),
        manifest="a" * 64,
        archive=sha256(delivery.encode()).hexdigest(),
        files=files,
        subtraction=Subtraction(0, "c" * 64, 1589),
        leased_until=UNTIL,
        leased_until_text="2026-12-26T10:00:00.000000Z",
        as_of=NOW,
        form=form,
        members=members,
        cohorts=cohorts,
        population=population,
        withdrawn=BitMap(withdrawn),
        withdrawn_digest="d" * 64,
    )


def write_raw(path: Path, columns: Mapping[str, Any], **options: Any) -> Path:
    """A raw file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(dict(columns)), path, **options)
    return path


def rows_in(directory: Path) -> list[dict[str, Any]]:
    """The rows of a data set, in the order of its files."""
    paths = sorted(directory.rglob("*.parquet"))
    return [row for path in paths for row in pq.read_table(path).to_pylist()]
