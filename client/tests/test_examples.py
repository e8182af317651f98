"""The examples, end to end against a live portal: what a reader copies does what it says."""

import importlib
import json
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from conftest import new_run, switch_off_at

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PROGRAM = Path(sys.executable).with_name("training-portal")
TOPICS = {
    "cooking": "oven dough butter recipe",
    "music": "guitar chorus melody album",
    "sport": "match goal sprint coach",
    "travel": "train luggage harbour island",
}


def call(environment, *words):
    done = subprocess.run(
        [PROGRAM, *map(str, words)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, (done.stdout, done.stderr)
    return done.stdout


@pytest.fixture
def posts(facts, tmp_path):
    """Twenty posts of each of a hundred members, of four topics in turn."""
    accounts = [one for one in facts["accounts"][1500:1600] for _ in range(20)]
    topics = [list(TOPICS)[row % 4] for row in range(len(accounts))]
    table = pa.table(
        {
            "author": accounts,
            "text": [
                f"{TOPICS[topic]} {row} write to a{row}@example.org"
                for row, topic in enumerate(topics)
            ],
            "topic": topics,
        }
    )
    pq.write_table(table, tmp_path / "posts.parquet")
    columns = tmp_path / "columns.toml"
    columns.write_text(
        'name = "posts"\nversion = "1"\nmember_column = "author"\ntext = ["text"]\nverbatim = ["topic"]\n'
        '[categories]\nposts = ["text", "topic"]\n'
    )
    return tmp_path / "posts.parquet", columns


def trained(environment, posts, output, model):
    """A data set, and a model that was trained on it: the two commands of the example's page."""
    raw, columns = posts
    made = json.loads(
        call(
            environment, "run", "--purpose", "generative-ai", "--categories", "posts",
            "--input", raw, "--columns", columns, "--output", output, "--json",
        )
    )  # fmt: skip
    call(
        environment, "exec", "--data", output, "--",
        sys.executable, EXAMPLES / "topic_classifier/train.py", output, model,
    )  # fmt: skip
    return made


@pytest.mark.live
def test_a_classifier_is_trained_twice_and_who_switched_off_is_not_in_the_second_data_set(
    environment, posts, tmp_path, facts, portal
):
    first = trained(environment, posts, tmp_path / "first", tmp_path / "first.joblib")
    before = ds.dataset(tmp_path / "first", exclude_invalid_files=True).to_table()
    assert portal.run(first["run"]).state == "completed"
    # A member of whom the first model has learned.
    author = account_with_rows(posts, before)

    switch_off_at(facts, author)
    second = trained(environment, posts, tmp_path / "second", tmp_path / "second.joblib")

    after = ds.dataset(tmp_path / "second", exclude_invalid_files=True).to_table()
    assert second["run"] != first["run"]
    gone = set(before["member_number"].to_pylist()) - set(after["member_number"].to_pylist())
    assert len(gone) == 1
    assert len(before) - len(after) == 20
    for table in (before, after):
        assert not pc.any(pc.match_substring(table["text"], "@example.org")).as_py()
    assert portal.run(second["run"]).state == "completed"
    assert (tmp_path / "first.joblib").stat().st_size > 0
    assert (tmp_path / "second.joblib").stat().st_size > 0


def account_with_rows(posts, data_set):
    """An account whose rows are in a data set: rows come out in the order of the raw file."""
    raw = pq.read_table(posts[0])
    marks = pc.replace_substring_regex(raw["text"], r" write to .*", "").to_pylist()
    kept = {text.split(" write")[0] for text in data_set["text"].to_pylist()}
    return next(
        author
        for author, mark in zip(raw["author"].to_pylist(), marks, strict=True)
        if mark in kept
    )


@pytest.fixture
def stopping(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES / "callbacks"))
    yield importlib.import_module("stopping")
    sys.modules.pop("stopping")


@pytest.mark.live
def test_a_callback_stops_a_training_when_a_member_withdraws(portal, facts, stopping):
    run = new_run(portal)
    permission = run.permission()
    run.begin(beat_seconds=0.2)
    stop = stopping.Stop(run)

    assert not stop.is_needed()
    account = account_in(permission)
    switch_off_at(facts, account)
    waited(stop)

    assert stop.reason.code == "withdrawn"
    assert stop.is_needed()
    run.fail("The training ended with Withdrawn.")
    assert portal.run(run.reference).state == "failed"


def account_in(permission):
    accounts = pq.read_table(permission.files[0].path)["account_ref"]
    return accounts[len(accounts) // 2].as_py()


def waited(stop, seconds=60):
    until = time.monotonic() + seconds
    while not stop.is_needed():
        assert time.monotonic() < until, "the training was not told"
        time.sleep(0.2)


@pytest.mark.parametrize("name", ["huggingface_callback", "lightning_callback"])
def test_an_adapter_has_only_the_hook_beside_the_decision(name):
    source = (EXAMPLES / f"callbacks/{name}.py").read_text()

    compile(source, name, "exec")
    assert "self.stop.is_needed()" in source
    assert source.count("def ") == 2
