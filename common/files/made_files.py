"""Long files, made once by the worker: lists of accounts, exports of lists and of the ledger.

A request only asks for a file. Its row is the queue: a worker claims it with a lease, writes the file beside its final
name, and gives it that name, its SHA-256, when it is whole; a file that is not whole is never given out. A message of
Celery is a hint, and the sweep makes what a lost one left. A file ends after some hours and is deleted.

Apps declare a `Maker` for each kind of file (`common.registry.Brings.files`).
"""

import errno
import hashlib
import io
import os
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from http import HTTPStatus
from math import ceil
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from django.contrib.auth.models import User
from django.db import DatabaseError, IntegrityError, transaction
from django.db.models import F, Min, QuerySet, Sum
from django.utils import timezone

from common import registry
from common.choices import FileState
from common.files import space
from common.models import MadeFile
from ledger import canonical, files
from ledger.errors import RETRY_SECONDS, NotFound, Refusal

logger = structlog.get_logger(__name__)

LEASE = timedelta(minutes=2)
"""How long a process at work has a row alone; it asks for more time every RENEWED seconds."""
RENEWED = 10
MAX_ATTEMPTS = 5
FIRST_WAIT = timedelta(seconds=20)
"""Before a file that could not be made is tried again; doubled each time."""
TOLD = timedelta(seconds=60)
"""How long a failure is told to those who ask; a later request starts a new attempt."""
_TRIES = 3
"""How often a request asks when others ask for the same file at the same moment."""
KEPT = timedelta(days=7)
"""How long the row of a file that ended or failed is kept, for its page to say so."""


class FileNotMade(Refusal):
    """The file could not be made: the portal failed, and after `seconds` a new attempt may help (503)."""

    code = "file_not_made"
    status = 503

    def __init__(self, message: str, *, seconds: int = RETRY_SECONDS) -> None:
        super().__init__(message)
        self.seconds = seconds

    @property
    def retry_after(self) -> int:
        return self.seconds


class FileRefused(Refusal):
    """A rule says that there is no such file; `code` is the rule's (409)."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


class FilesUnavailable(Refusal):
    """The disk of the portal's files is full or does not answer (503)."""

    code = "files_unavailable"
    status = 503


class FileQuota(Refusal):
    """There is no room for another file until one ends."""

    code = "files_quota"


class FileGone(Refusal):
    """The stored file ended or was damaged."""

    code = "file_gone"
    status = 410


class _LeaseLost(Exception):
    """Another process has the row now."""


# --- Makers -------------------------------------------------------------------------------------


class Maker(ABC):
    """A kind of file: who may have it, how it is written, and what its answer says."""

    kind: str
    is_in_quota = True
    """Whether its files count as room taken. What answers small is kept without: a quota must not stop it."""
    lasts = True
    """Whether the same parameters always mean the same content. If not, only a file that is still waiting is shared."""

    @abstractmethod
    def write(self, parameters: Mapping[str, Any], to: io.RawIOBase) -> dict[str, Any]:
        """Write the content and return what was counted. Raises PortalError when it cannot be whole.

        Not called inside a transaction, and must open none around `to.write`: the lease is renewed there.
        """

    @abstractmethod
    def check_access(self, user: User, parameters: Mapping[str, Any]) -> None:
        """Raise PermissionDenied or PortalError unless the user may have the file now."""

    @abstractmethod
    def record(self, user: User, row: MadeFile) -> None:
        """Put a download on record. Raises ReadNotRecorded."""

    @abstractmethod
    def name(self, parameters: Mapping[str, Any]) -> str:
        """The name under which a browser keeps it."""

    @abstractmethod
    def media_type(self, parameters: Mapping[str, Any]) -> str: ...

    @abstractmethod
    def title(self, parameters: Mapping[str, Any]) -> str:
        """The title that people see."""

    def back(self, parameters: Mapping[str, Any]) -> str:
        """The address of the page it was asked for on; empty for none."""
        return ""

    def headers(self, row: MadeFile) -> dict[str, str]:
        """Headers about the content, in addition to the usual ones."""
        return {}


def maker_of(kind: str) -> Maker:
    maker: Maker = registry.makers[kind]
    return maker


# --- Asking -------------------------------------------------------------------------------------


def question_of(kind: str, parameters: Mapping[str, Any]) -> str:
    return hashlib.sha256(
        canonical.dumps({"kind": kind, "parameters": dict(parameters)})
    ).hexdigest()


