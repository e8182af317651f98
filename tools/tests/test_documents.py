"""What documents name is there: files, modules, commands, settings, labels. MkDocs checks the links inside docs/."""

import importlib.util
import re
import subprocess
from functools import cache

import pytest
from django.apps import apps
from django.conf import settings
from django.core.management import get_commands

from common.identity import roles
from ledger.errors import LedgerRewritten
from tools import pictures, states

ROOT = settings.BASE_DIR
DOCS = ROOT / "docs"
OURS = "|".join(settings.OUR_APPS)
SUFFIXES = "py|md|html|sh|conf|env|service|toml|yml|yaml|txt|lock"
AT_THE_TOP = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")),
    ROOT / "outsider" / "README.md",
]
PAGES = [*AT_THE_TOP, *sorted(DOCS.rglob("*.md"))]


@cache
def files():
    """Every file of the repository, the new ones too."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.splitlines()  # fmt: skip
    return [name for name in listed if (ROOT / name).is_file()]


@cache
def code():
    """All text that is no document."""
    suffixes = (".py", ".html", ".sh", ".env", ".txt")
    parts = [ROOT / name for name in files() if name.endswith(suffixes)]
    return "\n".join(path.read_text() for path in [*parts, ROOT / "Makefile"])


def faults(pages, faults_of):
    """What is wrong with each page, of the pages with which something is."""
    found = {str(page.relative_to(ROOT)): faults_of(page) for page in pages}
    return {page: fault for page, fault in found.items() if fault}


def words_of(page):
    """What a page has between backticks in its sentences."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    return set(re.findall(r"`([^`\n]+)`", text))


def blocks_of(page):
    """The language of each block between lines of three backticks, and what it holds."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)


def missing(looks_like, is_there):
    """By page, the words between backticks that look like something and are not there."""
    pattern = re.compile(looks_like)

    def missing_on(page):
        return {word for word in words_of(page) if pattern.fullmatch(word) and not is_there(word)}

    return faults(PAGES, missing_on)


# --- Files and names of the code ------------------------------------------------------------------

OF_AN_INSTALLATION = {"keys.txt", "redis.conf"}


def test_every_file_that_a_page_names_is_there():
    top = "|".join({re.escape(name.split("/")[0]) for name in files() if "/" in name})

    def is_there(word):
        found = any(f"/{name}".endswith(f"/{word}") for name in files())
        return found or (ROOT / word).is_dir() or word in OF_AN_INSTALLATION

    with_a_suffix = rf"(?!/|var/)[\w.@/-]+\.({SUFFIXES})"
    assert missing(rf"{with_a_suffix}|({top})/[\w./-]*", is_there) == {}


def test_every_name_of_the_code_that_a_page_has_is_there():
    models = {model._meta.label_lower for model in apps.get_models()}

    def is_there(word):
        return word in models or is_defined(word) or word in code()

    assert missing(rf"(?!.*\.({SUFFIXES})$)[a-z_]+(\.\w+)+", is_there) == {}


def test_every_station_of_the_path_is_there():
    text = (DOCS / "explanation" / "path-of-an-opt-out.md").read_text()
    named = set(re.findall(rf"\b(?:{OURS})(?:\.[a-z_]+)+", text))

    assert len(named) > 20
    assert {word for word in named if not is_defined(word)} == set()


def is_defined(name):
    """Whether it is a module of the repository, something that one defines, or the standard library's."""
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        module = "/".join(parts[:cut])
        ends = (f"/{module}.py", f"/{module}/__init__.py")
        found = [path for path in files() if f"/{path}".endswith(ends)]
        if found and cut == len(parts):
            return True
        defined = "" if cut == len(parts) else rf"^(def|class) {parts[cut]}\b|^{parts[cut]}(:| =)"
        if any(re.search(defined, (ROOT / path).read_text(), re.MULTILINE) for path in found):
            return True
    return parts[0] == "json" and importlib.util.find_spec("json") is not None


def test_every_table_and_column_that_a_page_names_is_there():
    models = apps.get_models()
    known = {model._meta.db_table for model in models}
    known |= {field.column for model in models for field in model._meta.concrete_fields}
    # A code of an error that looks like one.
    known.add(LedgerRewritten.code)

    assert missing(rf"({OURS})_[a-z]+", known.__contains__) == {}


def test_every_setting_and_constant_that_a_page_names_is_there():
    def is_there(word):
        return re.search(rf"\b{word.split('=')[0]}\b", code())

    assert missing(r"[A-Z]+(_[A-Z]+)+(=\w+)?", is_there) == {}


# --- Commands -------------------------------------------------------------------------------------


def test_every_management_command_that_a_page_names_is_there():
    called = re.compile(r"(?:^|[\s`$(;&|])(?:manage\.py|manage|as_portal) ([a-z_]+)", re.MULTILINE)
    known = set(get_commands())

    assert faults(PAGES, lambda page: set(called.findall(page.read_text())) - known) == {}


