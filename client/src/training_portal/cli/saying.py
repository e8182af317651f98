"""Output of the command line: results on standard output, progress on standard error, errors with a sentence and a code."""

import errno
import functools
import json
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, TextIO

import click

from training_portal.errors import Misuse, PortalError
from training_portal.progress import Progress, Silent

Shown = Mapping[str, Any]


class Lines:
    """Progress as lines, for logs: each step once, a file at its end."""

    def __init__(self, to: TextIO) -> None:
        self._to = to

    def step(self, sentence: str) -> None:
        print(f"{sentence}.", file=self._to, flush=True)

    def file(self, name: str, done: int, size: int) -> None:
        if done == size:
            print(f"{name}: {_bytes(size)}.", file=self._to, flush=True)

    def warn(self, sentence: str) -> None:
        print(f"Warning: {sentence}", file=self._to, flush=True)


class Terminal:
    """Progress on a terminal: what is waited for turns, files have a bar."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, TextColumn
        from rich.progress import Progress as Bars

        self._console = Console(stderr=True)
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            console=self._console,
            transient=True,
        )
        self._tasks: dict[str, Any] = {}

    def step(self, sentence: str) -> None:
        self._console.print(f"[dim]{time.strftime('%H:%M:%S')}[/dim] {sentence} …", highlight=False)

    def file(self, name: str, done: int, size: int) -> None:
        if name not in self._tasks:
            if not self._tasks:
                self._bars.start()
            self._tasks[name] = self._bars.add_task(name, total=size)
        self._bars.update(self._tasks[name], completed=done)
        if done >= size and all(task.finished for task in self._bars.tasks):
            self._bars.stop()
            self._tasks.clear()

    def warn(self, sentence: str) -> None:
        self._console.print(f"[yellow]Warning:[/yellow] {sentence}", highlight=False)


class Out:
    """The output of one call."""

    def __init__(self, *, as_json: bool, quiet: bool) -> None:
        self.as_json = as_json
        self.progress: Progress = _progress(quiet)

    def show(self, facts: Shown, *lines: str) -> None:
        """The result: `facts` for programs, `lines` for people."""
        text = json.dumps(facts, indent=2, sort_keys=True) if self.as_json else "\n".join(lines)
        click.echo(text)


def _progress(quiet: bool) -> Progress:
    if quiet:
        return Silent()
    return Terminal() if sys.stderr.isatty() else Lines(sys.stderr)


def says(function: Callable[..., Any]) -> Callable[..., Any]:
    """A command with `--json` and `--quiet`, called with an `Out` first; what stops it becomes a sentence and an exit code."""

    @click.option(
        "--json", "as_json", is_flag=True, help="Print the result, or the error, as JSON."
    )
    @click.option("--quiet", is_flag=True, help="No progress on standard error.")
    @functools.wraps(function)
    def called(*args: Any, as_json: bool, quiet: bool, **options: Any) -> None:
        out = Out(as_json=as_json, quiet=quiet)
        try:
            code = function(out, *args, **options)
        except PortalError as error:
            code = _fail(out, error)
        except OSError as error:
            code = _fail(out, _of_the_machine(error))
        sys.exit(code or 0)

    return called


def _fail(out: Out, error: PortalError) -> int:
    if out.as_json:
        click.echo(json.dumps(error.as_json(), indent=2, sort_keys=True))
    click.echo(f"Error: {error}", err=True)
    return error.exit_code


def _of_the_machine(error: OSError) -> PortalError:
    """An error of a disk or a file system, as a sentence."""
    where = f" {error.filename}" if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Misuse(
            f"The disk is full:{where or ' there is no room left'}.",
            "Make room and run this again; what is there already is used.",
            code="disk",
        )
    return Misuse(f"{error.strerror or error}:{where}.", code="machine")


def _bytes(count: int) -> str:
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("KB", 10**3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"