def ask(kind: str, parameters: Mapping[str, Any], *, owner: User) -> MadeFile:
    """The file, or its place in the queue. Asking again gives the same one while it lives.

    The caller has asked who may have it. For a minute after it failed, raises FileNotMade or
    FileRefused. Raises FileQuota.
    """
    for _ in range(_TRIES):
        if known := _known(kind, parameters):
            return known
        _room(owner)
        # Another request may be faster, and its file made or ended by now: then it is asked again.
        with suppress(IntegrityError), transaction.atomic():
            return MadeFile.objects.create(
                kind=kind,
                parameters=dict(parameters),
                question=question_of(kind, parameters),
                owner=owner,
            )
    raise FileNotMade(
        "The same file is being requested by others at this moment. Request it again."
    )


def _known(kind: str, parameters: Mapping[str, Any]) -> MadeFile | None:
    """The file that is waiting or made. Raises FileNotMade, FileRefused."""
    now = timezone.now()
    rows = MadeFile.objects.filter(question=question_of(kind, parameters))
    for row in rows.exclude(state=FileState.ENDED):
        if row.state == FileState.WAITING:
            return row
        if row.state == FileState.FAILED and row.changed_at > now - TOLD:
            if row.error_code == FileNotMade.code:
                left = row.changed_at + TOLD - now
                raise FileNotMade(row.error, seconds=max(1, ceil(left.total_seconds())))
            raise FileRefused(row.error, code=row.error_code)
        if row.state == FileState.READY and maker_of(kind).lasts and is_there(row):
            return row
    return None


def keep(
    kind: str, parameters: Mapping[str, Any], data: bytes, *, owner: User, lasting: timedelta
) -> MadeFile:
    """Keep short content that was made in the request, for `lasting` from now on.

    No quota stops it, but archives keep their room on the disk. Raises FilesUnavailable.
    """
    question = question_of(kind, parameters)
    ends_at = timezone.now() + lasting
    known = MadeFile.objects.filter(question=question, state=FileState.READY).first()
    with _disk():
        is_known = known is not None and is_there(known)
    if known is not None and is_known:
        MadeFile.objects.filter(pk=known.pk).update(ends_at=ends_at)
        return known
    row = MadeFile(
        kind=kind,
        parameters=dict(parameters),
        question=question,
        owner=owner,
        state=FileState.READY,
        digest=hashlib.sha256(data).hexdigest(),
        size=len(data),
        written=len(data),
        ends_at=ends_at,
    )
    with _disk():
        _check_disk(path_of(row), len(data))
        files.write_whole(path_of(row), data)
    row.save()
    return row


def by_key(key: str) -> MadeFile:
    """Raises NotFound."""
    row = MadeFile.objects.filter(key=key).first()
    if row is None:
        raise NotFound("There is no such file. It may have expired: request it again.")
    return row


@contextmanager
def _disk() -> Iterator[None]:
    """Answer 503 where the disk is full or does not answer. The error's own words name paths."""
    try:
        yield
    except OSError as error:
        logger.error("disk of files unavailable", errno=errno.errorcode.get(error.errno or 0))
        raise FilesUnavailable(
            "The disk of the portal's files is full or does not answer. Try again later."
        ) from error


def _check_disk(path: Path, wanted: int = 0) -> None:
    """Archives come first: a file that can be made again leaves them their room. Raises OSError."""
    if space.room(path).is_short(wanted):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def is_there(row: MadeFile) -> bool:
    """Whether a made file may be given out: it has not ended, and something is stored under its name."""
    return (
        row.state == FileState.READY
        and row.ends_at is not None
        and row.ends_at > timezone.now()
        and path_of(row).is_file()
    )


def opened(row: MadeFile) -> io.BufferedReader:
    """The file, checked as a whole against its digest. One that is damaged ends. Raises FileGone, FilesUnavailable."""
    with _disk(), ExitStack() as stack:
        try:
            if not is_there(row):
                raise FileNotFoundError
            file = stack.enter_context(path_of(row).open("rb"))
        except FileNotFoundError:
            raise FileGone("The file has expired: request it again.") from None
        is_whole = files.digest_of(file) == row.digest
        if is_whole:
            stack.pop_all()
    if not is_whole:
        logger.error("made file damaged", kind=row.kind, key=row.key)
        end(MadeFile.objects.filter(pk=row.pk))
        raise FileGone("The stored file was damaged and has been deleted: request it again.")
    return file


def path_of(row: MadeFile) -> Path:
    """Named by its SHA-256, and by its row: two rows with the same content end at their own times."""
    return Path(settings.MADE_FILE_DIR) / row.digest[:2] / f"{row.digest}-{row.key}"


def _end() -> Any:
    return timezone.now() + timedelta(hours=settings.MADE_FILE_HOURS)


