"""`make bench`: how long a freeze, a delivery, an import, the queue and the ledger take, as ratios within one run on PostgreSQL.

The members are imported once, between bare COPYs of the same file; the freeze is measured over them, as
medians of several rounds in turn, so that a slow moment of the machine hits all of them.
Ratios travel between machines; seconds do not.
"""

import logging
import os

os.environ.setdefault("TEST_DATABASE", "postgresql")

from tools import testing  # noqa: F401  sets the environment before Django is imported

MEMBERS = int(os.environ.get("BENCH_MEMBERS", "1000000"))
TICKETS = int(os.environ.get("BENCH_TICKETS", "100000"))
ENTRIES = int(os.environ.get("BENCH_ENTRIES", "1000000"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "7"))


def main() -> None:
    import django

    django.setup()

    from django.core.management import call_command
    from django.db import connection

    if connection.vendor != "postgresql":
        raise SystemExit("The benchmark runs on PostgreSQL: unset DATABASE_URL or give one.")
    logging.disable(logging.INFO)
    call_command("migrate", verbosity=0)

    from tools import bench_audit, bench_deliver, bench_freeze, bench_import, bench_queue

    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        (version,) = cursor.fetchone()
    print(f"{MEMBERS:,} members, PostgreSQL {version}, {os.cpu_count()} cores")
    print()
    bench_import.report(MEMBERS)
    print()
    # While every row still has its history: the next ones fill tables past it.
    bench_audit.report(ENTRIES)
    print()
    bench_freeze.report(ROUNDS)
    print()
    bench_deliver.report(ROUNDS)
    print()
    bench_queue.report(TICKETS, ROUNDS)


if __name__ == "__main__":
    main()
