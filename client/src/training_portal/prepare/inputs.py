"""Raw files: opened once, hashed as they are read, and refused when they changed meanwhile.

A file is known by its descriptor from the first byte on, so that another file of the same name is not read by mistake. Its
times and size are compared after the last byte: a file that was written to in between is not what was hashed.
"""

import contextlib
import os
import resource
import stat
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from training_portal import receipts
from training_portal.errors import Misuse, NotVerified
from training_portal.permission import Permission
from training_portal.prepare.types import is_plain

_BLOCK: Final = 1 << 20
_OTHER_FILES: Final = 256
"""Open files of a process besides its inputs, which an engine may open a second time."""
_TICK: Final = 0.02
"""Seconds that a file system's clock may stand still: a write within them leaves the times as they are."""


@dataclass(frozen=True)
class Named:
    """A raw file and its name in receipts, which is the name of its output too."""

    path: Path
    name: str


def named(paths: Sequence[Path]) -> tuple[Named, ...]:
    """The files with names relative to the directory they have in common. Raises Misuse.

    >>> [one.name for one in named([Path("raw/a/1.parquet"), Path("raw/b/1.parquet")])]
    ['a/1.parquet', 'b/1.parquet']
    """
    if not paths:
        raise Misuse("There is no input.", "Name one Parquet file or more.", code="input")
    whole = [Path(os.path.abspath(path)) for path in paths]  # noqa: PTH100 - resolve() follows links, names do not
    if len(set(whole)) < len(whole):
        raise Misuse("An input is named twice.", "Name each file once.", code="input")
    common = Path(os.path.commonpath([path.parent for path in whole]))
    found: list[Named] = []
    for path in whole:
        name = path.relative_to(common).as_posix()
        if path.suffix != ".parquet":
            raise Misuse(
                f"{name} is no Parquet file by its name.",
                "Inputs are Parquet; write other formats as Parquet first, with the types of their columns.",
                code="input",
            )
        if not is_plain(name) or name.split("/")[0] == receipts.FILE:
            raise Misuse(
                f"The name of input {len(found) + 1} cannot stand in a receipt.",
                "Rename it: letters, digits and . _ / = + : - only, the first a letter or a digit.",
                code="input",
            )
        if any(part.startswith((".", "_")) for part in name.split("/")):
            raise Misuse(
                f"{name} has a part that begins with a dot or an underscore.",
                "Engines skip such files, so it would be missing in training: rename it.",
                code="input",
            )
        found.append(Named(path, name))
    return tuple(sorted(found, key=lambda one: one.name))


@dataclass
class Raw:
    """A raw file that is open. `finish` says whether what was read is what was hashed."""

    named: Named
    descriptor: int
    size: int
    _stamp: tuple[int, ...]
    _digest: Future[str] = field(repr=False)
    schema: Any = field(repr=False, default=None)
    rows: int = 0
    row_groups: Any = field(repr=False, default=None)

    @property
    def name(self) -> str:
        return self.named.name

    @property
    def by_descriptor(self) -> str:
        """A path to the open file itself, whatever its name stands for by now."""
        return f"/dev/fd/{self.descriptor}"

    def finish(self) -> str:
        """SHA-256 of the whole file. Raises Misuse where it was written to since it was opened."""
        digest = self._digest.result()
        self.check()
        return digest

    def check_place(self) -> None:
        """Raises Misuse where its path leads to another file than the open one, or to one that was written to."""
        try:
            found = _stamp(os.stat(self.named.path))  # noqa: PTH116
        except OSError:
            raise _changed(self.name) from None
        if found != self._stamp:
            raise _changed(self.name)

    def check(self) -> None:
        """Raises Misuse where the file was written to since it was opened."""
        if _stamp(os.fstat(self.descriptor)) != self._stamp:
            raise _changed(self.name)


