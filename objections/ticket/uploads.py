"""Files that people attach: checked by their content, kept apart, only ever given out as downloads.

A file is evidence and is kept byte for byte. A picture or a PDF therefore still carries what its maker put
in (place, author, bytes behind its end), and a checked file is what it says it is, not free of harm: that is
why no browser is ever asked to show one.
"""

import datetime as dt
import errno
import os
import re
import secrets
import warnings
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from django.conf import settings
from django.utils import timezone
from django.utils.http import content_disposition_header
from PIL import Image

from common.text import words
from ledger.errors import InvalidInput, NotFound
from ledger.files import write_whole

MAX_BYTES = 4 * 1024 * 1024
MAX_FILES = 5
MAX_NAME_LENGTH = 100
ALLOWED = "a PDF, a PNG or JPEG picture, an e-mail saved as .eml, or plain text in UTF-8"


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that `check` has let in."""

    name: str
    media_type: str
    data: bytes


# --- What it is ---------------------------------------------------------------------------------

CUT_OFF = "is damaged or cut off"
# Pillow warns of odd values in a file that it can read all the same.
warnings.filterwarnings("ignore", module=r"PIL\b")


def _pdf_fault(data: bytes) -> str:
    """A PDF names its version, and its end tells where its table is. A reader of PDFs looks no further into it here: files
    come from strangers, and one of 4 MB can keep it busy for seconds.
    """
    # Acrobat, too, looks for the end in the last 1,024 bytes; some writers fill up the last sector.
    end = data.rstrip(b"\0\r\n ")[-1024:]
    whole = re.match(rb"%PDF-[12]\.\d", data) and b"startxref" in end and b"%%EOF" in end
    return "" if whole else CUT_OFF


_JPEG_END = b"\xff\xd9"


def _picture_fault(data: bytes, format_: str) -> str:
    """A picture's parts are there, in their order and with the right sums. It is not decoded: a small file can hold a
    picture of gigabytes.
    """
    file = BytesIO(data)
    try:
        with Image.open(file, formats=[format_]) as picture:
            # Pillow stops before the first scan of a JPEG. A small picture in its header has an end of its own.
            is_whole = format_ != "JPEG" or _JPEG_END in data[file.tell() :]
            picture.verify()
    except Image.DecompressionBombError:
        return "has more pixels than can be shown safely"
    except Exception:
        return CUT_OFF
    return "" if is_whole else CUT_OFF


_NO_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
# What browsers (WHATWG MIME Sniffing, 7.1) and desktops take for a document of its own, whatever its name.
_ANOTHER_DOCUMENT = re.compile(
    r"\s*(<(!doctype|!--|\?xml|\?php"
    r"|(html|head|body|script|iframe|style|title|table|div|font|svg|math|h1|br|a|b|p)[\s/>])"
    r"|%pdf-|%!ps|\{\\rtf|#!)",
    re.IGNORECASE,
)


def _text_fault(data: bytes) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return "is not a PDF or image, and not text in UTF-8"
    if _NO_TEXT.search(text):
        return "is not a PDF or image, and contains control characters"
    if found := _ANOTHER_DOCUMENT.match(text):
        return f"begins with {found[1].strip()}: it is no plain text but a document or a program"
    return ""


# Some programs put the line of their mailbox before the first field.
_MAILBOX_LINE = re.compile(rb">?From [^\r\n]*(?:\r\n|\n|\r)")
_HEADER_FIELD = re.compile(rb"(?:\A|(?<=[\r\n]))([!-9;-~]+)[ \t]*:")
_MAIL_FIELDS = frozenset(
    "date delivered-to from message-id mime-version received reply-to return-path sender subject to".split()
)


def _mail_fault(data: bytes) -> str:
    """An e-mail by its header (RFC 5322, section 2.2). Its parts are never opened here: they stay bytes of a file."""
    mail = data.removeprefix(BOM_UTF8).lstrip(b"\r\n")
    if found := _MAILBOX_LINE.match(mail):
        mail = mail[found.end() :]
    if not _HEADER_FIELD.match(mail):
        return "does not begin with the header of an e-mail"
    header = re.split(rb"\r\n\r\n|\n\n|\r\r", mail[:_MAX_HEADER_BYTES], maxsplit=1)[0]
    names = [name.decode().lower() for name in _HEADER_FIELD.findall(header)]
    if not _MAIL_FIELDS.intersection(names):
        return "has no field of an e-mail in its header, such as From, Date or Subject"
    return ""


_MAX_HEADER_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class FileType:
    """A type we take: how it begins, and what is wrong with one that begins so (nothing: empty)."""

    media_type: str
    noun: str
    signature: bytes
    extensions: tuple[str, ...]
    """In lower case; the first is given to a name that has none."""
    fault: Callable[[bytes], str]


FILE_TYPES = [
    FileType("application/pdf", "a PDF", b"%PDF-", (".pdf",), _pdf_fault),
    FileType(
        "image/png",
        "a PNG picture",
        b"\x89PNG\r\n\x1a\n",
        (".png",),
        partial(_picture_fault, format_="PNG"),
    ),
    FileType(
        "image/jpeg",
        "a JPEG picture",
        b"\xff\xd8\xff",
        (".jpg", ".jpeg", ".jfif"),
        partial(_picture_fault, format_="JPEG"),
    ),
    # Last: text has no signature.
    FileType("text/plain", "plain text", b"", (".txt", ".text"), _text_fault),
]
MAIL = FileType("message/rfc822", "an e-mail", b"", (".eml",), _mail_fault)
"""Known by its name: its bytes are text, as those of other files are."""
_BY_MEDIA_TYPE = {file_type.media_type: file_type for file_type in [*FILE_TYPES, MAIL]}


def check(name: str, data: bytes) -> Upload:
    """The file under a safe name and the type its content shows, whatever the sender said.

    Raises InvalidInput (`attachments`) when it is empty, larger than MAX_BYTES bytes, of no type we take, or
    named like another type.
    """
    base = _base_name(name)
    if not data.strip():
        raise _refused(base, "is empty", "empty")
    if len(data) > MAX_BYTES:
        size = f"{len(data) / 2**20:.1f} MiB"
        raise _refused(base, f"has {size}; at most {MAX_BYTES // 2**20} MiB", "too_large")
    extension = _extension(base)
    file_type = next(known for known in FILE_TYPES if data.startswith(known.signature))
    if not file_type.signature and extension in MAIL.extensions:
        file_type = MAIL
    if fault := file_type.fault(data):
        raise _refused(base, f"{fault}. Attach {ALLOWED}", "wrong_type")
    if extension and extension not in file_type.extensions:
        right = " or ".join(file_type.extensions)
        sentence = f"is {file_type.noun}, but its name ends in {extension}, not in {right}"
        raise _refused(base, sentence, "wrong_name")
    return Upload(_named(base, file_type), file_type.media_type, data)


def check_all(files: Sequence[tuple[str, bytes]]) -> list[Upload]:
    """Check names and contents that came together. Raises InvalidInput, also for more than MAX_FILES."""
    if len(files) > MAX_FILES:
        raise InvalidInput(
            f"At most {MAX_FILES} files; these are {len(files)}.",
            field="attachments",
            code="too_many",
        )
    return [check(name, data) for name, data in files]


def _refused(base: str, fault: str, code: str) -> InvalidInput:
    shown = f"“{base[:MAX_NAME_LENGTH]}”" if base else "The file"
    return InvalidInput(f"{shown} {fault}.", field="attachments", code=code)


def _base_name(name: str) -> str:
    """The last part of a path, without what file systems, shells or headers take for a sign. May be empty."""
    last = re.split(r"[/\\]", name)[-1]
    # Only the end is read: a longer name is cut anyway, and its extension stands there.
    text = words.clean(last[-300:], max_length=1_000, field="attachments", lines=False)
    return re.sub(r'[<>:"|?*]', "_", text).strip(" .-")


def _extension(base: str) -> str:
    found = re.search(r".(\.[A-Za-z0-9]{1,10})$", base)
    return found[1].lower() if found else ""


def _named(base: str, file_type: FileType) -> str:
    """At most MAX_NAME_LENGTH characters, ending as its type does, never empty."""
    extension = _extension(base)
    if extension in file_type.extensions:
        base = base[: -len(extension)]
    else:
        extension = file_type.extensions[0]
    stem = base[: MAX_NAME_LENGTH - len(extension)].rstrip(" .")
    return (stem or "attachment") + extension


# --- Storage ------------------------------------------------------------------------------


def _path_of(key: str, *, is_waiting: bool = False) -> Path:
    if not re.fullmatch(r"[0-9a-f]{32}", key):
        raise NotFound("There is no such file.")
    home = settings.QUARANTINE_DIR if is_waiting else settings.ATTACHMENT_DIR
    return Path(home) / key[:2] / key


def store(upload: Upload, *, is_waiting: bool = False) -> str:
    """Write the file durably under a new random key, readable by the portal only. Raises OSError.

    One that waits goes to the quarantine: `keep` moves it from there.

    No reader knows the key before the file is whole, so it is written in place: what a crash leaves behind is
    an ordinary file without a row, which `stored_before` finds.
    """
    key = secrets.token_hex(16)
    path = _path_of(key, is_waiting=is_waiting)
    for directory in (path.parent.parent, path.parent):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(upload.data)
            file.flush()
            os.fsync(file.fileno())
        for directory in (path.parent, path.parent.parent):
            _sync(directory)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return key


def _sync(directory: Path) -> None:
    """A name is durable when its directory is."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_file(key: str) -> BinaryIO:
    """The stored file, open for reading. Raises NotFound.

    It has no name, so that FileResponse finds none to guess a type or a disposition from.
    """
    # It may be moved from the quarantine between the two looks.
    for is_waiting in (False, True, False):
        with suppress(FileNotFoundError):
            return os.fdopen(os.open(_path_of(key, is_waiting=is_waiting), os.O_RDONLY), "rb")
    raise NotFound("There is no such file.")