# --- Room ---------------------------------------------------------------------------------------


def _in_quota(**narrowed: Any) -> QuerySet[MadeFile]:
    without = [maker.kind for maker in registry.makers.values() if not maker.is_in_quota]
    return MadeFile.objects.filter(state=FileState.READY, **narrowed).exclude(kind__in=without)


def _stored(**narrowed: Any) -> int:
    return _in_quota(**narrowed).aggregate(bytes=Sum("size"))["bytes"] or 0


def _room(owner: Any) -> int:
    """How many bytes a new file may have. Raises FileQuota when there is no room at all."""
    own = settings.MADE_FILE_BYTES_PER_USER - _stored(owner=owner)
    everybody = settings.MADE_FILE_BYTES - _stored()
    if own <= 0:
        raise FileQuota(f"Your files use all the space you have. {_next_end(owner=owner)}")
    if everybody <= 0:
        raise FileQuota(f"The portal's files use all their space. {_next_end()}")
    return min(own, everybody)


def _next_end(**narrowed: Any) -> str:
    first = _in_quota(**narrowed).aggregate(first=Min("ends_at"))["first"]
    return f"The first of them expires at {first:%Y-%m-%d %H:%M} UTC." if first else ""


# --- Making -------------------------------------------------------------------------------------


class _TooLong(Exception):
    """More than a request may make."""


class _InMemory(io.RawIOBase):
    """The output of a maker of short content, in memory."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__()
        self._max_bytes = max_bytes
        self.data = bytearray()

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return len(self.data)

    def write(self, data: Any) -> int:
        size = memoryview(data).nbytes
        if len(self.data) + size > self._max_bytes:
            raise _TooLong
        self.data += data
        return size


def make_at_once(
    kind: str, parameters: Mapping[str, Any], *, max_bytes: int
) -> tuple[MadeFile, bytes] | None:
    """A short file, made whole in memory and not kept; None when it has more than `max_bytes` bytes.

    The row is not saved: it says what is in the file.
    """
    to = _InMemory(max_bytes)
    try:
        facts = maker_of(kind).write(parameters, to)
    except _TooLong:
        return None
    data = bytes(to.data)
    row = MadeFile(
        kind=kind,
        parameters=dict(parameters),
        digest=hashlib.sha256(data).hexdigest(),
        size=len(data),
        facts=facts,
    )
    return row, data


class Writing(io.RawIOBase):
    """The output of a maker. Counts and hashes what passes, keeps the quota, and renews the lease."""

    def __init__(self, row: MadeFile, path: Path, room: int) -> None:
        super().__init__()
        self._row = row
        self._room = room
        self._hash = hashlib.sha256()
        self._renewed = time.monotonic()
        self.size = 0
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path = path
        _check_disk(path)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._file = os.fdopen(descriptor, "wb", buffering=2**20)

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.size

    def write(self, data: Any) -> int:
        """Raises FileQuota, OSError."""
        size = memoryview(data).nbytes
        if self.size + size > self._room:
            raise FileQuota("The file would be larger than the room that is left for files.")
        self._file.write(data)
        self._hash.update(data)
        self.size += size
        if time.monotonic() - self._renewed > RENEWED:
            self._renew()
        return size

    def _renew(self) -> None:
        self._renewed = time.monotonic()
        _check_disk(self._path)
        _change(self._row, not_before=timezone.now() + LEASE, written=self.size)

    def settle(self) -> None:
        """Everything is on the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def close(self) -> None:
        self._file.close()
        super().close()


def make(row_id: int) -> bool:
    """Make a waiting file, once however often it is called; False when another process has it or it failed.

    What goes wrong is noted in the row. A refusal is final; what may pass, such as a full disk, is tried again.
    """
    now = timezone.now()
    claim = secrets.token_hex(16)
    # One statement claims it, on every database; a process that dies with it loses it after a while.
    claimed = MadeFile.objects.filter(
        pk=row_id, state=FileState.WAITING, not_before__lte=now
    ).update(claim=claim, attempts=F("attempts") + 1, not_before=now + LEASE, written=0)
    if not claimed:
        return False
    row = MadeFile.objects.select_related("owner").get(pk=row_id)
    try:
        if row.attempts > MAX_ATTEMPTS:
            raise FileNotMade("The process that made the file ended repeatedly.")
        _make(row)
    except _LeaseLost:
        return False
    except Exception as error:  # whatever it is, it is noted, and no other file must wait for it
        _note_failure(row, error)
        return False
    logger.info("file made", kind=row.kind, key=row.key, size=row.size)
    return True


