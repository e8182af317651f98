import datetime as dt

import pyarrow.parquet as pq
import pytest

from conftest import new_run

pytestmark = pytest.mark.live


def test_a_registered_run_ends_in_a_permission(portal, heard):
    run = new_run(portal)

    permission = run.permission()

    assert (permission.run, permission.purpose, permission.data_categories) == (
        run.reference,
        "generative-ai",
        ("posts",),
    )
    (file,) = permission.files
    numbers = pq.read_table(file.path)["member_number"].to_pylist()
    assert numbers == list(permission.members | permission.withdrawn)
    assert 0 < len(numbers) < permission.population
    assert permission.leased_until > dt.datetime.now(dt.UTC)
    assert heard.warnings == []
