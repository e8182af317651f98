"""Exports as they should be, and as they should not."""

import json
from dataclasses import replace
from hashlib import sha256

import pytest

from ledger import canonical
from outsider import verify
from tools import sample_export
from tools.campaign import with_true_roots
from tools.sample_export import ATTACKERS, REAL, Signer, entry_line, joined, write

KEY = verify.key_from(REAL.verifier_key)


def problems(export, *kept, keys=(KEY,), derives=True):
    return verify.check_export(export, keys, kept, derives).problems


@pytest.mark.both_engines
def test_a_true_export_is_found_good(export, kept):
    report = verify.check_export(export, [KEY], [kept])

    assert report.problems == []
    assert report.notes == ["reads.ndjson: 4 reads since the last batch are sealed by nothing yet."]


def test_without_a_kept_checkpoint_it_says_what_that_leaves_open(export):
    assert any("kept elsewhere" in note for note in verify.check_export(export, [KEY]).notes)


def test_an_export_in_many_pieces_is_the_same(export, kept, monkeypatch):
    whole = verify.check_export(export, [KEY], [kept]).checked
    monkeypatch.setattr(verify, "PIECE", 5_000)

    report = verify.check_export(export, [KEY], [kept])

    assert report.problems == []
    assert report.checked == whole


def test_a_line_is_named_also_in_a_later_piece(export, monkeypatch):
    monkeypatch.setattr(verify, "PIECE", 5_000)
    lines = (export / "ledger.ndjson").read_bytes().splitlines()
    lines[200] = lines[200].replace(b'"kind":', b'"kind" :')
    (export / "ledger.ndjson").write_bytes(joined(lines))

    assert problems(export)[0] == "ledger.ndjson, line 201: it is not in canonical form."


def alter(export, name, change):
    path = export / name
    lines = path.read_bytes().splitlines()
    change(lines)
    path.write_bytes(joined(lines))


def test_an_entry_that_is_gone_is_named(made, export, kept):
    alter(export, "ledger.ndjson", lambda lines: lines.pop(9))

    found = problems(export, kept)

    assert found[0] == (
        f"ledger.ndjson, line 10: it says it is entry 11, and {len(made.sample.lines) - 11} lines after it"
        " have other numbers too."
    )
    assert any(str(kept) in problem and "do not have the root" in problem for problem in found)


def test_a_rolled_back_ledger_is_named(made, tmp_path, kept):
    write(made.sample.as_of(made.sample.sizes[1]).files(), tmp_path / "old")

    (problem,) = problems(tmp_path / "old", kept)

    assert "it was rolled back or cut off" in problem


def test_a_backup_is_good_by_itself(made, tmp_path):
    """Only a kept checkpoint shows that it is old."""
    write(made.sample.as_of(made.sample.sizes[1]).files(), tmp_path / "old")

    assert problems(tmp_path / "old") == []


def test_an_export_of_another_key_is_refused(made, tmp_path):
    write(made.sample.files(ATTACKERS), tmp_path / "forged")

    found = problems(tmp_path / "forged")

    assert "is signed by no key you trust" in found[0]
    assert any("keys.txt, line 1" in problem for problem in found)


def test_keys_of_the_export_are_taken_with_a_warning_only(export, capsys):
    code = verify.main(["export", str(export), "--trust-export-keys"])

    assert code == 0
    assert "NOTE: The keys were taken from the export itself" in capsys.readouterr().out


def test_a_checkpoint_that_is_no_more_listed_first_is_named(export):
    alter(export, "checkpoints.ndjson", lambda lines: lines.reverse())

    assert any("does not come after" in problem for problem in problems(export))


def test_entries_under_no_checkpoint_are_told(made, export):
    alter(export, "checkpoints.ndjson", lambda lines: lines.pop())

    report = verify.check_export(export, [KEY])

    assert report.problems == []
    first, last = made.sample.sizes[-2] + 1, len(made.sample.lines)
    assert report.notes[0] == f"Entries {first} to {last} are under no checkpoint yet."


