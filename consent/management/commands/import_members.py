"""Import members from a file: create those not known, change those whose facts have changed.

With --sha256 and --rows, as the sender gives them, another file is refused before anything is written.
Columns: account_ref, country, adult_on (with adult_at) or birth_date, status. Running it again continues, or changes nothing.
Exit codes: 0 all lines imported; 1 the file could not be read to its end; 3 some lines were left out.
"""

import csv
import os
import re
from argparse import ArgumentTypeError
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from common.files import exports
from consent.imports import importing
from consent.imports.member_files import ImportStopped, Reject

ACTOR = "command:import_members"
LINES_LEFT_OUT = 3


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help=".csv, .csv.gz, .ndjson, .ndjson.gz, .parquet")
        parser.add_argument(
            "--sha256",
            type=_digest,
            metavar="HEX",
            help="the digest the sender gave; another file is refused before anything is written",
        )
        parser.add_argument(
            "--rows",
            type=int,
            metavar="N",
            help="how many rows the sender says the file has, likewise (text is read twice for it)",
        )
        parser.add_argument("--dry-run", action="store_true", help="count, write nothing")
        parser.add_argument(
            "--batch-size", type=int, default=importing.BATCH_SIZE, metavar="N",
            help="lines in one ledger entry (default: %(default)s)",
        )  # fmt: skip
        parser.add_argument(
            "--rejects", type=Path, metavar="FILE",
            help="where lines that were left out are listed (default: beside the file)",
        )  # fmt: skip
        parser.add_argument(
            "--expect-new", type=int, metavar="N",
            help="as many accounts may be new, whatever their references look like",
        )  # fmt: skip

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["file"]
        if options["batch_size"] < 1:
            raise CommandError("--batch-size is at least 1.")
        if options["rows"] is not None and options["rows"] < 0:
            raise CommandError("--rows is at least 0.")
        if options["expect_new"] is not None and options["expect_new"] < 0:
            raise CommandError("--expect-new is at least 0.")
        listed = options["rejects"] or path.parent / f"{path.name or 'members'}.rejects.csv"
        if _is_same(listed, path):
            raise CommandError("--rejects names the file of members itself: name another one.")
        rejects = _RejectsFile(listed)
        # Without a terminal (a pipe, a test) tqdm stays silent: disable=None.
        with tqdm(unit=" lines", disable=None, dynamic_ncols=True) as bar, rejects:

            def show(summary: importing.Summary, estimate: int | None) -> None:
                bar.total = estimate
                bar.update(summary.read - bar.n)

            try:
                summary = importing.import_members(
                    path=path,
                    actor=ACTOR,
                    batch_size=options["batch_size"],
                    sha256=options["sha256"] or "",
                    rows=options["rows"],
                    dry_run=options["dry_run"],
                    expect_new=options["expect_new"],
                    on_reject=rejects.add,
                    on_progress=show,
                )
            except ImportStopped as stop:
                raise CommandError(str(stop)) from stop
        self.stdout.write(_words(summary, is_dry=options["dry_run"]))
        if summary.rejected:
            raise CommandError(
                f"{summary.rejected:,} lines were left out: {rejects.path} says which and why.",
                returncode=LINES_LEFT_OUT,
            )


def _digest(text: str) -> str:
    if not re.fullmatch("[0-9a-fA-F]{64}", text):
        raise ArgumentTypeError("a SHA-256 has 64 hexadecimal digits")
    return text.lower()


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except (OSError, ValueError):
        return False


def _words(summary: importing.Summary, *, is_dry: bool) -> str:
    counts = ", ".join(
        f"{name}: {getattr(summary, name):,}"
        for name in ("read", "new", "changed", "unchanged", "repeated", "erased", "rejected")
    )
    words = [("Dry run, nothing written. " if is_dry else "") + counts]
    if summary.incomplete:
        words.append(f"Out until more is known (country, age or status): {summary.incomplete:,}")
    if summary.ignored_columns:
        words.append(f"Columns not read: {len(summary.ignored_columns)}")
    words += summary.warnings
    return "\n".join(words)


class _RejectsFile:
    """The lines left out, as CSV. Made with the first of them; its values may be personal: mode 0600."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: Any = None

    def __enter__(self) -> "_RejectsFile":
        return self

    def __exit__(self, *error: object) -> None:
        if self._file:
            try:
                self._file.close()
            except OSError as fault:
                raise CommandError(f"The rejects file is not whole: {fault.strerror}.") from fault

    @contextmanager
    def _written(self) -> Iterator[None]:
        """Without its list of what was left out an import stops, and says how far it came."""
        try:
            yield
        except OSError as error:
            raise ImportStopped(f"The rejects file cannot be written: {error.strerror}.") from error

    def add(self, reject: Reject) -> None:
        if self._file is None:
            self._open()
        cells = (reject.line, reject.field, reject.value, reject.expected)
        with self._written():
            self._rows.writerow([exports.as_cell(cell) for cell in cells])

    def _open(self) -> None:
        with self._written():
            # A file that is there may be open to all: it goes first.
            self.path.unlink(missing_ok=True)
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._file = os.fdopen(descriptor, "w", encoding="utf-8", errors="replace", newline="")
        self._rows = csv.writer(self._file)
        self._rows.writerow(["line", "field", "value", "expected"])