def test_every_target_of_make_that_a_page_names_is_there():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    def unknown_on(page):
        text = "\n".join([*words_of(page), *(block for _, block in blocks_of(page))])
        return set(re.findall(r"^make ([a-z]+)", text, re.MULTILINE)) - targets

    assert faults(PAGES, unknown_on) == {}


def test_no_block_stands_inside_a_list():
    """MkDocs would show it as a sentence."""
    inside = re.compile(r"^ +```.*$", re.MULTILINE)

    assert faults(PAGES, lambda page: inside.findall(page.read_text())) == {}


def test_every_block_of_commands_is_shell():
    def what_bash_says_of(page):
        blocks = [block for language, block in blocks_of(page) if language in ("sh", "bash")]
        command = ["bash", "-n"]
        return [
            read.stderr
            for block in blocks
            if (read := subprocess.run(command, input=block, text=True, capture_output=True, check=False)).returncode
        ]  # fmt: skip

    assert faults(PAGES, what_bash_says_of) == {}


def test_the_trial_runs_every_command_of_the_recipe():
    (_, installing), *_ = blocks_of(DOCS / "how-to" / "operator" / "production.md")
    called = set(re.findall(r"^as_portal ([a-z_]+(?: --deploy| add)?)", installing, re.MULTILINE))
    trial = (ROOT / "deploy" / "trial.sh").read_text()

    assert len(called) == 6
    assert {command for command in called if f"manage {command}" not in trial} == set()


# --- Links from pages that MkDocs does not build --------------------------------------------------


def test_every_link_of_a_page_at_the_top_leads_somewhere():
    def broken_on(page):
        links = re.findall(r"\]\((?!https?:)([^)\s]+)\)", page.read_text())
        return {link for link in links if not leads_somewhere(page, *link.partition("#")[::2])}

    assert faults(AT_THE_TOP, broken_on) == {}


def leads_somewhere(page, path, anchor):
    target = page.parent / path if path else page
    return target.exists() and (not anchor or anchor in anchors_of(target))


def anchors_of(page):
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {
        re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings
    }


# --- Pages that follow from the code --------------------------------------------------------------


def test_the_page_of_states_is_drawn_from_the_code():
    assert states.PAGE.read_text() == states.page(), "Run: make states"


@pytest.mark.parametrize("name", ["README.md", "docs/reference/roles.md"])
def test_the_roles_are_those_of_the_code(name):
    named = re.findall(r"^\| ([A-Z][\w ]+) \|", (ROOT / name).read_text(), re.MULTILINE)

    assert sorted(named) == sorted(roles.NAMES)


def test_every_picture_is_shown_and_small():
    shown = pictures.captions()

    assert {path.stem for path in pictures.PICTURES.iterdir()} == set(shown) == {"ticket", "run"}
    for name, parts in shown.items():
        data = (pictures.PICTURES / f"{name}.png").read_bytes()
        assert data.startswith(b"\x89PNG")
        assert len(data) <= pictures.MAX_BYTES
        assert len(parts) >= 3


# --- What a reader is told to look for ------------------------------------------------------------


def test_every_label_in_bold_is_on_some_page():
    """How-to pages have labels of pages in bold: what a reader looks for and presses."""
    shown = " ".join(code().split()).lower()

    def unknown_on(page):
        labels = re.findall(r"\*\*(.+?)\*\*", " ".join(page.read_text().split()))
        return {label for label in labels if label.lower() not in shown}

    assert faults(sorted((DOCS / "how-to").rglob("*.md")), unknown_on) == {}