def test_nothing_signed_is_a_problem(export):
    (export / "checkpoints.ndjson").write_bytes(b"")

    assert "checkpoints.ndjson has no checkpoint: nothing is signed." in problems(export)


# --- Reads ------------------------------------------------------------------------------------------


def test_a_read_that_is_gone_is_named(export):
    alter(export, "reads.ndjson", lambda lines: lines.pop(3))

    (problem,) = problems(export)

    assert "seals 14 reads from 1 to 15; reads.ndjson has 13" in problem


def test_a_read_that_was_changed_is_named(export):
    def change(lines):
        lines[20] = lines[20].replace(b"complaint", b"curiosity")

    alter(export, "reads.ndjson", change)

    (problem,) = problems(export)

    assert "reads from 16 to 30 in reads.ndjson are not those it seals" in problem


# --- Manifests --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("manifest", "is missing; entry "),
        ("checkpoint", "is missing, although its root is sealed."),
    ],
)
def test_a_file_of_a_manifest_that_is_gone_is_named(export, kind, sentence):
    (export / f"manifests/TR-2026-000001.{kind}").unlink()

    found = problems(export)

    assert f"manifests/TR-2026-000001.{kind} {sentence}" in found[0]


def test_a_file_of_no_manifest_is_named(export):
    (export / "manifests/TR-2026-000009.manifest").write_bytes(b"")

    assert problems(export) == [
        "manifests/TR-2026-000009.manifest belongs to no manifest of the ledger."
    ]


def test_two_archives_exchanged_are_named(export):
    one, other = (export / f"manifests/TR-2026-00000{n}.manifest" for n in (1, 2))
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)

    found = [one for one in problems(export) if not one.startswith("incidents/")]
    assert found and all("does not have the digest" in problem for problem in found)


def test_a_members_checkpoint_of_another_run_is_named(export):
    one, other = (export / f"manifests/TR-2026-00000{n}.checkpoint" for n in (1, 2))
    one.write_bytes(other.read_bytes())

    assert problems(export) == [
        "manifests/TR-2026-000001.checkpoint is of portal.example/ledger/TR-2026-000002, not of"
        " TR-2026-000001."
    ]


def test_two_trees_of_members_contradict_the_ledger(made, tmp_path):
    """The signer shows an outsider another tree, with member 1 in: the sealed root contradicts it."""
    leaves = list(made.sample.members["TR-2026-000001"])
    leaves[1] = bytes(1) + leaves[1][1:]
    write(replace(made.sample, members={**made.sample.members, "TR-2026-000001": leaves}).files(),
          tmp_path / "export")  # fmt: skip

    assert problems(tmp_path / "export") == [
        "manifests/TR-2026-000001.checkpoint signs another tree of members than the one the archive has."
    ]


# --- Keys change ------------------------------------------------------------------------------------

NEW = Signer(sha256(b"the next key").digest())


def key_entry(sequence, kind, key):
    entry = json.loads(entry_line(sequence, kind, "portal.nothing"))
    return canonical.dumps({**entry, "reason": key, "rows": {}})


@pytest.fixture
def rotated(made, tmp_path):
    """The new key is added at N+1, both sign at N+1, the old one is retired at N+2, the new one signs N+3."""
    size = len(made.sample.lines)
    lines = [
        *made.sample.lines,
        key_entry(size + 1, "checkpoint.key_added", NEW.verifier_key),
        key_entry(size + 2, "checkpoint.key_retired", REAL.verifier_key),
        key_entry(size + 3, "test.nothing", ""),
    ]
    sample = replace(made.sample, lines=lines)
    files = sample.files()
    notes = {size: sample.checkpoint(size), size + 3: sample.checkpoint(size + 3, NEW)}
    text, _, _ = sample.checkpoint(size + 1).decode().partition("\n\n")
    notes[size + 1] = sample.checkpoint(size + 1) + NEW.line(text + "\n").encode()
    files["checkpoints.ndjson"] = joined(
        [canonical.dumps({"note": notes[n].decode(), "size": n}) for n in sorted(notes)]
    )
    files["keys.txt"] = joined([REAL.verifier_key.encode(), NEW.verifier_key.encode()])
    write(files, tmp_path / "rotated")
    return sample, tmp_path / "rotated", size


