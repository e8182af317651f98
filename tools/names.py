"""`make names`: docs/reference/names.md, every name an outsider may depend on, drawn from the code.

python -m tools.names            writes the page
python -m tools.names --check    in make check: is the page what the code says, is every kind declared and written?
"""

import ast
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from http import HTTPStatus
from importlib import import_module
from pathlib import Path
from typing import TypeVar

import django
import yaml
from django.conf import settings
from django.core.management import get_commands, load_command_class
from django.db.models import TextChoices

from ledger import registry
from ledger.errors import Refusal

ROOT = Path(__file__).resolve().parent.parent
Node = TypeVar("Node", bound=ast.AST)

PAGE = ROOT / "docs" / "reference" / "names.md"

HEAD = """# Names that do not change

Everything that an outside party may write into a program, a query or a contract: a tracker, an auditor's
script, a data warehouse, a regulator's file. `make names` draws this page from the code, and `make check` compares them.

From the release tagged `0.1.0` on, nothing on this page changes its meaning, and nothing is renamed or removed. New names
may be added. Until that tag, any of them may still change.

What is not here may change with any release: addresses of the admin, sentences, log lines, tables and columns that are
not sealed, Python names.
"""


def page() -> str:
    """The whole page."""
    return "\n".join(
        [
            HEAD,
            *_entries(),
            *_reads(),
            *_reasons(),
            *_words(),
            *_sealed(),
            *_scopes(),
            *_permissions(),
            *_paths(),
            *_errors(),
            *_commands(),
            *_formats(),
            "",
        ]
    )


def _table(heads: str, rows: Iterable[Iterable[str]]) -> Iterator[str]:
    names = heads.split(" | ")
    yield ""
    yield f"| {heads} |"
    yield "|" + "---|" * len(names)
    yield from (f"| {' | '.join(row)} |" for row in rows)


def _code(name: str) -> str:
    return f"`{name}`"


def _codes(names: Iterable[str]) -> str:
    return ", ".join(map(_code, names))


def _entries() -> Iterator[str]:
    kinds = [kind for kind in registry.entry_kinds.values() if _is_ours(kind.code)]
    yield "## Kinds of ledger entries"
    yield ""
    yield "`kind` of an entry ([ledger.md](ledger.md)). A kind *taken at any time* is written even while clocks disagree."
    yield from _table(
        "kind | what happened | taken at any time",
        (
            [_code(kind.code), kind.words, "yes" if kind.despite_clocks else ""]
            for kind in sorted(kinds, key=lambda kind: kind.code)
        ),
    )


def _is_ours(code: str) -> bool:
    """Tests and measurements declare kinds of their own."""
    return code.partition(".")[0] not in ("test", "bench")


def _reads() -> Iterator[str]:
    kinds = [kind for kind in registry.read_kinds.values() if _is_ours(kind.code)]
    yield "\n## Kinds of reads"
    yield ""
    yield "`kind` of a record in `reads.ndjson` ([proof-format.md](proof-format.md))."
    yield from _table(
        "kind | what was read",
        ([_code(kind.code), kind.words] for kind in sorted(kinds, key=lambda kind: kind.code)),
    )


def _reasons() -> Iterator[str]:
    from training_runs.eligibility import exclusions

    yield "\n## Reason codes"
    yield ""
    yield "Why a member is out of a manifest, in the order in which they are shown."
    yield from _table(
        "code | the member is out because",
        ([_code(e.code), e.sentence] for e in exclusions.BY_CODE.values()),
    )


CREDENTIALS = ("session", "link", "token:<token key>", "command:<name>:<user>", "task:<name>")
WORDS = "consent objections training_runs common ledger".split()


def _words() -> Iterator[str]:
    yield "\n## States and other closed lists of words"
    yield ""
    yield "As sealed columns, exports and the API write them. [States](states.md) has the moves between states."
    rows = []
    for app in WORDS:
        choices = import_module(f"{app}.choices")
        rows += [
            [f"{app} {_spaced(name)}", _codes(words.values)]
            for name, words in sorted(vars(choices).items())
            if isinstance(words, type)
            and issubclass(words, TextChoices)
            and words is not TextChoices
        ]
    yield from _table("list | words", rows)


def _spaced(name: str) -> str:
    return re.sub(r"(?<!^)([A-Z])", r" \1", name).lower()


def _sealed() -> Iterator[str]:
    from ledger import sealing

    yield "\n## Sealed labels and columns"
    yield ""
    yield "Names of tables and their columns inside `rows` of an entry. Columns may be added, always ones that may be null."
    yield from _table(
        "label | columns",
        (
            [_code(label), _codes(sealing.sealed_columns(model))]
            for label, model in sealing.sealed_models().items()
        ),
    )


