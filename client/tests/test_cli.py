import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from raw import write_posts
from test_guard import lives, until

PROGRAM = Path(sys.executable).with_name("training-portal")


def call(environment, *words, expect=0):
    """What the command line says on both outputs; it must end with that code."""
    done = subprocess.run(
        [PROGRAM, *map(str, words)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == expect, (done.returncode, done.stdout, done.stderr)
    return done


def as_json(environment, *words, expect=0):
    return json.loads(call(environment, *words, "--json", expect=expect).stdout)


# --- Without a portal ---------------------------------------------------------------------------


def test_help_names_every_command_and_loads_little():
    script = (
        "import sys; sys.argv = ['training-portal', '--help']\n"
        "import atexit; atexit.register(lambda: print(*sorted(sys.modules), file=sys.stderr))\n"
        "from training_portal.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    for name in ("run", "fetch", "verify", "subtract", "audit", "exec", "status", "keys"):
        assert f"  {name} " in done.stdout
    loaded = set(done.stderr.split())
    assert "click" in loaded
    assert loaded.isdisjoint({"httpx", "rich", "cryptography", "pyroaring", "duckdb", "pyarrow", "numpy"})  # fmt: skip


def test_without_settings_one_is_told_which(tmp_path):
    done = call({"PATH": os.environ["PATH"], "HOME": str(tmp_path)}, "status", expect=2)

    assert done.stderr == (
        "Error: There is no address. Set PORTAL_URL, for example to https://portal.example.\n"
    )


def test_an_error_is_json_too(tmp_path):
    found = as_json({"PATH": os.environ["PATH"], "HOME": str(tmp_path)}, "status", expect=2)

    assert (found["exit_code"], found["error"]) == (2, "usage")


def test_a_token_is_no_argument(tmp_path):
    done = call(
        {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}, "status", "--token", "x", expect=2
    )

    assert "No such option" in done.stderr


# --- With one -----------------------------------------------------------------------------------


@pytest.fixture
def raw(facts, tmp_path):
    path = tmp_path / "posts.parquet"
    write_posts(path, facts["accounts"])
    return path


def run_words(raw, output, **more):
    words = ["run", "--purpose", "generative-ai", "--categories", "posts", "--input", raw]
    words += ["--member-column", "author", "--text", "body", "--output", output]
    return [*words, *(one for name, value in more.items() for one in (f"--{name}", value))]


@pytest.mark.live
def test_status_says_who_one_is_and_which_key_is_pinned(environment):
    done = call(environment, "status")

    assert done.stdout.startswith("You are emil (")
    assert "is one that the portal names too" in done.stdout


@pytest.mark.live
def test_a_pinned_key_that_the_portal_does_not_name_is_said(environment):
    other = "portal.example/ledger+dfab4df7+AaDPpFOpHVFSbNvTJ0hxGAJjTWRECzzlXzAYbXcHZSRB"
    environment["PORTAL_KEY"] = other

    done = call(environment, "status", expect=2)

    assert "miscopied" in done.stderr


@pytest.mark.live
def test_three_commands_lead_to_a_verified_clean_data_set(environment, raw, tmp_path, facts):
    output = tmp_path / "clean"

    made = as_json(environment, *run_words(raw, output))
    verified = as_json(environment, "verify", output)
    status = as_json(environment, "status", made["run"])

    (file,) = verified["files"]
    table = pq.read_table(output / file["name"])
    assert len(table) == made["rows"]["kept"] == verified["rows"]
    assert made["rows"]["in"] == len(facts["accounts"]) + 1
    assert set(table.column_names) == {"member_number", "body"}
    assert not any("@example.org" in text for text in table["body"].to_pylist())
    assert (status["state"], status["gate"]["open"], status["use"]["receipts"]) == (
        "frozen",
        True,
        1,
    )


@pytest.mark.live
def test_a_training_ends_when_exec_is_killed(environment, raw, tmp_path):
    as_json(environment, *run_words(raw, tmp_path / "clean"))
    script = (
        "import os, sys, time\n"
        f"open({str(tmp_path / 'pid.part')!r}, 'w').write(str(os.getpid()))\n"
        f"os.rename({str(tmp_path / 'pid.part')!r}, {str(tmp_path / 'pid')!r})\n"
        "time.sleep(120)"
    )
    words = [PROGRAM, "exec", "--data", tmp_path / "clean", "--", sys.executable, "-c", script]
    running = subprocess.Popen(words, env=environment, stderr=subprocess.DEVNULL)
    until((tmp_path / "pid").exists, seconds=30)
    group = int((tmp_path / "pid").read_text())

    running.kill()
    running.wait()

    until(lambda: not lives(group))


@pytest.mark.live
def test_the_same_command_again_gives_the_same_run_and_receipt(environment, raw, tmp_path):
    first = as_json(environment, *run_words(raw, tmp_path / "clean"))
    again = as_json(environment, *run_words(raw, tmp_path / "clean"))

    assert again == first


@pytest.mark.live
def test_a_data_set_with_another_byte_is_none(environment, raw, tmp_path):
    output = tmp_path / "clean"
    as_json(environment, *run_words(raw, output))
    (file,) = output.glob("*.parquet")
    data = bytearray(file.read_bytes())
    data[50] ^= 1
    file.write_bytes(data)

    found = as_json(environment, "verify", output, expect=4)

    assert found["exit_code"] == 4


@pytest.mark.live
def test_fetch_shows_where_the_lists_are(environment, raw, tmp_path):
    made = as_json(environment, *run_words(raw, tmp_path / "clean"))

    found = as_json(environment, "fetch", made["run"])

    (file,) = found["files"]
    assert Path(file["path"]).is_file()
    assert found["members"] > 1_000


@pytest.mark.live
def test_progress_goes_to_standard_error_and_is_silent_when_asked(environment, raw, tmp_path):
    loud = call(environment, *run_words(raw, tmp_path / "clean"), "--json")
    made = json.loads(loud.stdout)
    silent = call(environment, "fetch", made["run"], "--quiet")

    assert "The manifest of" in loud.stderr
    assert silent.stderr == ""


@pytest.mark.live
def test_keys_are_made_registered_replaced_and_ended(environment):
    first = as_json(environment, "keys", "register")["fingerprint"]
    second = as_json(environment, "keys", "new")["fingerprint"]
    listed = as_json(environment, "keys", "list")
    ended = as_json(environment, "keys", "end")["fingerprint"]

    states = {one["fingerprint"]: one["ended_at"] for one in listed["registered"]}
    assert listed["here"] == second == ended
    assert states[first] is not None
    assert states[second] is None


@pytest.mark.live
def test_a_full_disk_ends_with_what_to_do(environment, raw, tmp_path):
    made = as_json(environment, *run_words(raw, tmp_path / "clean"))
    environment["PORTAL_CACHE"] = str(tmp_path / "another cache")
    # No file may grow beyond 5,000 bytes: the list has more.
    words = f"ulimit -f 5; exec {PROGRAM} fetch {made['run']}"

    done = subprocess.run(
        ["bash", "-c", words], env=environment, capture_output=True, text=True, check=False
    )

    assert done.returncode == 2, done.stderr
    assert "Make room, or set PORTAL_CACHE to another disk" in done.stderr


@pytest.mark.live
@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"PORTAL_TOKEN": "wrong"}, 3, "look at PORTAL_TOKEN"),
        ({"PORTAL_URL": "http://127.0.0.1:9"}, 6, "does not answer"),
        ({"PORTAL_KEY": ""}, 2, "from people, not from the portal"),
    ],
)
def test_what_goes_wrong_ends_with_what_to_do(environment, raw, tmp_path, change, code, words):
    environment |= change | {"PORTAL_PATIENCE": "1"}

    done = call(environment, *run_words(raw, tmp_path / "clean"), expect=code)

    assert words in done.stderr
    assert not (tmp_path / "clean" / "receipt.json").exists()


