"""The two files are carried away: what they need, what they share, and that they run on their own."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

from tools.sample_export import REAL, consistency_proof, inclusion_proof

OUTSIDER = Path(settings.BASE_DIR) / "outsider"
SCRIPTS = ["verify.py", "witness.py"]


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_imports_the_standard_library_only(name):
    tree = ast.parse((OUTSIDER / name).read_text(), feature_version=(3, 8))

    imported = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    } | {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {one.split(".")[0] for one in imported} <= sys.stdlib_module_names


def test_what_the_scripts_share_is_the_same():
    """Each is one file to carry away, so there are two copies: a fix in one belongs into the other."""
    shared = []
    for name in SCRIPTS:
        source = (OUTSIDER / name).read_text()
        begin, end = source.index("# === Shared by"), source.index("# === End of what is shared")
        shared.append(source[begin:end])

    assert shared[0] == shared[1]


@pytest.fixture
def run(tmp_path):
    """Run a script by itself, in an empty directory, with nothing of the project in reach."""
    empty = tmp_path / "empty"
    empty.mkdir()

    def run(name, *arguments, environment=None):
        return subprocess.run(
            [sys.executable, "-I", "-S", OUTSIDER / name, *map(str, arguments)],
            cwd=empty,
            env=environment or {"PATH": os.environ["PATH"]},
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


def test_both_run_alone_from_an_empty_directory(run, export, kept, made, tmp_path):
    sample = made.sample
    leaves = sample.leaves()
    proof = tmp_path / "entry.tlog-proof"
    proof.write_bytes(inclusion_proof(sample.lines[4], 4, leaves, sample.checkpoint(len(leaves))))
    consistency = tmp_path / "consistency"
    consistency.write_bytes(consistency_proof(made.kept, leaves, sample.checkpoint(len(leaves))))
    newest = tmp_path / "newest.checkpoint"
    newest.write_bytes(sample.checkpoint(len(leaves)))
    key = ["--key", REAL.verifier_key]

    answers = [
        run("verify.py", "export", export, *key, "--kept", kept),
        run("verify.py", "checkpoints", export / "checkpoints.ndjson", *key),
        run("verify.py", "consistency", consistency, "--old", kept, *key),
        run("verify.py", "manifest", export / "manifests/TR-2026-000001.manifest",
            "--checkpoint", export / "manifests/TR-2026-000001.checkpoint", *key),
        run("verify.py", "proof", proof, "--entry", *key),
        run("verify.py", "derive", export, "--run", "TR-2026-000002"),
        run("witness.py", tmp_path / "state", *key, "--checkpoint", kept),
        run("witness.py", tmp_path / "state", *key, "--checkpoint", newest,
            "--consistency", consistency),
    ]  # fmt: skip

    assert [(answer.returncode, answer.stderr) for answer in answers] == [(0, "")] * 8
    assert not list((tmp_path / "empty").iterdir())


def test_one_changed_byte_is_named(run, export, kept):
    ledger = export / "ledger.ndjson"
    ledger.write_bytes(ledger.read_bytes().replace(b'"deny"', b'"allo"', 1))

    answer = run("verify.py", "export", export, "--key", REAL.verifier_key, "--kept", kept)

    assert answer.returncode == 1
    assert "do not have the root it signs: one of them was changed" in answer.stdout


def test_without_a_key_it_says_how_to_get_one(run, export, kept, tmp_path):
    for arguments in (
        ["verify.py", "export", export],
        ["verify.py", "checkpoints", export / "checkpoints.ndjson"],
        ["witness.py", tmp_path / "state", "--checkpoint", kept],
    ):
        answer = run(*arguments)
        assert (answer.returncode, answer.stdout) == (2, "")
        assert answer.stderr.startswith("No key was given. Ask people you know")


def test_a_terminal_of_ascii_is_enough(run, export):
    answer = run(
        "verify.py", "export", export, "--trust-export-keys",
        environment={"PATH": os.environ["PATH"], "LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0"},
    )  # fmt: skip

    assert (answer.returncode, answer.stderr) == (0, "")


def test_the_readme_names_every_command_and_option():
    page = (OUTSIDER / "README.md").read_text()

    for name in SCRIPTS:
        source = (OUTSIDER / name).read_text()
        tree = ast.parse(source)
        said = {
            node.args[0].value
            for node in ast.walk(tree)
            if isinstance(node, ast.Call)
            and getattr(node.func, "id", getattr(node.func, "attr", ""))
            in ("command", "add_argument")
            and isinstance(node.args[0], ast.Constant)
        }
        options = {one for one in said if one.startswith("--")}
        commands = said - options - {"directory", "file", "files", "proof", "archive", "state"}
        assert {one for one in options if one not in page} == set()
        assert {one for one in commands if f"verify.py {one}" not in page} == set()