def _scopes() -> Iterator[str]:
    yield "\n## Token scopes"
    scopes = {name: words for one in settings.BROUGHT for name, words in one.scopes.items()}
    yield from _table(
        "scope | lets a token", ([_code(name), words] for name, words in sorted(scopes.items()))
    )


def _permissions() -> Iterator[str]:
    from common.identity import roles

    yield "\n## Permissions"
    yield ""
    yield "[Roles](roles.md) says what each role may do."
    given: dict[str, list[str]] = {}
    for role in roles.NAMES:
        for one in settings.BROUGHT:
            for name in one.permissions.get(role, ()):
                given.setdefault(name, []).append(role)
    yield from _table(
        "permission | roles", ([_code(name), ", ".join(who)] for name, who in sorted(given.items()))
    )


def _paths() -> Iterator[str]:
    api = yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text())
    yield "\n## API"
    yield ""
    yield "Fields of bodies and answers: [openapi.yaml](../openapi.yaml)."
    yield from _table(
        "path | methods",
        (
            [_code(path), _codes(name.upper() for name in calls)]
            for path, calls in sorted(api["paths"].items())
        ),
    )


def _errors() -> Iterator[str]:
    from common.api import problems

    found = {code: str(status) for status, code in problems.CODES.items()}
    for kind in _classes_of_refusals():
        found.setdefault(kind.code, str(kind.status))
    for code, status in _codes_of_calls():
        found.setdefault(code, status)
    yield "\n## Error codes"
    yield ""
    yield "`code` of a problem, of a line of a batch, of a field in `errors`, or of one of the `reasons` of a refused start. A code"
    yield "without a status stands inside an answer. Other codes of fields are those of Django REST framework."
    yield from _table(
        "code | status", ([_code(code), status] for code, status in sorted(found.items()))
    )


def _commands() -> Iterator[str]:
    ours = {name: app for name, app in get_commands().items() if app in settings.OUR_APPS}
    yield "\n## Commands"
    yield ""
    yield "`manage.py <command> --help` has the options, which are names of the same kind."
    yield from _table(
        "command | does",
        (
            [_code(name), _first_sentence(str(load_command_class(app, name).help))]
            for name, app in sorted(ours.items())
        ),
    )


def _first_sentence(text: str) -> str:
    # "Art. 17" ends none.
    return re.split(r"\. (?=[A-Z])", " ".join(text.split()))[0].rstrip(".")


def _formats() -> Iterator[str]:
    from ledger.merkle import proofs
    from outsider import verify
    from training_runs.manifests import manifest_file, members_tree

    yield "\n## Formats"
    yield ""
    yield "[Manifest format](manifest-format.md), [proof format](proof-format.md), [ledger](ledger.md)."
    yield from _table(
        "where | names",
        [
            ["first line of a manifest's archive", _code(manifest_file.MAGIC.decode().strip())],
            ["header of an archive", _codes(sorted(verify.HEADER_FIELDS))],
            ["part of an archive, in `parts`", _codes(["bytes", "members", "name", "sha256"])],
            ["entry, a line of `ledger.ndjson`", _codes(sorted(verify.FIELDS))],
            ["`credential` of an entry", _codes(CREDENTIALS)],
            ["table of an entry", _codes(["columns", "values"])],
            [
                "table of a long entry, in what its leaf covers",
                _codes(["columns", "count", "digest"]),
            ],
            ["read, a line of `reads.ndjson`", _codes(sorted(verify.READ_FIELDS))],
            ["checkpoint, a line of `checkpoints.ndjson`", _codes(["note", "size"])],
            ["files of an export", _codes(_files())],
            ["first line of leaf 0 of a members tree", _code(members_tree.FORMAT)],
            ["first line of a proof", _code(proofs.INCLUSION)],
            ["first line of a proof of consistency", _code(proofs.CONSISTENCY)],
        ],
    )


def _files() -> Iterator[str]:
    from auditing.exports import exporting

    yield from (exporting.LEDGER, exporting.CHECKPOINTS, exporting.READS, exporting.KEYS)
    yield from (f"{exporting.MANIFESTS}/<run>.manifest", f"{exporting.MANIFESTS}/<run>.checkpoint")


# --- What the code writes -----------------------------------------------------------------------

KIND = re.compile(r"[a-z]+\.[a-z_]+")
_DRF = {"required", "invalid", "max_length"}
"""Codes of Django REST framework's own fields."""


@cache
def trees() -> Sequence[tuple[str, ast.Module]]:
    """The apps' modules, without tests and migrations: dotted name and syntax tree."""
    return list(_trees())