@pytest.mark.live
def test_a_data_set_is_audited_and_members_who_left_are_taken_out(
    environment, raw, tmp_path, switch_off, facts
):
    output = tmp_path / "clean"
    made = as_json(environment, *run_words(raw, output))
    options = ["--input", raw, "--member-column", "author", "--text", "body"]
    audited = as_json(environment, "audit", output, *options, "--sample", "50")
    before = {
        one["member_number"] for one in pq.read_table(next(output.glob("*.parquet"))).to_pylist()
    }

    assert (audited["rows"], audited["sampled"]) == (made["rows"]["kept"], 50)
    # Those who are in: of an account that is delivered.
    gone = facts["accounts"][-40:]
    switch_off(*gone)
    taken = as_json(environment, "subtract", output)

    after = {
        one["member_number"] for one in pq.read_table(next(output.glob("*.parquet"))).to_pylist()
    }
    assert after < before
    assert taken["rows"]["in"] - taken["rows"]["kept"] == len(before) - len(after) > 0
    assert taken["delivery"] != made["delivery"]
    assert as_json(environment, "verify", output)["rows"] == taken["rows"]["kept"]
    done = as_json(environment, "subtract", output)
    assert done["files"] == []


@pytest.mark.live
def test_an_audit_finds_what_was_changed_after_the_receipt(environment, raw, tmp_path):
    output = tmp_path / "clean"
    as_json(environment, *run_words(raw, output))
    path = next(output.glob("*.parquet"))
    path.write_bytes(path.read_bytes() + b"x")

    done = call(
        environment, "audit", output, "--input", raw, "--member-column", "author",
        "--text", "body", expect=4,
    )  # fmt: skip

    assert "is not the file that the receipt names" in done.stderr
