import pytest

from training_portal.prepare import measure


def test_a_small_measurement_gives_the_same_rows_every_way():
    found = measure.measure(20_000)

    assert list(found) == list(measure.WAYS)
    assert {one.rows for one in found.values()} == {found["prepared"].rows}
    assert 14_000 < found["prepared"].rows < 16_000
    assert all(one.cpu_seconds > 0 and one.memory_mb > 10 for one in found.values())
    said = measure.page(found, 20_000)
    assert all(way in said for way in measure.WAYS)


def test_a_way_that_fails_is_no_figure(tmp_path):
    with pytest.raises(RuntimeError, match="prepared ended with 1"):
        measure.cost_of("prepared", tmp_path)