def _trees() -> Iterator[tuple[str, ast.Module]]:
    for app in settings.OUR_APPS:
        for path in sorted((ROOT / app).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            if not {"tests", "migrations"} & set(parts):
                yield ".".join(parts).removesuffix(".__init__"), ast.parse(path.read_text())


def _nodes(kind: type[Node]) -> Iterator[tuple[str, Node]]:
    for name, tree in trees():
        yield from ((name, node) for node in ast.walk(tree) if isinstance(node, kind))


def _texts(node: ast.AST) -> Iterator[str]:
    """The texts that stand in an expression."""
    for one in ast.walk(node):
        if isinstance(one, ast.Constant) and isinstance(one.value, str):
            yield one.value


def _called(call: ast.Call) -> str:
    """The last name of what is called."""
    return str(getattr(call.func, "attr", None) or getattr(call.func, "id", ""))


@cache
def kinds_written() -> set[str]:
    """The kinds of entries and reads that stand in a call which writes one."""
    found: set[str] = set()
    for _, call in _nodes(ast.Call):
        place = {"entry": 0, "recorded": 0, "acting": 0, "record_read": 1}.get(_called(call))
        given = [one.value for one in call.keywords if one.arg == "kind"]
        if place is not None:
            given += call.args[place : place + 1]
        found |= {text for one in given for text in _texts(one) if KIND.fullmatch(text)}
    return found


@cache
def texts_of_code() -> set[str]:
    """Every text that stands in the code, but for the declarations."""
    return set(_texts_but_kinds(node for _, tree in trees() for node in tree.body))


def _texts_but_kinds(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        if not (isinstance(node, ast.Call) and _called(node) in ("EntryKind", "ReadKind")):
            yield from _texts_but_kinds(ast.iter_child_nodes(node))


def _classes_of_refusals() -> Iterator[type[Refusal]]:
    for name, node in _nodes(ast.ClassDef):
        if any(isinstance(one, ast.Assign) and "code" in _names(one) for one in node.body):
            found = getattr(import_module(name), node.name, None)
            if isinstance(found, type) and issubclass(found, Refusal):
                yield found


def _names(assignment: ast.Assign) -> list[str]:
    return [one.id for one in assignment.targets if isinstance(one, ast.Name)]


def _codes_of_calls() -> Iterator[tuple[str, str]]:
    """Codes, with their status where it is known, that a problem is made with, an error is raised with, or a reason has."""
    given: list[tuple[ast.expr | None, ast.expr | None]] = []
    for _, call in _nodes(ast.Call):
        keywords = {one.arg: one.value for one in call.keywords}
        if _called(call) == "problem":
            given.append((keywords.get("name"), call.args[0]))
        elif _called(call) == "_say" and len(call.args) > 3:
            given.append((call.args[3], call.args[1]))
        else:
            given.append((keywords.get("code"), None))
    for _, node in _nodes(ast.Dict):
        names = [one.value if isinstance(one, ast.Constant) else None for one in node.keys]
        given.append((dict(zip(names, node.values, strict=True)).get("code"), None))
    for code, status in sorted(given, key=lambda one: one[1] is None):
        if (
            isinstance(code, ast.Constant)
            and isinstance(code.value, str)
            and code.value not in _DRF
        ):
            yield code.value, _number(status)


def _number(status: ast.expr | None) -> str:
    if isinstance(status, ast.Attribute):
        return str(HTTPStatus[status.attr].value)
    return str(status.value) if isinstance(status, ast.Constant) else ""


# --- What does not fit --------------------------------------------------------------------------


def problems() -> Iterator[str]:
    """A sentence for each kind that only the code or only the declarations know, and where the page is not the code's."""
    declared = set(filter(_is_ours, registry.entry_kinds.keys() | registry.read_kinds.keys()))
    for kind in sorted(kinds_written() - declared):
        yield f"The code writes the kind {kind}, which no app declares in its brings.py."
    for kind in sorted(declared - texts_of_code() - set(_composed())):
        yield f"The kind {kind} is declared, and the code does not write it."
    if PAGE.read_text() != page():
        yield f"{PAGE.relative_to(ROOT)} is not what the code says: run make names."


def _composed() -> Iterator[str]:
    """Kinds that the code puts together: from a model's name, a verdict, a kind of file."""
    from common.staff.list_exports import ExportedList
    from common.staff.site import site
    from consent.choices import AccountChangeKind, ReviewVerdict

    yield from (
        f"{what}.{verdict}"
        for what in ("rule", "notice", "policy", "age_rule", "assessment")
        for verdict in ReviewVerdict.values
    )
    yield from (f"account.{kind}" for kind in AccountChangeKind.values)
    yield from ("export.ledger", "export.reads")
    for model, shown in site._registry.items():
        name = model._meta.model_name
        if isinstance(shown, ExportedList):
            yield f"export.{name}"
        if getattr(shown, "read_on_record", False):
            yield from (f"{name}.{what}" for what in ("listed", "read", "history_read"))


def main() -> int:
    if sys.argv[1:] == ["--check"]:
        found = list(problems())
        print("\n".join(found) or "The names on the page are those of the code.")
        return 1 if found else 0
    PAGE.write_text(page())
    print(f"Written: {PAGE}")
    return 0


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    django.setup()
    sys.exit(main())
