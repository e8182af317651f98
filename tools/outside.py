"""Acts from outside the application: change rows behind its back, read the content of a proof. For tests."""

import base64

from django.db import connection

from ledger.append_only import guard_sql, guarded_models, unguard_sql


def behind_the_back(table: str, statement: str, *parameters: str | int) -> None:
    """SQL by the database's owner: a guard of the table is lifted, and put back as if nothing had been."""
    vendor, guard = connection.vendor, guarded_models().get(table)
    with connection.cursor() as cursor:
        for lifted in unguard_sql(vendor, table, guard) if guard else []:
            cursor.execute(lifted)
        cursor.execute(statement, parameters)
        for back in guard_sql(vendor, table, guard) if guard else []:
            cursor.execute(back)


def hashes_of(proof: str) -> list[bytes]:
    """The hashes of a proof's text, in their order."""
    lines = proof.partition("\n\n")[0].split("\n")
    start = next(at for at, line in enumerate(lines) if line.startswith(("index ", "old ")))
    return [base64.b64decode(line) for line in lines[start + 1 :]]
