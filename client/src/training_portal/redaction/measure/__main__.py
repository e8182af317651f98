"""Measure redaction and write the page of its figures: python -m training_portal.redaction.measure"""

import json
import os
import platform
import subprocess
import sys
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import click

from training_portal.errors import PortalError
from training_portal.redaction.measure import known_forms, page, scoring, speed
from training_portal.redaction.measure.texts import (
    KINDS,
    LANGUAGES,
    WITHOUT_A_LIST,
    items,
    negatives,
)
from training_portal.redaction.redactor import VERSION, Redactor

PAGE = Path("docs/reference/redaction-measured.md")
SEED = 20_261_126
PACKAGES = (
    "pyarrow",
    "numpy",
    "phonenumberslite",
    "python-stdnum",
    "ahocorasick-rs",
    "duckdb",
    "faker",
)


def scores(per_kind: int, *, third: bool = False, seed: int = SEED) -> page.Scores:
    """Scores of the second generator or of the third split, with five negative texts for each item of a kind."""
    texts = [
        one
        for language in LANGUAGES
        for n, kind in enumerate(KINDS)
        for one in items(kind, language, per_kind, seed + 100 * n, third=third)
    ]
    texts += [one for language in LANGUAGES for one in negatives(language, 5 * per_kind, seed)]
    return scoring.score(Redactor(), texts)


def _without_a_list(per_kind: int) -> page.Scores:
    texts = [
        one
        for language in LANGUAGES
        for kind in WITHOUT_A_LIST
        for one in items(kind, language, per_kind, SEED)
    ]
    return scoring.score(Redactor(), texts)


def _long_list(entries: int, rows: int) -> speed.ListFigures:
    """Asked of another process: this one has grown by then."""
    command = [
        sys.executable,
        "-m",
        __package__,
        "--only-list",
        "--entries",
        str(entries),
        "--rows",
        str(rows),
    ]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    return speed.ListFigures(**json.loads(done.stdout))


@click.command()
@click.option(
    "--page",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    default=PAGE,
    show_default=True,
    help="Where the page is written.",
)
@click.option("--per-kind", default=300, show_default=True, help="Items of each kind and language.")
@click.option("--entries", default=300_000, show_default=True, help="Entries of the long list.")
@click.option("--rows", default=400_000, show_default=True, help="Rows that speed is measured on.")
@click.option("--only-list", is_flag=True, hidden=True)
def main(path: Path, per_kind: int, entries: int, rows: int, only_list: bool) -> None:
    """Measure redaction on texts of a second generator, and write the page of the figures. It takes some minutes."""
    if only_list:
        click.echo(json.dumps(asdict(speed.long_list(entries, rows // 4, SEED))))
        return
    if not path.parent.is_dir():
        raise click.BadParameter(
            f"{path.parent} is no directory: run it in the repository, or give --page."
        )
    try:
        text = page.written(
            second=scores(per_kind),
            third=scores(per_kind, third=True),
            without=_without_a_list(per_kind),
            negatives=5 * per_kind,
            known=known_forms.measured(200, SEED),
            ratio=speed.beside_a_copy(rows * 3 // 2, SEED),
            dirty=speed.dirty_rows(max(rows // 10, 1_000), SEED),
            listed=_long_list(entries, rows),
            machine=f"{os.cpu_count()} processors ({platform.machine()})",
            versions=[
                f"rules {VERSION}",
                f"Python {platform.python_version()}",
                *(f"{name} {version(name)}" for name in PACKAGES),
            ],
        )
    except PortalError as error:
        raise click.ClickException(str(error)) from error
    path.write_text(text, encoding="utf-8")
    click.echo(f"{path} is written.")


if __name__ == "__main__":
    main()
