"""Raw data of a network, small: a row for each member, and one of somebody the portal does not know."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def write_posts(path: Path, accounts: list[str]) -> None:
    """Posts of these accounts, each with an address to be redacted, and one of an account that nobody knows."""
    authors = [*accounts, "acc-of-nobody"]
    table = pa.table(
        {
            "author": pa.array(authors),
            "body": pa.array(
                [f"Post {n}, write to me{n}@example.org" for n in range(len(authors))]
            ),
            "shoe_size": pa.array(range(len(authors)), pa.int64()),
        }
    )
    pq.write_table(table, path)
