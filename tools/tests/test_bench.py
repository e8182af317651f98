"""The benchmark writes decisions past the ORM: its rows have every column that a leaf has."""

import datetime as dt

from consent.models import Decision
from ledger import sealing
from tools import bench_audit


def test_the_benchmarks_decisions_have_every_sealed_column():
    row = bench_audit._decision(1, 1, dt.datetime(2026, 1, 1, tzinfo=dt.UTC))

    assert set(row) == set(sealing.sealed_columns(Decision))