def test_a_new_key_is_known_from_an_entry_under_the_old_one(rotated, kept):
    _, export, _ = rotated

    assert problems(export, kept) == []


def test_a_retired_key_signs_nothing_more(rotated, made):
    sample, export, size = rotated
    note = sample.checkpoint(size + 3).decode()

    def by_the_old_key(lines):
        lines[-1] = canonical.dumps({"note": note, "size": size + 3})

    alter(export, "checkpoints.ndjson", by_the_old_key)

    assert any("is signed by no key you trust" in problem for problem in problems(export))


def test_a_key_that_no_checkpoint_of_a_known_one_covers_is_not_trusted(rotated):
    """A party without a key cannot add one."""
    export = rotated[1]
    alter(export, "checkpoints.ndjson", lambda lines: lines.pop(-2))

    assert any("is signed by no key you trust" in problem for problem in problems(export))


# --- Hostile files ------------------------------------------------------------------------------------

GOOD = entry_line(1, "a", "b", c=1)
HOSTILE_LINES = {
    "nothing": b"",
    "NUL": b"\0",
    "CRLF": GOOD + b"\r",
    "not UTF-8": b'"\xff"',
    "a number of a million digits": GOOD.replace(b'"sequence":1', b'"sequence":' + b"9" * 1_000_000),
    "a huge number": GOOD.replace(b'"sequence":1', b'"sequence":9007199254740992'),
    "a float": GOOD.replace(b'"sequence":1', b'"sequence":1.0'),
    "an exponent": GOOD.replace(b'"sequence":1', b'"sequence":1e0'),
    "minus zero": GOOD.replace(b'"sequence":1', b'"sequence":-0'),
    "NaN": GOOD.replace(b'"sequence":1', b'"sequence":NaN'),
    "a name twice": GOOD.replace(b'"subject":""', b'"subject":"","subject":""'),
    "an escape that need not be": GOOD.replace(b'"kind":"a"', b'"kind":"\\u0061"'),
    "a lone surrogate": GOOD.replace(b'"kind":"a"', b'"kind":"\\ud800"'),
    "nested without end": b"[" * 100_000,
    "a list": b"[]",
    "a word": b'"x"',
    "null": b"null",
    "a field more": GOOD.replace(b'"actor"', b'"aaa":1,"actor"'),
    "rows that are a list": GOOD.replace(b'{"b":{"columns":["c"],"values":[[1]]}}', b"[]"),
    "a table without values": GOOD.replace(b',"values":[[1]]', b""),
    "a row that is too long": GOOD.replace(b"[[1]]", b"[[1,2]]"),
    "columns that are numbers": GOOD.replace(b'["c"]', b"[1]"),
    "the sequence is true": GOOD.replace(b'"sequence":1', b'"sequence":true'),
    "the sequence is negative": GOOD.replace(b'"sequence":1', b'"sequence":-1'),
    "the reason is a number": GOOD.replace(b'"reason":""', b'"reason":1'),
    "a key that is none": entry_line(1, "checkpoint.key_added", "b", c=1),
    "a manifest without an id": entry_line(1, "a", "training_runs.manifest", c=1),
    "a manifest of nothing": entry_line(1, "a", "training_runs.manifest", id=1),
    "a manifest with an odd cut": entry_line(1, "a", "training_runs.manifest", id=1, run_id=1, cut="x"),
    "a manifest of a list": entry_line(1, "a", "training_runs.manifest", id=1, run_id=[1], cut=0),
    "a batch of words": entry_line(1, "a", "ledger.readbatch", id=1, first="a", last="b", count="c"),
    "a batch without a root": entry_line(1, "a", "ledger.readbatch", id=1, first=1, last=2, count=2),
}  # fmt: skip


