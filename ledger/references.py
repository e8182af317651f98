"""Public references: TR-2026-000012. Counted under the ledger's lock, so they have no gaps and no doubles."""

from django.db import connection

from ledger import open_entry
from ledger.models import ReferenceCounter

_NEXT = f"""
    INSERT INTO {ReferenceCounter._meta.db_table} (prefix, year, last) VALUES (%s, %s, 1)
    ON CONFLICT (prefix, year) DO UPDATE SET last = {ReferenceCounter._meta.db_table}.last + 1
    RETURNING last
"""


def next_reference(prefix: str, year: int) -> str:
    """The next reference of that year: six digits, or as many as it takes.

    Needs an open entry: its lock is what leaves no gap, so take one only for a row that the entry writes.
    """
    open_entry.current()
    with connection.cursor() as cursor:
        cursor.execute(_NEXT, [prefix, year])
        (number,) = cursor.fetchone()
    return f"{prefix}-{year}-{number:06d}"
