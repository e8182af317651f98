"""The locks have what the requirements ask for, and the check of it notices when they do not."""

import shutil

import pytest

from tools import locks


@pytest.fixture
def directory(tmp_path):
    """The project's own files, to be spoilt."""
    for name in locks.SETS:
        shutil.copy(locks.ROOT / f"{name}.txt", tmp_path)
        shutil.copy(locks.ROOT / f"{name}.lock", tmp_path)
    return tmp_path


def change(path, old, new):
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def test_the_project_s_locks_have_what_its_requirements_ask_for(directory):
    assert locks.problems(directory) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("requirements.txt", "\ndjango==5.2.19 ", "\ndjango==5.2.18 ",
         ["requirements.lock: django is pinned to 5.2.19; requirements.txt says 5.2.18.",
          "requirements-dev.lock: django is pinned to 5.2.19; requirements-dev.txt says 5.2.18."]),
        ("requirements-dev.txt", "\nruff==", "\nnot-locked==1.0  # new\nruff==",
         ["requirements-dev.lock: not-locked is missing; requirements-dev.txt has it."]),
        ("requirements.txt", "\ntqdm==4.70.1 ", "\n# tqdm==4.70.1 ",
         ["requirements.lock: tqdm is pinned for requirements.txt, which does not ask for it."]),
        ("requirements.lock", "\nasgiref==", "\nasgiref==9.",
         ["requirements-dev.lock: asgiref is pinned to {asgiref}; the other lock says 9.{asgiref}."]),
        ("requirements.txt", "  # the API\n", "\n",
         ["requirements.txt: djangorestframework has no reason beside it."]),
        ("requirements.txt", "\ndjango-csp==", "\ndjango-csp>=",
         ["requirements.txt: django-csp is not pinned to one version.",
          "requirements.lock: django-csp is pinned for requirements.txt, which does not ask for it."]),
        ("requirements.lock", "\nasgiref==", "\n--index-url https://index.example/simple\nasgiref==",
         ["requirements.lock: line {line} names a place: --index-url https://index.example/simple"]),
        ("requirements-dev.txt", "\nruff==", "\nruff = ",
         ["requirements-dev.txt: this is no requirement: ruff = {ruff}",
          "requirements-dev.lock: ruff is pinned for requirements-dev.txt, which does not ask for it."]),
    ],
)  # fmt: skip
def test_what_does_not_agree_is_said(directory, file, old, new, said):
    lock = (directory / "requirements.lock").read_text()
    pins, _ = locks.read(lock, "requirements.lock")
    line = (
        lock.splitlines().index(next(x for x in lock.splitlines() if x.startswith("asgiref"))) + 1
    )
    ruff = next(
        text.removeprefix("ruff==")
        for text in (directory / "requirements-dev.txt").read_text().splitlines()
        if text.startswith("ruff==")
    )
    change(directory / file, old, new)

    assert locks.problems(directory) == [
        sentence.format(asgiref=pins["asgiref"].version, line=line, ruff=ruff) for sentence in said
    ]


def test_a_package_without_a_hash_is_said():
    hashed = f"tqdm==4.70.1 \\\n    --hash=sha256:{'0' * 64}\n    # via -r requirements.txt"
    pins, problems = locks.read(f"{hashed}\nidna==3.20\n", "requirements.lock")

    assert problems == []
    assert {name: pin.has_hash for name, pin in pins.items()} == {"tqdm": True, "idna": False}
