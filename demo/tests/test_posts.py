"""The posts of the demo's members: what a newcomer prepares a first data set from."""

import datetime as dt

import pyarrow.dataset as ds
import pyarrow.parquet as pq

from demo import population, posts

PEOPLE = list(population.members(50, today=dt.date(2026, 11, 26)))


def test_a_lake_has_known_unknown_and_empty_authors_and_text_to_redact(tmp_path, monkeypatch):
    monkeypatch.setattr(posts, "ROWS_OF_FILE", 1_000)

    files = posts.write(tmp_path / "lake", PEOPLE, 2_500)

    assert [pq.read_metadata(file).num_rows for file in files] == [1_000, 1_000, 500]
    table = ds.dataset(files).to_table().to_pydict()
    known = {one.account_ref for one in PEOPLE}
    authors = table["author"]
    assert known <= set(authors)
    assert None in authors and "" in authors
    assert any(one and one.startswith("old-") for one in authors)
    dirty = [text for text in table["text"] if "example" in text or "555" in text]
    assert 50 < len(dirty) < 200
    assert table["post_id"] == list(range(1, 2_501))


def test_the_same_members_write_the_same_posts(tmp_path):
    first = posts.write(tmp_path / "one", PEOPLE, 100)
    second = posts.write(tmp_path / "two", PEOPLE, 100)

    assert [one.read_bytes() for one in first] == [one.read_bytes() for one in second]


def test_files_that_are_there_are_kept(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        "sys.argv", ["posts", str(tmp_path / "lake"), "--rows", "10", "--members", "5"]
    )

    assert posts.main() == 0
    (file,) = (tmp_path / "lake").iterdir()
    before = file.read_bytes()
    assert posts.main() == 2
    assert "is there already" in capsys.readouterr().err
    assert file.read_bytes() == before
