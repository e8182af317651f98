"""The directory of a data set while it is made: one process at a time, whole files only, and the receipt last.

clean/posts-0.parquet            whole and synced, or not there
clean/receipt.json               last: without it the directory is no data set
clean/.preparing/journal.json    which files are whole, so that a second run goes on
clean/.preparing/…               what is being written, and what the engine spills; gone at the end
"""

import contextlib
import json
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from training_portal import locks, receipts
from training_portal.errors import Misuse
from training_portal.prepare import disk

BESIDE: Final = frozenset({receipts.FILE, "croissant.json", "README.md"})
"""Files that may be in a data set's directory beside the data."""
ASIDE: Final = ".preparing"
SUBTRACTING: Final = ".subtracting"
"""Files that a subtraction has made and not put in their place yet (`subtracting`)."""
_JOURNAL: Final = "journal.json"


class Work:
    """A directory that this process alone is writing. `plan` is a digest of all that decides the result.

    Files of another plan that was not finished are deleted; files that no plan made are never touched.
    """

    def __init__(self, directory: Path, plan: str, names: Sequence[str]) -> None:
        self.directory = directory
        self.aside = directory / ASIDE
        self._plan = plan
        self._names = tuple(names)
        self._lock = contextlib.ExitStack()
        self.journal: dict[str, Any] = {}

    def __enter__(self) -> "Work":
        busy = Misuse(
            f"Another process is preparing {self.directory.name}.",
            "Wait for it, or name another directory.",
            code="busy",
        )
        with contextlib.ExitStack() as lock, disk.refusals(self.directory):
            self.aside.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock.enter_context(locks.held(self.aside, busy))
            try:
                self._begin()
            except BaseException:
                if not (self.aside / _JOURNAL).exists():
                    # Nothing was begun: a data set that was here stays one.
                    shutil.rmtree(self.aside, ignore_errors=True)
                raise
            self._lock = lock.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            shutil.rmtree(self.aside, ignore_errors=True)
        self._lock.close()

    def _begin(self) -> None:
        before = _read(self.aside / _JOURNAL)
        if (self.directory / SUBTRACTING).exists():
            raise Misuse(
                f"A subtraction of {self.directory.name} has not ended.",
                "Run it again: it goes on where it stopped.",
                code="busy",
            )
        if not before and (self.directory / receipts.FILE).exists():
            raise Misuse(
                f"{self.directory.name} is a data set already.",
                "Verify it (training-portal verify), or name a new directory.",
                code="exists",
            )
        ours = set(before.get("names", ()))
        if foreign := sorted(files_in(self.directory) - ours - BESIDE):
            raise Misuse(
                f"{self.directory.name} has {len(foreign)} other files, and a data set is alone in its directory.",
                "Name a new directory, or an empty one.",
                code="not_empty",
            )
        for one in self.aside.iterdir():
            if one.name != _JOURNAL:
                shutil.rmtree(one) if one.is_dir() else one.unlink()
        if before.get("plan") == self._plan and before.get("names") == list(self._names):
            self.journal = before
            return
        # The receipt first: what it speaks of is about to go.
        (self.directory / receipts.FILE).unlink(missing_ok=True)
        for name in sorted(ours & files_in(self.directory)):
            (self.directory / name).unlink()
        disk.sync_directory(self.directory)
        self.journal = {"plan": self._plan, "names": list(self._names), "files": {}}
        self.save()

    def partial(self, name: str) -> Path:
        """The place where a file is written before it has its name."""
        return self.aside / f"{name.replace('/', '+')}.partial"

    @property
    def scratch(self) -> Path:
        """A directory for what the engine does not hold in memory."""
        scratch = self.aside / "spilled"
        scratch.mkdir(mode=0o700, exist_ok=True)
        return scratch

    def done(self, name: str) -> dict[str, Any] | None:
        """The facts of the journal about a file that is whole."""
        found: dict[str, Any] | None = self.journal["files"].get(name)
        return found

    def is_done(self, name: str, facts: dict[str, Any]) -> None:
        """Note that a file is whole and has its name."""
        self.journal["files"][name] = facts
        self.save()

    def save(self) -> None:
        disk.write(self.aside / _JOURNAL, json.dumps(self.journal).encode(), self.aside)


def files_in(directory: Path) -> set[str]:
    """The names of all that is in a data set's directory and is no directory, but what is aside.

    A link is one of them, whatever it leads to.
    """
    return set(_walk(directory, ""))


def _walk(directory: Path, before: str) -> Iterable[str]:
    for one in os.scandir(directory):
        name = f"{before}{one.name}"
        if name in (ASIDE, SUBTRACTING):
            continue
        if one.is_dir(follow_symlinks=False):
            yield from _walk(directory / one.name, f"{name}/")
        else:
            yield name


def _read(path: Path) -> dict[str, Any]:
    try:
        said = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}