@pytest.mark.parametrize("line", HOSTILE_LINES.values(), ids=HOSTILE_LINES)
@pytest.mark.parametrize("place", [0, 150, 295])
def test_a_hostile_line_is_a_problem_and_no_traceback(export, line, place):
    def put(lines):
        lines[place] = line

    alter(export, "ledger.ndjson", put)

    assert problems(export)


@pytest.mark.parametrize("line", HOSTILE_LINES.values(), ids=HOSTILE_LINES)
@pytest.mark.parametrize("name", ["reads.ndjson", "checkpoints.ndjson", "keys.txt"])
def test_a_hostile_line_in_another_file_is_a_problem_and_no_traceback(export, line, name):
    alter(export, name, lambda lines: lines.insert(0, line))

    assert problems(export)


HOSTILE_MEMBERS = {
    "a number of no member": {"id": 2**50},
    "a word for a number": {"id": "x"},
    "a list for a number": {"id": [1]},
    "no number": {"id": None},
    "a day that is a number": {"id": 231, "adult_on": 7},
    "a country that is a list": {"id": 231, "country": ["US"]},
    "no status": {"id": 231, "status": None},
}


@pytest.mark.parametrize("facts", HOSTILE_MEMBERS.values(), ids=HOSTILE_MEMBERS)
def test_what_the_fold_cannot_read_is_a_problem_and_no_traceback(made, tmp_path, facts):
    """Signed by the real key: deriving the manifest is what is left to object."""
    row = {"country": "US", "adult_on": "2000-01-01", "status": "open", **facts}
    row = {name: value for name, value in row.items() if value is not None}
    lines = list(made.sample.lines)
    at = json.loads(lines[50])["recorded_at"]
    lines[50] = entry_line(51, "test.members", "consent.historicalmember", at=at, **row)
    write(with_true_roots(replace(made.sample, lines=lines)).files(), tmp_path / "export")

    assert any("cannot be" in problem or "do not agree" in problem or "header says" in problem
               for problem in problems(tmp_path / "export"))  # fmt: skip


@pytest.mark.parametrize(
    "name", ["ledger.ndjson", "reads.ndjson", "checkpoints.ndjson", "keys.txt"]
)
def test_a_line_of_100_MB_is_refused_by_its_size(export, name):
    with (export / name).open("ab") as file:
        file.truncate(file.tell() + 100_000_000)

    assert any("has more than" in problem or "has a line of more than" in problem
               for problem in problems(export, derives=False))  # fmt: skip


@pytest.mark.parametrize(
    "name", ["ledger.ndjson", "reads.ndjson", "checkpoints.ndjson", "keys.txt"]
)
def test_a_file_that_is_cut_off_is_named(export, name):
    path = export / name
    path.write_bytes(path.read_bytes()[:-1])

    assert any("does not end: the file was cut off" in problem for problem in problems(export))


@pytest.mark.parametrize(
    "name", ["ledger.ndjson", "reads.ndjson", "checkpoints.ndjson", "keys.txt"]
)
def test_a_file_that_is_missing_cannot_be_read(export, name, capsys):
    (export / name).unlink()

    assert verify.main(["export", str(export), "--key", REAL.verifier_key]) == 2
    assert f"{name} cannot be read" in capsys.readouterr().err


def test_many_problems_are_counted(export):
    (export / "ledger.ndjson").write_bytes(b"x\n" * 1000)

    report = verify.check_export(export, [KEY])

    assert len(report.problems) == verify.MAX_PROBLEMS
    assert report.count > 1000


def test_the_sample_is_more_than_a_toy(made):
    assert len(made.sample.lines) > 250
    assert len(made.sample.archives) == 4
    assert sample_export.rows_in(made.sample.lines[-1], "ledger.readbatch")