def _make(row: MadeFile) -> None:
    part = Path(settings.MADE_FILE_DIR) / f"{row.key}-{row.claim}.part"
    try:
        with Writing(row, part, _room(row.owner)) as to:
            facts = maker_of(row.kind).write(row.parameters, to)
            to.settle()
        row.digest, row.size = to.digest, to.size
        path = path_of(row)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    try:
        _change(
            row,
            state=FileState.READY,
            digest=row.digest,
            size=row.size,
            written=row.size,
            facts=facts,
            ends_at=_end(),
            claim="",
            error="",
            error_code="",
        )
    except BaseException:
        # The row does not know it: another process makes it, under the same name if the content is the same.
        if not MadeFile.objects.filter(pk=row.pk, state=FileState.READY).exists():
            path.unlink(missing_ok=True)
        raise


def _change(row: MadeFile, **values: Any) -> None:
    """Change the row while this process has it. Raises _LeaseLost."""
    changed = MadeFile.objects.filter(pk=row.pk, state=FileState.WAITING, claim=row.claim).update(
        changed_at=timezone.now(), **values
    )
    if not changed:
        raise _LeaseLost


def _note_failure(row: MadeFile, error: Exception) -> None:
    code, text = FileNotMade.code, "The portal failed while it made the file."
    is_for_now = isinstance(error, OSError | DatabaseError)
    if isinstance(error, Refusal):
        text = str(error)
        is_for_now = error.status == HTTPStatus.SERVICE_UNAVAILABLE
        code = code if is_for_now else error.code
    may_pass = is_for_now and row.attempts < MAX_ATTEMPTS
    logger.error(
        "file not made", kind=row.kind, key=row.key, error_code=code, error=type(error).__name__
    )
    with suppress(_LeaseLost, DatabaseError):
        _change(
            row,
            state=FileState.WAITING if may_pass else FileState.FAILED,
            claim="",
            not_before=timezone.now() + FIRST_WAIT * 2 ** (row.attempts - 1),
            error_code=code[:40],
            error=text[:500],
        )


def make_due(*, seconds: float = 60) -> dict[str, int]:
    """Make what waits, the oldest first, for a while; returns how many were made and how many failed."""
    until = time.monotonic() + seconds
    done = {"made": 0, "failed": 0}
    waiting = MadeFile.objects.filter(state=FileState.WAITING, not_before__lte=timezone.now())
    for row_id in list(waiting.order_by("pk").values_list("pk", flat=True)[:1_000]):
        if time.monotonic() > until:
            break
        made = make(row_id)
        done["made"] += made
        done["failed"] += (
            not made and MadeFile.objects.filter(pk=row_id).exclude(error_code="").exists()
        )
    return done


def oldest_waiting(now: Any) -> timedelta | None:
    """How long the oldest waiting file has waited; None when none waits."""
    first = MadeFile.objects.filter(state=FileState.WAITING).aggregate(first=Min("asked_at"))
    return now - first["first"] if first["first"] else None


# --- Ending -------------------------------------------------------------------------------------


def end(rows: Any) -> None:
    """End files now: they are not given out any more, and are deleted once this is committed."""
    paths = [path_of(row) for row in rows.filter(state=FileState.READY)]
    rows.filter(state=FileState.READY).update(state=FileState.ENDED, changed_at=timezone.now())

    def delete() -> None:
        for path in paths:
            path.unlink(missing_ok=True)

    transaction.on_commit(delete, robust=True)


def start_over(rows: Any) -> None:
    """Have waiting files be made from the beginning, also those that a process is writing now.

    What was begun does not count as an attempt: it did not fail.
    """
    rows.filter(state=FileState.WAITING).update(claim="", attempts=0, not_before=timezone.now())


def remove_ended() -> int:
    """Delete what has ended, and stored files that no row knows; returns how many files went."""
    now = timezone.now()
    end(MadeFile.objects.filter(ends_at__lte=now))
    MadeFile.objects.exclude(state__in=[FileState.READY, FileState.WAITING]).filter(
        changed_at__lte=now - KEPT
    ).delete()
    return _remove_strays()


_STRAY = 3_600
"""Seconds after which a stored file without a row is left behind by a process that died."""


def _remove_strays() -> int:
    count = 0
    known = {
        path_of(row).name
        for row in MadeFile.objects.filter(state=FileState.READY).only("digest", "key")
    }
    home = Path(settings.MADE_FILE_DIR)
    for path in [*home.glob("*.part"), *home.glob("[0-9a-f][0-9a-f]/*")]:
        with suppress(FileNotFoundError):
            if path.name not in known and time.time() - path.stat().st_mtime > _STRAY:
                path.unlink()
                count += 1
    return count