def _may_open(count: int) -> None:
    """Raise the limit of open files where so many inputs need it. Raises Misuse where the system gives no more."""
    needed = 2 * count + _OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise Misuse(
            f"{count} inputs need {needed} open files, and this process may have {hard}.",
            "Raise the limit (ulimit -n), or make several data sets.",
            code="input",
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


class Inputs:
    """The raw files of a preparation, open until the end of the block."""

    def __init__(self, files: Sequence[Named]) -> None:
        self._files = files
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> "Inputs":
        _may_open(len(self._files))
        with contextlib.ExitStack() as stack:
            pool = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="digest"))
            # Files that no call waits for any more are not hashed.
            stack.callback(pool.shutdown, wait=True, cancel_futures=True)
            self.raw = tuple(self._opened(one, stack, pool) for one in self._files)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def __iter__(self) -> Iterator[Raw]:
        return iter(self.raw)

    def __len__(self) -> int:
        return len(self.raw)

    @property
    def rows(self) -> int:
        return sum(one.rows for one in self.raw)

    @staticmethod
    def _opened(one: Named, stack: contextlib.ExitStack, pool: ThreadPoolExecutor) -> Raw:
        descriptor = _open(one.path, one.name)
        stack.callback(os.close, descriptor)
        found = _settled(descriptor)
        raw = Raw(
            one, descriptor, found.st_size, _stamp(found), pool.submit(_hash, descriptor, one.name)
        )
        try:
            # By the path of the descriptor: a file object would share one position between threads.
            with pq.ParquetFile(raw.by_descriptor) as parquet:
                raw.schema = parquet.schema_arrow
                raw.rows = parquet.metadata.num_rows
                raw.row_groups = [
                    (group.num_rows, group.total_byte_size)
                    for group in map(
                        parquet.metadata.row_group, range(parquet.metadata.num_row_groups)
                    )
                ]
        except (pa.ArrowInvalid, OSError):
            raise Misuse(
                f"{one.name} cannot be read as Parquet.",
                "It is broken, encrypted or of another format: write it again.",
                code="input",
            ) from None
        return raw


def check_lists(permission: Permission) -> None:
    """Check that the permission has lists of accounts, with the bytes that were verified. Raises Misuse, NotVerified."""
    if not permission.files:
        raise Misuse(
            f"The member column has accounts, and {permission.delivery} has no list of accounts.",
            "Ask for a delivery of the form `list`, or name a column of member numbers.",
            code="member_type",
        )
    for file in permission.files:
        if digest_of(file.path, file.name) != file.sha256:
            raise NotVerified(f"{file.name} is not the file that the ledger seals.")


def is_ambiguous(permission: Permission) -> NotVerified:
    """The error for lists whose accounts do not each belong to one member."""
    return NotVerified(
        f"The list of {permission.delivery} has empty accounts, or one account for two members."
    )


def digest_of(path: Path, name: str = "") -> str:
    """SHA-256 of a file, which errors call by `name`."""
    name = name or path.name
    descriptor = _open(path, name)
    try:
        return _hash(descriptor, name)
    finally:
        os.close(descriptor)


def _open(path: Path, name: str) -> int:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise Misuse(
            f"{name} cannot be opened: {error.strerror}.", "Check its path and its rights."
        ) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Misuse(f"{name} is no file.", "Name a Parquet file.", code="input")
    return descriptor


def _settled(descriptor: int) -> os.stat_result:
    """The file's state, once a further write would show in its times."""
    for _ in range(3):
        found = os.fstat(descriptor)
        if not 0 <= time.time() - max(found.st_mtime, found.st_ctime) < _TICK:
            break
        time.sleep(_TICK)
    return found


def _stamp(found: os.stat_result) -> tuple[int, ...]:
    return (found.st_ino, found.st_dev, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _hash(descriptor: int, name: str) -> str:
    digest, at = sha256(), 0
    try:
        while block := os.pread(descriptor, _BLOCK, at):
            digest.update(block)
            at += len(block)
    except OSError as error:
        raise Misuse(f"{name} cannot be read: {error.strerror}.") from None
    return digest.hexdigest()


def _changed(name: str) -> Misuse:
    return Misuse(
        f"{name} was changed while it was read.",
        "Nothing was finished. Prepare from files that no program writes to.",
        code="input_changed",
    )
