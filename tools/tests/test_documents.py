"""What documents name is there: files, modules, commands, settings, labels. MkDocs checks the links inside docs/."""

import importlib.util
import re
import subprocess
from functools import cache

import pytest
from django.apps import apps
from django.conf import settings
from django.core.management import get_commands

from common.identity.roles import ROLES
from tools import pictures, states

ROOT = settings.BASE_DIR
DOCS = ROOT / "docs"
AT_THE_TOP = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")),
    ROOT / "outsider" / "README.md",
]
SUFFIXES = "py|md|html|sh|conf|env|service|toml|yml|yaml|txt|lock"
PAGES = [*AT_THE_TOP, *sorted(DOCS.rglob("*.md"))]


def each(pages):
    return pytest.mark.parametrize("page", pages, ids=lambda page: str(page.relative_to(ROOT)))


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
    parts = [
        ROOT / name for name in files() if name.endswith((".py", ".html", ".sh", ".env", ".txt"))
    ]
    return "\n".join(path.read_text() for path in [*parts, ROOT / "Makefile"])


def blocks_in(text):
    """The language of each block between lines of three backticks, and what it holds."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def words_of(page):
    """What a page has between backticks in its sentences."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    return set(re.findall(r"`([^`\n]+)`", text))


def missing(page, looks_like, is_there):
    return {
        word for word in words_of(page) if re.fullmatch(looks_like, word) and not is_there(word)
    }


# --- Files and names of the code ------------------------------------------------------------------

OF_AN_INSTALLATION = {"keys.txt", "redis.conf"}


@each(PAGES)
def test_every_file_that_a_page_names_is_there(page):
    top = "|".join({re.escape(name.split("/")[0]) for name in files() if "/" in name})

    def is_there(word):
        found = any(f"/{name}".endswith(f"/{word}") for name in files())
        return found or (ROOT / word).is_dir() or word in OF_AN_INSTALLATION

    with_a_suffix = rf"(?!/|var/)[\w.@/-]+\.({SUFFIXES})"
    assert missing(page, rf"{with_a_suffix}|({top})/[\w./-]*", is_there) == set()


@each(PAGES)
def test_every_name_of_the_code_that_a_page_has_is_there(page):
    def is_there(word):
        return is_a_model(word) or is_defined(word.split(".")) or word in code()

    assert missing(page, rf"(?!.*\.({SUFFIXES})$)[a-z_]+(\.\w+)+", is_there) == set()


def is_a_model(word):
    return word in {model._meta.label_lower for model in apps.get_models()}


def is_defined(parts):
    """Whether it is a module of the repository, something that one defines, or the standard library's."""
    for cut in range(len(parts), 0, -1):
        module = "/".join(parts[:cut])
        ends = (f"/{module}.py", f"/{module}/__init__.py")
        found = [name for name in files() if f"/{name}".endswith(ends)]
        if found and cut == len(parts):
            return True
        defined = re.compile(
            rf"^(def|class) {parts[cut]}\b|^{parts[cut]}(:| =)" if cut < len(parts) else "", re.M
        )
        if any(defined.search((ROOT / name).read_text()) for name in found):
            return True
    return parts[0] == "json" and importlib.util.find_spec("json") is not None


@each(PAGES)
def test_every_setting_and_constant_that_a_page_names_is_there(page):
    def is_there(word):
        return re.search(rf"\b{word.split('=')[0]}\b", code())

    assert missing(page, r"[A-Z]+(_[A-Z]+)+(=\w+)?", is_there) == set()


# --- Commands -------------------------------------------------------------------------------------


def commands_of(page, *callers):
    """The first words behind a caller, in sentences and in blocks."""
    called = rf"(?:^|[\s`$(;&|])(?:{'|'.join(callers)}) ([a-z_]+)"
    return set(re.findall(called, page.read_text(), re.MULTILINE))


@each(PAGES)
def test_every_management_command_that_a_page_names_is_there(page):
    named = commands_of(page, r"manage\.py", "manage", "as_portal")

    assert named - set(get_commands()) == set()


@each(PAGES)
def test_every_target_of_make_that_a_page_names_is_there(page):
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    in_code = "\n".join([*words_of(page), *(block for _, block in blocks_in(page.read_text()))])

    assert set(re.findall(r"^make ([a-z]+)", in_code, re.MULTILINE)) - targets == set()


@each(PAGES)
def test_no_block_stands_inside_a_list(page):
    """MkDocs would show it as a sentence."""
    assert re.findall(r"^ +```.*$", page.read_text(), re.MULTILINE) == []


@each([page for page in PAGES if re.search("^```(ba)?sh$", page.read_text(), re.MULTILINE)])
def test_every_block_of_commands_is_shell(page):
    for language, block in blocks_in(page.read_text()):
        if language in ("sh", "bash"):
            read = subprocess.run(
                ["bash", "-n"], input=block, text=True, capture_output=True, check=False
            )
            assert (read.returncode, read.stderr) == (0, "")


def test_the_trial_runs_every_command_of_the_recipe():
    recipe = DOCS / "how-to" / "operator" / "production.md"
    (_, installing), *_ = blocks_in(recipe.read_text())
    called = set(re.findall(r"^as_portal ([a-z_]+(?: --deploy| add)?)", installing, re.MULTILINE))
    trial = (ROOT / "deploy" / "trial.sh").read_text()

    assert len(called) == 6
    assert {command for command in called if f"manage {command}" not in trial} == set()


# --- Links from pages that MkDocs does not build --------------------------------------------------


@each(AT_THE_TOP)
def test_every_link_of_a_page_at_the_top_leads_somewhere(page):
    broken = set()
    for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", page.read_text()):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in anchors_of(target)):
            broken.add(link)

    assert broken == set()


def anchors_of(page):
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {
        re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings
    }


# --- Pages that follow from the code --------------------------------------------------------------


def test_the_page_of_states_is_drawn_from_the_code():
    assert states.PAGE.read_text() == states.page(), "Run: make states"


@pytest.mark.parametrize("page", [ROOT / "README.md", DOCS / "reference" / "roles.md"])
def test_the_roles_are_those_of_the_code(page):
    named = re.findall(r"^\| ([A-Z][\w ]+) \|", page.read_text(), re.MULTILINE)

    assert sorted(named) == sorted(ROLES)


def test_every_picture_is_shown_and_small():
    shown = pictures.captions()

    assert {path.stem for path in pictures.PICTURES.iterdir()} == set(shown) == {"ticket", "run"}
    for name, parts in shown.items():
        data = (pictures.PICTURES / f"{name}.png").read_bytes()
        assert data.startswith(b"\x89PNG")
        assert len(data) <= pictures.MAX_BYTES
        assert len(parts) >= 3


# --- What a reader is told to look for ------------------------------------------------------------


@each(sorted((DOCS / "how-to").rglob("*.md")))
def test_every_label_in_bold_is_on_some_page(page):
    """How-to pages have labels of pages in bold: what a reader looks for and presses."""
    text = " ".join(page.read_text().split())
    shown = " ".join(code().split()).lower()

    assert {
        label for label in re.findall(r"\*\*(.+?)\*\*", text) if label.lower() not in shown
    } == set()