def keep(key: str) -> None:
    """Move a file out of the quarantine; one that is kept already stays. Raises OSError: then it is where it was."""
    waiting, kept = _path_of(key, is_waiting=True), _path_of(key)
    if not waiting.exists():
        return
    kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        waiting.replace(kept)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        # The quarantine is on a disk of its own.
        write_whole(kept, waiting.read_bytes())
        waiting.unlink()
    _sync(kept.parent)


def remove(key: str) -> None:
    """Remove the stored file; one that is gone already is no error. Raises NotFound for what is no key."""
    for is_waiting in (True, False):
        _path_of(key, is_waiting=is_waiting).unlink(missing_ok=True)


def store_all(files: Iterable[Upload], *, is_waiting: bool = False) -> list[tuple[Upload, str]]:
    """Store files; returns each with its key. All of them or none: raises OSError."""
    stored: list[tuple[Upload, str]] = []
    with removed_on_failure(stored):
        for upload in files:
            stored.append((upload, store(upload, is_waiting=is_waiting)))
    return stored


@contextmanager
def removed_on_failure(
    stored: Sequence[tuple[Upload, str]],
) -> Iterator[Callable[[], None]]:
    """Remove files that were just stored when the block fails: no row has them, so no limit would count them.

    What the block is given says that its rows are about to be committed. A commit that fails may have succeeded all
    the same, so from then on the files stay; `retention.sweep_files` takes what no ticket has.
    """
    is_committing = False

    def committing() -> None:
        nonlocal is_committing
        is_committing = True

    try:
        yield committing
    except BaseException:
        if not is_committing:
            for _, key in stored:
                remove(key)
        raise


def stored_before(age: dt.timedelta) -> Iterator[str]:
    """The keys of files that were stored longer than `age` ago."""
    latest = (timezone.now() - age).timestamp()
    for path in _stored(settings.ATTACHMENT_DIR, settings.QUARANTINE_DIR):
        with suppress(FileNotFoundError):  # removed in between
            if path.stat().st_mtime < latest:
                yield path.name


def waiting() -> Iterator[str]:
    """The keys of the files in the quarantine."""
    return (path.name for path in _stored(settings.QUARANTINE_DIR))


def _stored(*homes: Path) -> Iterator[Path]:
    for home in homes:
        yield from Path(home).glob("[0-9a-f][0-9a-f]/" + "[0-9a-f]" * 32)


def download_headers(name: str, media_type: str) -> dict[str, str]:
    """Headers under which a browser keeps the file and does not look into it."""
    filename = _named(_base_name(name), _BY_MEDIA_TYPE[media_type])
    return {
        "Content-Disposition": content_disposition_header(True, filename) or "attachment",
        "Content-Type": "application/octet-stream",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
