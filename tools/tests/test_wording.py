"""Kinds of wording that came back too often: names and sentences that readers stumble over."""

import ast
import re
from pathlib import Path

from django.conf import settings

RIDDLES = re.compile(r"(?<![a-z])(whoever|nobody|somebody|anybody)(?![a-z])", re.IGNORECASE)
NAMES = re.compile(r"\b_?(MOST|LONGEST)(_[A-Z]+)*\b")
FIRST_WORDS = (
    *("Who", "Whoever", "Whose", "What", "Whatever", "Where", "When"),
    *("Nothing", "Nobody", "Somebody"),
)

HERE = Path(__file__)


def modules(*, tests: bool) -> list[Path]:
    folders = [
        settings.BASE_DIR / name for name in (*settings.OUR_APPS, "outsider", "demo", "tools")
    ]
    found = sorted({path for folder in folders for path in folder.rglob("*.py")})
    return [
        path
        for path in found
        if "migrations" not in path.parts and (tests or "tests" not in path.parts)
    ]


def docstrings_without_a_noun(source: str) -> list[str]:
    """The docstrings that begin with a question word or a pronoun: they name no subject."""
    statements = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Expr)]
    texts = [
        node.value.value
        for node in statements
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    ]
    return [text for text in texts if re.match(rf"({'|'.join(FIRST_WORDS)})\b", text.strip())]


def test_docstrings_begin_with_a_noun_or_a_verb() -> None:
    found = [
        f"{path.relative_to(settings.BASE_DIR)}: {text[:60]}"
        for path in modules(tests=False)
        for text in docstrings_without_a_noun(path.read_text())
    ]

    assert not found


def test_a_limit_is_called_max() -> None:
    found = {
        (path.name, match[0])
        for path in modules(tests=True)
        if path != HERE
        for match in NAMES.finditer(path.read_text())
    }

    assert not found


def speaking() -> list[Path]:
    """The files that people read: pages, letters, documents and code."""
    pages = [path for path in (settings.BASE_DIR / "templates").rglob("*") if path.is_file()]
    documents = [*settings.BASE_DIR.glob("*.md"), *(settings.BASE_DIR / "docs").rglob("*.md")]
    # PostgreSQL does not start as root: there it runs as the system's user of that name.
    code = [path for path in modules(tests=True) if path.name not in ("postgres.py", HERE.name)]
    return [*pages, *documents, *code]


def test_people_are_named_by_their_role() -> None:
    found = [
        f"{path.relative_to(settings.BASE_DIR)}: {match[0]}"
        for path in speaking()
        for match in RIDDLES.finditer(path.read_text())
    ]

    assert len(speaking()) > 500
    assert not found
