"""`python -m demo.posts DIRECTORY`: synthetic posts of the demo's members, as the raw lake of a network has them.

For the first data set of a newcomer and for the examples: Parquet, an author's account reference beside the text. As in
a real lake some rows have no author, some authors are accounts that the portal does not know, and in one of twenty
posts there is something to redact. No person, number or address here exists: they are of ranges that are reserved for
examples (RFC 2606, RFC 5737, +1 555 01xx).
"""

import argparse
import datetime as dt
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from demo import population

ROWS = 200_000
ROWS_OF_FILE = 50_000
NO_AUTHOR_SHARE = 0.005
UNKNOWN_AUTHOR_SHARE = 0.01
DIRTY_SHARE = 0.05
FIRST_DAY = dt.date(2019, 1, 1)

SCHEMA = pa.schema(
    [
        ("post_id", pa.int64()),
        ("author", pa.string()),
        ("title", pa.string()),
        ("text", pa.string()),
        ("topic", pa.string()),
        ("written_on", pa.date32()),
    ]
)

WORDS = {
    "cooking": "oven dough butter recipe simmer garlic kitchen basil roast pepper soup whisk".split(),
    "travel": "train luggage harbour island passport ticket hostel mountain ferry map border sunrise".split(),
    "sport": "match goal sprint coach league referee training stadium race medal tackle score".split(),
    "music": "guitar chorus concert drums melody album violin rehearsal stage lyrics tempo bass".split(),
}
COMMON = (
    "today I we really with after before never some more again my our friends weekend about".split()
)


def posts(
    people: list[population.Person], rows: int, *, seed: int = 2025
) -> Iterator[dict[str, Any]]:
    """`rows` posts; the same people and seed give the same posts."""
    chance = random.Random(seed)
    days = (dt.date(2026, 11, 1) - FIRST_DAY).days
    for number in range(1, rows + 1):
        topic = chance.choice(list(WORDS))
        words = [
            chance.choice(WORDS[topic] if chance.random() < 0.4 else COMMON)
            for _ in range(chance.randint(12, 60))
        ]
        if chance.random() < DIRTY_SHARE:
            words.insert(chance.randrange(len(words)), _to_redact(chance))
        yield {
            "post_id": number,
            "author": _author(chance, people),
            "title": " ".join(words[:3]),
            "text": " ".join(words),
            "topic": topic,
            "written_on": FIRST_DAY + dt.timedelta(days=chance.randrange(days)),
        }


def _author(chance: random.Random, people: list[population.Person]) -> str | None:
    kind = chance.random()
    if kind < NO_AUTHOR_SHARE:
        return chance.choice([None, ""])
    if kind < NO_AUTHOR_SHARE + UNKNOWN_AUTHOR_SHARE:
        return f"old-{chance.randrange(10**6)}"
    return chance.choice(people).account_ref


def _to_redact(chance: random.Random) -> str:
    number = chance.randrange(100)
    return chance.choice(
        [
            f"write to reader{number}@example.org",
            f"call +1 202 555 01{number:02d}",
            f"my server is 192.0.2.{number}",
            f"https://example.com/@reader{number}",
        ]
    )


def write(directory: Path, people: list[population.Person], rows: int = ROWS) -> list[Path]:
    """The files that were written: `posts-000.parquet` and so on. Raises FileExistsError where there are some."""
    directory.mkdir(parents=True, exist_ok=True)
    found = []
    rest = posts(people, rows)
    for first in range(0, rows, ROWS_OF_FILE):
        path = directory / f"posts-{first // ROWS_OF_FILE:03d}.parquet"
        some = [next(rest) for _ in range(min(ROWS_OF_FILE, rows - first))]
        with path.open("xb") as file:
            pq.write_table(pa.Table.from_pylist(some, schema=SCHEMA), file)
        found.append(path)
    return found


def main() -> int:
    from demo.__main__ import MEMBERS

    parser = argparse.ArgumentParser(prog="python -m demo.posts", description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--members", type=int, default=MEMBERS, help="as many as the demo has")
    options = parser.parse_args()
    people = list(population.members(options.members, today=dt.date.today()))
    try:
        files = write(options.directory, people, options.rows)
    except FileExistsError as error:
        print(f"{error.filename} is there already: name another directory.", file=sys.stderr)
        return 2
    print(f"{options.rows:,} posts in {len(files)} files in {options.directory}.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
