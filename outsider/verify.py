#!/usr/bin/env python3
"""Check what the portal claims about its training runs, without trusting the portal.

One file, nothing but Python 3.8 or newer, written from docs/reference/proof-format.md. `python3 verify.py --help` says what
it can check, outsider/README.md what to do with the answers.

It ends with 0 if all is well, with 1 if something is wrong (a sentence each), and with 2 if there was nothing
it could check.
"""

from __future__ import annotations

import argparse
import base64
import email
import html
import io
import json
import os
import re
import struct
import sys
from array import array
from bisect import bisect_left, bisect_right
from concurrent.futures import ProcessPoolExecutor
from datetime import date, datetime, timedelta
from functools import lru_cache
from hashlib import sha256, sha512
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, NamedTuple, Sequence, Tuple

# === Shared by verify.py and witness.py: each is one file to carry away, so both have a copy =====


class Wrong(Exception):
    """A check failed: the text is a sentence that says what."""


class Unreadable(Exception):
    """There is nothing to check: a file is missing, a key was not given."""


NO_KEY = (
    "No key was given. Ask people you know for the portal's verifier key, through a channel separate from the portal"
    " (it looks like portal.example/ledger+1a2b3c4d+AbCd…), and give it with --key. A key that is delivered"
    " with what is to be checked proves nothing."
)

# --- Bytes ---------------------------------------------------------------------------------------

MAX_SMALL_BYTES = 1 << 20
"""Bytes of a checkpoint or a proof; what is larger is none."""


def read_small(path: Path, max_bytes: int = MAX_SMALL_BYTES) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except OSError as error:
        raise Unreadable(f"{path} cannot be read: {error.strerror}.") from error
    if len(data) > max_bytes:
        raise Wrong(f"{path} has more than {max_bytes} bytes, which nothing of its kind has.")
    return data


def text_of(data: bytes, what: str) -> str:
    """UTF-8 without control characters but LF: what looks like one text is one text."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise Wrong(f"{what} is not UTF-8.") from None
    if any(ord(character) < 0x20 and character != "\n" for character in text):
        raise Wrong(f"{what} has control characters.")
    return text


def from_base64(text: str, what: str) -> bytes:
    """RFC 4648, section 4, in the one form each value has."""
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except ValueError:  # UnicodeEncodeError and binascii.Error are ValueErrors
        raise Wrong(f"{what} is not base 64.") from None
    if base64.b64encode(data) != text.encode("ascii"):
        raise Wrong(f"{what} is not base 64 as everybody writes it.")
    return data


def hash_from_base64(text: str, what: str) -> bytes:
    data = from_base64(text, what)
    if len(data) != 32:
        raise Wrong(f"{what} has {len(data)} bytes, and a hash has 32.")
    return data


def number_from(text: str, what: str) -> int:
    """A whole number in decimal, below 2^63, without leading zeros."""
    if not re.fullmatch("0|[1-9][0-9]{0,18}", text) or int(text) >= 1 << 63:
        raise Wrong(f"{what} is not a number.")
    return int(text)


# --- Ed25519: RFC 8032, section 5.1 ---------------------------------------------------------------

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_1 = pow(2, (P - 1) // 4, P)

Point = Tuple[int, int, int, int]
"""Extended coordinates (X, Y, Z, T): x = X/Z, y = Y/Z, x·y = T/Z (section 5.1.4)."""

NEUTRAL: Point = (0, 1, 1, 0)


def add_points(p: Point, q: Point) -> Point:
    a = (p[1] - p[0]) * (q[1] - q[0]) % P
    b = (p[1] + p[0]) * (q[1] + q[0]) % P
    c = 2 * p[3] * q[3] * D % P
    d = 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def point_from(data: bytes) -> Point | None:
    """Section 5.1.3; None for what is no point, and for a point written in another way than its own."""
    number = int.from_bytes(data, "little")
    sign, y = number >> 255, number & ((1 << 255) - 1)
    if len(data) != 32 or y >= P:
        return None
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    if (v * x * x + u) % P == 0:
        x = x * ROOT_OF_MINUS_1 % P
    if (v * x * x - u) % P != 0 or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return x, y, 1, x * y % P


def bytes_of(point: Point) -> bytes:
    inverse = pow(point[2], P - 2, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


@lru_cache(maxsize=64)
def multiples(point: Point) -> list[list[Point]]:
    """0 to 15 times the point, then of 16 times the point, and so on.

    The base and a key are multiplied once for every signature: with these, by 64 additions.
    """
    rows = []
    for _ in range(64):
        row = [NEUTRAL]
        for _ in range(15):
            row.append(add_points(row[-1], point))
        rows.append(row)
        point = add_points(row[-1], point)
    return rows


def times(scalar: int, point: Point) -> Point:
    total = NEUTRAL
    for row in multiples(point):
        total = add_points(total, row[scalar & 15])
        scalar >>= 4
    return total


BASE = point_from((4 * pow(5, P - 2, P) % P).to_bytes(32, "little")) or NEUTRAL


@lru_cache(maxsize=64)
def minus_key_from(public: bytes) -> Point | None:
    """The negative of the point a public key is. Keys of small order sign anything, and are none."""
    key = point_from(public)
    if key is None or bytes_of(times(8, key)) == bytes_of(NEUTRAL):
        return None
    return P - key[0], key[1], key[2], P - key[3]


def is_signed(public: bytes, message: bytes, signature: bytes) -> bool:
    """Section 5.1.7, in its stricter form: R must be [S]B - [k]A, to the bit."""
    minus_key = minus_key_from(public)
    if minus_key is None or len(signature) != 64:
        return False
    r, s = signature[:32], int.from_bytes(signature[32:], "little")
    if s >= L:
        return False
    k = int.from_bytes(sha512(r + public + message).digest(), "little") % L
    return bytes_of(add_points(times(s, BASE), times(k, minus_key))) == r


# --- Keys and signed notes (proof-format.md) -------------------------------------------------------


class Key(NamedTuple):
    name: str
    id: bytes
    public: bytes

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}"


def key_from(text: str) -> Key:
    """A verifier key: <name>+<key id>+<base 64 of 0x01 ‖ public key>."""
    name, _, rest = text.partition("+")
    key_id, _, encoded = rest.partition("+")
    if name == "PRIVATE":
        raise Wrong("This is a signer key, which only the portal may have: tell its people.")
    if not is_name(name) or not re.fullmatch("[0-9a-f]{8}", key_id):
        raise Wrong(f"{text[:80]!r} is not a verifier key.")
    data = from_base64(encoded, f"The verifier key {name}+{key_id}")
    if len(data) != 33 or data[0] != 1 or minus_key_from(data[1:]) is None:
        raise Wrong(f"The verifier key {name}+{key_id} is no Ed25519 key.")
    if sha256(name.encode() + b"\n" + data).digest()[:4].hex() != key_id:
        raise Wrong(f"The verifier key {name}+{key_id} does not have its key id: it was miscopied.")
    return Key(name, bytes.fromhex(key_id), data[1:])


def is_name(text: str) -> bool:
    return text.isprintable() and not {" ", "+"} & set(text) and text != ""


class Checkpoint(NamedTuple):
    """The signer's statement that a tree of `size` leaves has this root."""

    origin: str
    size: int
    root: bytes
    signers: tuple[Key, ...]


def checkpoint_from(data: bytes, keys: Iterable[Key], what: str) -> Checkpoint:
    """The checkpoint in a signed note. Every signature by a key in `keys` must verify, and there must be one."""
    text, signatures = note_parts(data, what)
    signers = tuple(signers_of(text, signatures, keys, what))
    lines = text.split("\n")
    if len(lines) != 4:
        raise Wrong(f"{what} is not a checkpoint of three lines.")
    size = number_from(lines[1], f"The size in {what}")
    return Checkpoint(lines[0], size, hash_from_base64(lines[2], f"The root in {what}"), signers)


def note_parts(data: bytes, what: str) -> tuple[str, list[tuple[str, bytes]]]:
    """The signed text, and the name and the bytes of each signature."""
    note = text_of(data, what)
    text, empty_line, block = note.rpartition("\n\n")
    if not empty_line or not block.endswith("\n") or not text:
        raise Wrong(f"{what} is not a signed note.")
    signatures = []
    for line in block[:-1].split("\n"):
        dash, name, encoded = ([*line.split(" "), "", ""])[:3]
        if line != f"\u2014 {name} {encoded}" or dash != "\u2014" or not is_name(name):
            raise Wrong(f"{what} has a line among its signatures that is none.")
        signature = from_base64(encoded, f"A signature in {what}")
        if len(signature) < 5:
            raise Wrong(f"{what} has a signature that is too short.")
        signatures.append((name, signature))
    if len(signatures) > 100:
        raise Wrong(f"{what} has more than 100 signatures.")
    return text + "\n", signatures


def signers_of(
    text: str, signatures: list[tuple[str, bytes]], keys: Iterable[Key], what: str
) -> list[Key]:
    known = {(key.name, key.id): key for key in keys}
    signers = []
    for name, signature in signatures:
        key = known.get((name, signature[:4]))
        if key is None:
            continue
        if not is_signed(key.public, text.encode(), signature[4:]):
            raise Wrong(f"{what} has a signature of {key} that is false.")
        if key not in signers:
            signers.append(key)
    if not signers:
        others = ", ".join(f"{name}+{signature[:4].hex()}" for name, signature in signatures)
        raise Wrong(f"{what} is signed by no key you trust, but by {others}.")
    return signers


def note_given(data: bytes) -> bytes:
    """The checkpoint in a file that a person saved: as it is, or out of a mail or an editor.

    What carried the note may have changed its ends of lines, put a byte order mark, a `>` or a header around it,
    encoded it, or written the dash in another way. None of that is signed; the text that is, must verify all the
    same. What holds no checkpoint, or several that differ, is given back as it is: the check then says what is wrong.
    """
    found = sorted({note for text in texts_in(data) for note in notes_in(text)}, key=len)
    # One text, perhaps with fewer of its signatures where the mail broke a line: take all of them.
    is_one = len({note.partition("\n\n")[0] for note in found}) == 1
    return found[-1].encode("utf-8") if is_one else data


_NOTE = re.compile(
    r"^([^\s+]+)\n(0|[1-9][0-9]{0,18})\n([A-Za-z0-9+/]{43}=)\n\n"
    r"((?:(?:\u2014|\u2013|-{1,3}|\u2212) ?[^\s+]+ [A-Za-z0-9+/]+={0,2}\n)+)",
    re.MULTILINE,
)


def notes_in(text: str) -> Iterator[str]:
    """The checkpoints in a text whose lines end with LF, each in its own form."""
    for found in _NOTE.finditer(text):
        origin, size, root, block = found.groups()
        lines = [line.lstrip("\u2014\u2013\u2212-").strip() for line in block[:-1].split("\n")]
        signatures = "".join(f"\u2014 {line}\n" for line in lines)
        yield f"{origin}\n{size}\n{root}\n\n{signatures}"


def texts_in(data: bytes) -> Iterator[str]:
    """The texts that a saved file may be: itself, and the parts of the mail that it is."""
    for text in [decoded(data), *mail_texts(data)]:
        lines = [line.rstrip() for line in re.split(r"\r\n|\r|\n|\u2028", text.lstrip("\ufeff"))]
        for kept in (lines, [re.sub(r"^(?:[ \t]*>)*[ \t\u00a0]*", "", line) for line in lines]):
            yield "\n".join(kept) + "\n"


def decoded(data: bytes, charset: str = "utf-8-sig") -> str:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        charset = "utf-16"
    try:
        return data.decode(charset)
    except (UnicodeDecodeError, LookupError):
        # Windows writes the dash as one byte.
        return data.decode("cp1252", "replace")


def mail_texts(data: bytes) -> Iterator[str]:
    """The texts of a mail (RFC 5322, 2045, 3676) or of an HTML page; nothing in them is followed or run."""
    try:
        mail = email.message_from_bytes(data.replace(b"\xef\xbb\xbf", b"", 1).lstrip())
        parts = [part for part in mail.walk() if part.get_content_maintype() == "text"]
    except Exception:  # what a broken mail does to the library
        return
    for part in parts[:100]:
        body = part.get_payload(decode=True)
        if not isinstance(body, bytes):
            continue
        text = decoded(body, part.get_content_charset() or "utf-8")
        yield text
        # format=flowed: a line that ends with a space goes on in the next.
        yield re.sub(r" +\r?\n(?!\r?\n)", " ", text)
        yield re.sub(r" \r?\n", "", text)
        if "<" in text:
            plain = re.sub(r"(?is)<(style|script)\b.*?</\1>", "", text)
            plain = re.sub(r"(?i)<br[^>]*>\s?|</(p|div|pre|tr|li)>\s?", "\n", plain)
            yield html.unescape(re.sub(r"<[^>]*>", "", plain)).replace("\u00a0", " ")


def ledger_checkpoint_from(data: bytes, keys: Iterable[Key], what: str) -> Checkpoint:
    """A checkpoint of the ledger itself: its origin is the name of the key."""
    found = checkpoint_from(data, keys, what)
    if any(found.origin != key.name for key in found.signers):
        raise Wrong(f"{what} is a checkpoint of {found.origin}, not of the ledger.")
    return found


# --- The tree: RFC 6962; RFC 9162, section 2.1 -----------------------------------------------------

EMPTY = sha256(b"").digest()


def leaf_hash(data: bytes) -> bytes:
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def check_consistency(
    old: tuple[int, bytes], new: tuple[int, bytes], path: Sequence[bytes]
) -> None:
    """`old` and `new` are sizes and roots; raises Wrong unless the path proves that new continues old."""
    (old_size, old_root), (new_size, new_root) = old, new
    if old_size in (0, new_size):
        is_proved = not path and old_root == (new_root if old_size else EMPTY)
    else:
        is_proved = roots_by_path(old, new_size, path) == (old_root, new_root)
    if not is_proved:
        raise Wrong(f"The tree of {new_size} entries does not continue the one of {old_size}.")


def roots_by_path(
    old: tuple[int, bytes], new_size: int, path: Sequence[bytes]
) -> tuple[bytes, bytes] | None:
    """RFC 9162, section 2.1.4.2, for 0 < old < new: the roots of both trees that the hashes lead to."""
    old_size, old_root = old
    place, last = old_size - 1, new_size - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    # An old tree that is one full subtree of the new one is where the path begins.
    hashes = list(path) if place else [old_root, *path]
    if not path or old_size > new_size:
        return None
    root_of_old = root_of_new = hashes[0]
    for one in hashes[1:]:
        if last == 0:
            return None
        if place & 1 or place == last:
            root_of_old, root_of_new = node_hash(one, root_of_old), node_hash(one, root_of_new)
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            root_of_new = node_hash(root_of_new, one)
        place, last = place >> 1, last >> 1
    return (root_of_old, root_of_new) if last == 0 else None


def consistency_from(data: bytes, what: str) -> tuple[int, list[bytes], bytes]:
    """The old size, the hashes and the new checkpoint's note of a consistency proof."""
    head, _, note = text_of(data, what).partition("\n\n")
    first, *lines = head.split("\n")
    if first != "training-portal/consistency@v1" or not lines or not lines[0].startswith("old "):
        raise Wrong(f"{what} is not a consistency proof.")
    if len(lines) > 129:
        raise Wrong(f"{what} has more hashes than any tree needs.")
    old_size = number_from(lines[0][4:], f"The old size in {what}")
    path = [hash_from_base64(line, f"A hash in {what}") for line in lines[1:]]
    return old_size, path, note.encode()


# === End of what is shared =========================================================================

# --- What is said ---------------------------------------------------------------------------------

MAX_PROBLEMS = 50
"""More are counted, not listed: one is enough to ask questions."""


class Report:
    """The checks made, and the problems found."""

    def __init__(self) -> None:
        self.checked: list[str] = []
        self.notes: list[str] = []
        self.problems: list[str] = []
        self.count = 0

    def say(self, sentence: str) -> None:
        self.checked.append(sentence)

    def note(self, sentence: str) -> None:
        self.notes.append(sentence)

    def wrong(self, sentence: str) -> None:
        self.count += 1
        if self.count <= MAX_PROBLEMS:
            self.problems.append(sentence)


# --- Canonical JSON: RFC 8785, within the bounds of docs/reference/ledger.md ----------------------------------


def _whole(text: str) -> int:
    # Its length is asked first: a number of a million digits would take long to read.
    if len(text) > 17 or not -(2**53) < int(text) < 2**53:
        raise ValueError("it has a number of 2^53 or more")
    return int(text)


def _refuse_number(text: str) -> Any:
    raise ValueError("it has a number that is not whole")


_decode = json.JSONDecoder(
    parse_int=_whole, parse_float=_refuse_number, parse_constant=_refuse_number
).decode
_encode = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode


def canonical(line: bytes) -> Any:
    """The value of canonical JSON; ValueError for any other bytes.

    Written again it must give the same bytes: so no name occurs twice, and nothing is written in two ways.
    """
    try:
        value = _decode(line.decode("utf-8"))
        again = _encode(value).encode("utf-8")
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not JSON ({error.msg})") from None
    except UnicodeError:
        raise ValueError("it is not UTF-8") from None
    if again != line:
        raise ValueError("it is not in canonical form")
    return value


# --- Reading files line by line --------------------------------------------------------------------

MAX_LINE_BYTES = 64 << 20
"""Bytes of a line. An import of 20,000 members, the largest entry by default, has about 3 MB."""
PIECE = 8 << 20
"""Bytes that one process checks at a time."""


def open_file(path: Path) -> Any:
    try:
        return path.open("rb")
    except OSError as error:
        raise Unreadable(f"{path} cannot be read: {error.strerror}.") from error


def pieces(path: Path) -> Iterator[tuple[int, int]]:
    """The first byte and the length of pieces of whole lines."""
    with open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        begin = 0
        while begin < size:
            file.seek(begin + PIECE)
            if len(file.readline(MAX_LINE_BYTES + 1)) > MAX_LINE_BYTES:
                raise Wrong(f"{path.name} has a line of more than {MAX_LINE_BYTES} bytes.")
            end = min(file.tell(), size)
            yield begin, end - begin
            begin = end


def lines_of(path: Path) -> Iterator[bytes]:
    """The lines of a file, each without its LF."""
    with open_file(path) as file:
        number = 0
        while True:
            line = file.readline(MAX_LINE_BYTES + 1)
            number += 1
            if not line:
                return
            if len(line) > MAX_LINE_BYTES:
                raise Wrong(f"{path.name}, line {number}, has more than {MAX_LINE_BYTES} bytes.")
            if not line.endswith(b"\n"):
                raise Wrong(f"{path.name}, line {number}, does not end: the file was cut off.")
            yield line[:-1]


def lines_in(data: bytes) -> tuple[list[bytes], str]:
    """The lines in a piece, and what is wrong with its end."""
    lines = data.split(b"\n")
    cut_off = lines.pop()
    if cut_off:
        return [*lines, cut_off], "does not end: the file was cut off"
    return lines, ""


# --- The tree over leaves ---------------------------------------------------------------------------


class Tree:
    """Every full subtree over the leaves, level by level, so that the root of any size is a few hashes away."""

    def __init__(self, leaves: bytes) -> None:
        """`leaves` are leaf hashes, 32 bytes each, one behind the other."""
        self.size = len(leaves) // 32
        self.levels = [leaves]
        while len(self.levels[-1]) >= 64:
            self.levels.append(_next_level(self.levels[-1]))

    def root(self, size: int) -> bytes:
        """The root over the first `size` leaves."""
        subtrees, begin = [], 0
        for height in reversed(range(len(self.levels))):
            if size >> height & 1:
                place = (begin >> height) * 32
                subtrees.append(self.levels[height][place : place + 32])
                begin += 1 << height
        if not subtrees:
            return EMPTY
        root = subtrees.pop()
        while subtrees:
            root = node_hash(subtrees.pop(), root)
        return root


def _next_level(level: bytes) -> bytes:
    pairs = range(0, len(level) - 63, 64)
    return b"".join([sha256(b"\x01" + level[at : at + 64]).digest() for at in pairs])


# --- The ledger's lines -----------------------------------------------------------------------------

FIELDS = {
    "actor",
    "credential",
    "format",
    "kind",
    "reason",
    "recorded_at",
    "rows",
    "sequence",
    "subject",
}
FORMAT = 1
MAX_LEAF_BYTES = 65535
"""Bytes that a leaf covers. A longer entry is sealed in its short form."""
RUN = "training_runs.historicalrun"
MANIFEST = "training_runs.manifest"
VERIFICATION = "training_runs.verification"
DELIVERY = "deliveries.historicaldelivery"
INCIDENT = "training_runs.historicalincident"
READ_BATCH = "ledger.readbatch"
CLOCK_STEP = "ledger.clockstep"
BACKWARDS = "it was recorded before the entry above it, and no clock step is sealed in it"
MARKED = "9999"
"""Stands for the time of a first line that is marked as a clock step: no time before it is later."""
CLOCK_SETTLEMENT = "ledger.clocksettlement"
WRITTEN_ANYWAY = {
    "account_map.ended", "account_map.refused", "age_rule.proposed", "age_rule.rejected", "assessment.rejected",
    "consent.decision", "consent.decisions", "account.merged", "account.split", "member.erased", "objection.received",
    "objection.email_confirmed", "objection.member_matched", "objection.match_corrected", "objection.linked", "objection.note_added",
    "objection.files_attached", "objection.assigned", "objection.receipt_date_corrected",
    "incident.acknowledged", "incident.assessed", "incident.closed", "incident.found", "incident.reviewed",
    "objection.erasure_proposed", "objection.erasure_returned",
    "letter.returned", "user.superuser_refused", "objection.data_erased",
    "objection.files_deleted",
    "run.cancelled", "manifest.verification_failed", "delivery.verification_failed", "ledger.verification_failed", "rule.proposed", "rule.rejected",
    "notice.proposed", "notice.rejected", "notice.withdrawn", "objection.outcome_returned",
    "reads.sealed", "ledger.verified", "checkpoint.key_added", "checkpoint.key_retired",
    "token.revoked", "user.changed", "clock.settled",
    "delivery.cancelled", "delivery.expired", "lineage.received", "delivery.refused", "receipt.refused", "run.used_after_lease",
    "recipient.told", "runner_key.ended", "team.person_removed", "policy.proposed", "policy.rejected",
}  # fmt: skip
"""Kinds of entries that may follow a clock step before it is settled; a decision among them may not be an *allow*."""
WATCHED = {
    RUN, MANIFEST, VERIFICATION, DELIVERY, INCIDENT, READ_BATCH, CLOCK_STEP, CLOCK_SETTLEMENT,
}  # fmt: skip
"""Tables whose rows say what else is in the export."""

Row = Dict[str, Any]


TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)


def _time(text: Any) -> str:
    """A time in the one form it has in an entry."""
    if not isinstance(text, str) or not TIME.fullmatch(text):
        raise ValueError("a time is not written as 2026-11-22T02:55:51.423229Z")
    return text


UNKNOWN = 0
"""The sequence of a line that is no entry."""


class Piece(NamedTuple):
    """The findings in some lines of the ledger."""

    leaves: bytes
    sequences: array[int]
    problems: list[tuple[int, str]]
    """Place of the line in the piece, and what is wrong with it."""
    rows: list[tuple[int, str, Row]]
    """Place of the line, name of the table, row."""
    keys: list[tuple[int, str, Key]]
    """Place of the line, `checkpoint.key_added` or `checkpoint.key_retired`, and which key."""
    quarters: dict[int, str]
    """Place of each line that was recorded in another quarter of an hour than the one before it, and that quarter."""
    times: tuple[str, str]
    """The times at which the first and the last of the entries were recorded."""
    waits: array[int]
    """Places of lines that may not follow a clock step before it is settled."""


def rows_of(entry: Row, name: str) -> list[Row]:
    """The rows an entry wrote to a table. Columns that are left out are null: ask with `get`."""
    table = entry["rows"].get(name)
    if table is None:
        return []
    return [dict(zip(table["columns"], values)) for values in table["values"]]


def leaf_data(line: bytes, entry: Any) -> bytes:
    """The bytes that the leaf of an entry is the hash of, given its line: of a long one the short form."""
    if len(line) <= MAX_LEAF_BYTES:
        return line
    short = {
        name: {
            "columns": table["columns"],
            "count": len(table["values"]),
            "digest": sha256(_encode(table["values"]).encode("utf-8")).hexdigest(),
        }
        for name, table in entry["rows"].items()
    }
    data = _encode({**entry, "rows": short}).encode("utf-8")
    if len(data) > MAX_LEAF_BYTES:
        raise ValueError(f"it is longer than {MAX_LEAF_BYTES} bytes without its rows")
    return data


def check_piece(place: tuple[str, int, int]) -> Piece:
    """Hash and read the lines of a piece. Runs in a process of its own when there are several pieces."""
    path, begin, size = place
    with open_file(Path(path)) as file:
        file.seek(begin)
        lines, bad_end = lines_in(file.read(size))
    leaves = [sha256(b"\x00" + line).digest() for line in lines]
    piece = Piece(b"", array("Q"), [], [], [], {}, ("", ""), array("Q"))
    first, last = "", ""
    for number, line in enumerate(lines):
        try:
            entry = canonical(line)
            _look_at(entry, number, piece)
            if len(line) > MAX_LEAF_BYTES:
                leaves[number] = leaf_hash(leaf_data(line, entry))
            at = _time(entry["recorded_at"])
            piece.sequences.append(entry["sequence"])
            if not last or quarter(at) != quarter(last):
                piece.quarters[number] = quarter(at)
            if at < last and CLOCK_STEP not in entry["rows"]:
                piece.problems.append((number, BACKWARDS))
            first, last = first or (at if CLOCK_STEP not in entry["rows"] else MARKED), at
        except ValueError as error:
            piece.problems.append((number, str(error)))
            piece.sequences.append(UNKNOWN)
    if bad_end:
        piece.problems.append((len(lines) - 1, bad_end))
    return piece._replace(leaves=b"".join(leaves), times=(first, last))


def _check_fields(entry: Any) -> None:
    if not isinstance(entry, dict) or entry.keys() != FIELDS:
        raise ValueError("it does not have the fields of an entry")
    if type(entry["format"]) is not int or entry["format"] != FORMAT:
        raise ValueError(f"it is not of format {FORMAT}")
    if not isinstance(entry["credential"], str):
        raise ValueError("its credential is no text")
    if type(entry["sequence"]) is not int or entry["sequence"] < 1:
        raise ValueError("its sequence is not a number from 1")


def _look_at(entry: Any, number: int, piece: Piece) -> None:
    """Check an entry's form, and take from it what the other checks need."""
    _check_fields(entry)
    rows = entry["rows"]
    if not isinstance(rows, dict) or not isinstance(entry["reason"], str):
        raise ValueError("its rows or its reason are not what they are in an entry")
    for name, table in rows.items():
        if not _is_table(table):
            raise ValueError(f"its rows of {name} are not a table")
        if name in WATCHED:
            found = rows_of(entry, name)
            if any(type(row.get("id")) is not int for row in found):
                raise ValueError(f"a row of {name} has no id")
            if name == CLOCK_STEP:
                found = [{**row, "recorded_at": _time(entry["recorded_at"])} for row in found]
            piece.rows.extend((number, name, row) for row in found)
    if entry["kind"] not in WRITTEN_ANYWAY or any(
        row.get("choice") != "deny" for row in rows_of(entry, "consent.decision")
    ):
        piece.waits.append(number)
    if entry["kind"] in ("checkpoint.key_added", "checkpoint.key_retired"):
        try:
            # Behind the key stands why a person did it.
            piece.keys.append((number, entry["kind"], key_from(entry["reason"].split(" ")[0])))
        except Wrong as error:
            raise ValueError(f"its reason begins with no key ({error})") from None


def _is_table(table: Any) -> bool:
    if not isinstance(table, dict) or table.keys() != {"columns", "values"}:
        return False
    columns, values = table["columns"], table["values"]
    return (
        isinstance(columns, list)
        and all(isinstance(column, str) for column in columns)
        and columns == sorted(set(columns))
        and isinstance(values, list)
        and all(isinstance(one, list) and len(one) == len(columns) for one in values)
    )


class Ledger(NamedTuple):
    tree: Tree
    rows: list[tuple[int, str, Row]]
    """Entry, name of the table, row: of the tables the other checks need."""
    keys: list[tuple[int, str, Key]]
    """Entry, kind, key: which keys were made known and retired."""
    quarters: dict[int, str]
    """Each entry that was recorded in another quarter of an hour than the one before it, in their order, and that one."""

    def quarter_of(self, entry: int) -> str:
        """The quarter of an hour (UTC) in which an entry was recorded: within one no day begins anywhere."""
        starts = list(self.quarters)
        return self.quarters[starts[bisect_right(starts, entry) - 1]]

    def of(self, name: str) -> list[tuple[int, Row]]:
        return [(entry, row) for entry, table, row in self.rows if table == name]


def read_ledger(path: Path, report: Report) -> Ledger:
    """Every line hashed, its form and its number checked; by all processors when it is large."""
    leaves: list[bytes] = []
    rows: list[tuple[int, str, Row]] = []
    keys: list[tuple[int, str, Key]] = []
    quarters: dict[int, str] = {}
    done, last = 0, ""
    waits: list[int] = []
    for piece in _checked_pieces(path):
        first, until = piece.times
        if first and first < last:
            report.wrong(f"{path.name}, line {done + 1}: {BACKWARDS}.")
        last = until or last
        quarters.update({done + number + 1: one for number, one in piece.quarters.items()})
        for number, what in piece.problems:
            report.wrong(f"{path.name}, line {done + number + 1}: {what}.")
        _check_sequences(piece, done, path.name, report)
        rows.extend((done + number + 1, name, row) for number, name, row in piece.rows)
        keys.extend((done + number + 1, kind, key) for number, kind, key in piece.keys)
        waits.extend(done + number + 1 for number in piece.waits)
        leaves.append(piece.leaves)
        done += len(piece.sequences)
    tree = Tree(b"".join(leaves))
    report.say(
        f"{path.name}: {done} entries were read; the root over them is {tree.root(done).hex()}."
    )
    _check_clocks(rows, waits, report)
    return Ledger(tree, rows, keys, quarters)


def _check_clocks(rows: list[tuple[int, str, Row]], waits: list[int], report: Report) -> None:
    """Tell each clock step, and find what was written before it was settled and had to wait."""
    since = 0
    spans: list[tuple[int, int]] = []
    for entry, name, row in rows:
        if name == CLOCK_STEP:
            report.note(
                f"Entry {entry} marks a clock step: recorded at {row['recorded_at']}, the entry before at"
                f" {row.get('previous_at')}, the server's clock said {row.get('server_at')}."
            )
            # Without the server's clock the time was played, and no clock can disagree.
            since = since or (entry if row.get("server_at") else 0)
        elif name == CLOCK_SETTLEMENT and since:
            spans.append((since, entry))
            since = 0
    if since:
        spans.append((since, waits[-1] + 1 if waits else since))
    for begin, end in spans:
        for entry in waits[bisect_left(waits, begin) : bisect_left(waits, end)]:
            report.wrong(
                f"Entry {entry} had to wait: the clock step of entry {begin} was not settled by then."
            )


def _checked_pieces(path: Path) -> Iterator[Piece]:
    places = [(str(path), begin, size) for begin, size in pieces(path)]
    if len(places) < 2:
        yield from map(check_piece, places)
        return
    with ProcessPoolExecutor() as processes:
        yield from processes.map(check_piece, places)


def _check_sequences(piece: Piece, done: int, name: str, report: Report) -> None:
    expected = array("Q", range(done + 1, done + 1 + len(piece.sequences)))
    if piece.sequences == expected:
        return
    wrong = [
        (line, found)
        for line, found in zip(expected, piece.sequences)
        if found not in (UNKNOWN, line)
    ]
    if wrong:
        # One entry that is gone moves all that follow: a sentence each would hide other problems.
        line, found = wrong[0]
        more = f", and {len(wrong) - 1} lines after it have other numbers too" if wrong[1:] else ""
        report.wrong(f"{name}, line {line}: it says it is entry {found}{more}.")


# --- Checkpoints and keys ---------------------------------------------------------------------------


class Trust:
    """The keys an auditor was given, and those that entries under their signatures made known."""

    def __init__(self, given: Sequence[Key], ledger: Ledger | None = None) -> None:
        self.given = list(given)
        self.added: list[tuple[int, Key]] = []
        self.retired: dict[Key, int] = {}
        names = {key.name for key in given}
        for entry, kind, key in ledger.keys if ledger else []:
            if kind == "checkpoint.key_retired":
                self.retired[key] = entry
            elif key.name in names:
                self.added.append((entry, key))
        self.covered = 0
        """Entries below a checkpoint that was found good: what they say of keys is trusted."""

    def trusted(self, size: int = 0) -> list[Key]:
        """The keys whose signatures count under a checkpoint of this size: not those of keys retired below it."""
        made_known = [key for entry, key in self.added if entry <= self.covered]
        return [key for key in [*self.given, *made_known] if size <= self.retired.get(key, size)]


def listed_checkpoints(path: Path, report: Report) -> Iterator[tuple[str, int, bytes]]:
    """The name of each line of checkpoints.ndjson, the size it states, and its note."""
    before = -1
    for number, line in enumerate(lines_of(path), 1):
        what = f"{path.name}, line {number}"
        try:
            value = canonical(line)
        except ValueError as error:
            report.wrong(f"{what}: {error}.")
            continue
        if (
            not isinstance(value, dict)
            or value.keys() != {"note", "size"}
            or not isinstance(value["note"], str)
            or type(value["size"]) is not int
        ):
            report.wrong(f"{what}: it is not a checkpoint's line.")
            continue
        if value["size"] <= before:
            report.wrong(f"{what}: its size {value['size']} does not come after {before}.")
        before = max(before, value["size"])
        yield what, value["size"], value["note"].encode()


def check_listed(path: Path, trust: Trust, tree: Tree | None, report: Report) -> int:
    """Every checkpoint of the file: its signature and, with a tree, its root. Returns the largest size."""
    count = largest = 0
    for what, size, note in listed_checkpoints(path, report):
        count += 1
        try:
            found = ledger_checkpoint_from(note, trust.trusted(size), what)
            if found.size != size:
                raise Wrong(f"{what} says {size}, its note says {found.size}.")
            if tree is not None:
                check_root(found, tree, what)
        except Wrong as error:
            report.wrong(str(error))
            continue
        largest = max(largest, found.size)
        if tree is not None:
            trust.covered = largest
    if not count:
        report.wrong(f"{path.name} has no checkpoint: nothing is signed.")
    report.say(f"{path.name}: {count} checkpoints, the largest good one over {largest} entries.")
    return largest


def check_root(checkpoint: Checkpoint, tree: Tree, what: str) -> None:
    if checkpoint.size > tree.size:
        raise Wrong(
            f"{what} is over {checkpoint.size} entries, and the export has {tree.size}: it was rolled back"
            " or cut off."
        )
    if tree.root(checkpoint.size) != checkpoint.root:
        raise Wrong(
            f"{what}: entries 1 to {checkpoint.size} do not have the root it signs: one of them was"
            " changed, removed or put in."
        )


def check_kept(paths: Sequence[Path], trust: Trust, tree: Tree, report: Report) -> None:
    for path in paths:
        what = f"The kept checkpoint {path}"
        try:
            data = note_given(read_small(path))
            # Its keeper knew its key then: a key that was retired since still verifies it.
            found = ledger_checkpoint_from(data, [*trust.given, *trust.trusted()], what)
            check_root(found, tree, what)
        except Wrong as error:
            report.wrong(str(error))
            continue
        report.say(f"{path}: the export continues the kept checkpoint over {found.size} entries.")
    if not paths:
        report.note(
            "No checkpoint kept elsewhere was given (--kept): who owns the database and the key could have"
            " rewritten all of this."
        )


def check_keys_file(path: Path, trust: Trust, report: Report) -> None:
    """keys.txt is compared, never trusted."""
    listed = []
    for number, line in enumerate(lines_of(path), 1):
        try:
            key = key_from(text_of(line, f"{path.name}, line {number},"))
        except Wrong as error:
            report.wrong(f"{path.name}, line {number}: {error}")
            continue
        if key in listed:
            report.wrong(f"{path.name}, line {number}: {key} is there twice.")
        if key not in trust.trusted():
            report.wrong(
                f"{path.name}, line {number}: {key} is none you gave, and no entry adds it."
            )
        listed.append(key)
    for key in trust.given:
        if key not in listed and key not in trust.retired:
            report.wrong(
                f"{path.name} does not have {key}, which you gave, and no entry retires it."
            )
    report.say(f"{path.name}: {len(listed)} keys were compared with those you gave.")


# --- The record of reads ----------------------------------------------------------------------------

READ_FIELDS = {"actor_name", "id", "kind", "purpose", "read_at", "subject", "user_id"}


def check_reads(path: Path, batches: list[tuple[int, Row]], report: Report) -> None:
    """Each batch of the ledger has the root over the records from `first` to `last`."""
    ids, leaves = array("Q"), bytearray()
    for number, line in enumerate(lines_of(path), 1):
        try:
            record = canonical(line)
            if not isinstance(record, dict) or record.keys() != READ_FIELDS:
                raise ValueError("it does not have the fields of a read")
            if type(record["id"]) is not int or record["id"] <= (ids[-1] if ids else 0):
                raise ValueError("its id does not come after the one before")
        except ValueError as error:
            report.wrong(f"{path.name}, line {number}: {error}.")
            continue
        ids.append(record["id"])
        leaves += leaf_hash(line)
    sealed = last = 0
    for entry, row in batches:
        what = f"Entry {entry} ({READ_BATCH})"
        if not _is_batch(row) or row["first"] <= last:
            report.wrong(f"{what} is not a batch of reads that follows the one before.")
            continue
        last = row["last"]
        begin = sealed
        while sealed < len(ids) and ids[sealed] <= last:
            sealed += 1
        found = bytes(leaves[32 * begin : 32 * sealed])
        if sealed - begin != row["count"] or (begin < sealed and ids[begin] < row["first"]):
            report.wrong(
                f"{what} seals {row['count']} reads from {row['first']} to {last};"
                f" {path.name} has {sealed - begin} since the batch before."
            )
        elif Tree(found).root(row["count"]).hex() != row.get("root"):
            report.wrong(
                f"{what}: the reads from {row['first']} to {last} in {path.name} are not those it seals."
            )
    report.say(f"{path.name}: {sealed} reads are sealed in {len(batches)} batches.")
    if sealed < len(ids):
        report.note(
            f"{path.name}: {len(ids) - sealed} reads since the last batch are sealed by nothing yet."
        )


def _is_batch(row: Row) -> bool:
    numbers = [row.get(name) for name in ("first", "last", "count")]
    return all(type(number) is int and number > 0 for number in numbers)


# --- Manifests: docs/reference/manifest-format.md ---------------------------------------------------------------
# A set of numbers is one whole number whose bit n says whether n is in it: | is the union, & what both have.

MAGIC = b"training-manifest/1\n"
HEADER_FIELDS = {
    "as_of", "consents", "cut", "data_categories", "days", "ledger_root", "notices", "parent", "parts", "policies", "population", "purpose",
    "reasons", "region_rules", "run",
}  # fmt: skip
CODES = (
    "included", "erased", "closed", "country_unknown", "minor", "region", "no_notice", "not_opted_in",
    "opted_out", "objection_open", "objection_upheld", "not_in_parent",
)  # fmt: skip
"""The half byte of a member is the place of the code in this list; ABSENT is above the population."""
ABSENT = 15
MAX_MEMBERS = 2**31
"""Member numbers fit 31 bits."""


class Archive(NamedTuple):
    header: Row
    digest: str
    sets: dict[str, int]
    cohorts: dict[str, int]
    """Included members whose content may be used from a day on only, by that day."""

    @property
    def population(self) -> int:
        return int(self.header["population"])


def everybody(population: int) -> int:
    return (1 << population + 1) - 2


def number_of(members: int) -> int:
    return bin(members).count("1")


def few(numbers: int, limit: int = 5) -> str:
    """The first members of a set, in words."""
    found: list[str] = []
    while numbers and len(found) < limit:
        lowest = numbers & -numbers
        found.append(str(lowest.bit_length() - 1))
        numbers ^= lowest
    return ", ".join(found) + (" and more" if numbers else "")


def archive_from(data: bytes, what: str) -> Archive:
    """An archive in which everything was checked that it says of itself; raises Wrong."""
    try:
        return _archive_from(data)
    except (ValueError, KeyError, TypeError, IndexError, struct.error) as error:
        raise Wrong(f"{what} is not an undamaged archive: {error}.") from None


def _archive_from(data: bytes) -> Archive:
    if not data.startswith(MAGIC):
        raise ValueError("the first line is not training-manifest/1")
    end = data.index(b"\n", len(MAGIC))
    header = canonical(data[len(MAGIC) : end])
    if not isinstance(header, dict) or set(header) != HEADER_FIELDS:
        raise ValueError("the header does not have its fields")
    population = header["population"]
    if type(population) is not int or not 0 <= population < MAX_MEMBERS:
        raise ValueError("the population is not a number of members")
    every = [part["name"] for part in header["parts"]]
    days = [name for name in every if name.startswith(COHORT)]
    names = every[: len(every) - len(days)]
    if unknown := [name for name in names if name not in CODES]:
        raise ValueError(f"this verify.py does not know the part {unknown[0]}: get a newer one")
    if names != [code for code in CODES if code in names] or names[:1] != ["included"]:
        raise ValueError("its parts are not those of a manifest, in their order")
    sets, at = {}, end + 1
    for part in header["parts"]:
        blob = data[at : at + part["bytes"]]
        if sha256(blob).hexdigest() != part["sha256"]:
            raise ValueError(f"the part {part['name']} does not have its SHA-256")
        sets[part["name"]] = set_from(blob, population)
        if number_of(sets[part["name"]]) != part["members"]:
            raise ValueError(f"the part {part['name']} does not have its count")
        at += len(blob)
    if at != len(data):
        raise ValueError("there are bytes after the last part")
    if every[len(names) :] != sorted(days):
        raise ValueError("its cohorts are not in the order of their days, behind the other parts")
    cohorts = {day[len(COHORT) :]: sets.pop(day) for day in days}
    check_cohorts(cohorts, sets["included"])
    archive = Archive(header, sha256(data).hexdigest(), sets, cohorts)
    _check_sets(archive)
    return archive


DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
COHORT = "from:"
"""The beginning of the name of a cohort's part; the day follows."""


def check_cohorts(cohorts: dict[str, int], included: int) -> None:
    placed = 0
    for day, members in cohorts.items():
        if not DAY.fullmatch(day) or not members:
            raise ValueError("a cohort has no day, or no member")
        if members & placed or members & ~included:
            raise ValueError("a cohort is not of the included alone")
        placed |= members


def _check_sets(archive: Archive) -> None:
    out = 0
    for code, members in archive.sets.items():
        if code != "included":
            out |= members
    if archive.sets["included"] & out:
        raise ValueError(f"members are in and out: {few(archive.sets['included'] & out)}")
    if difference := (archive.sets["included"] | out) ^ everybody(archive.population):
        raise ValueError(f"members are neither in nor out, or do not exist: {few(difference)}")
    if ("not_in_parent" in archive.sets) != (archive.header["parent"] is not None):
        raise ValueError("it has a parent without the part not_in_parent, or that without a parent")
    if set(archive.header["reasons"]) != archive.sets.keys() - {"included"}:
        raise ValueError("its reasons are not those of its parts")


def set_from(part: bytes, population: int) -> int:
    """The numbers of a part, which must be in the one form that archives use."""
    cookie, extra = struct.unpack_from("<HH", part)
    if cookie == 12347:
        number = extra + 1
        flags = int.from_bytes(part[4 : 4 + (number + 7) // 8], "little")
        at = 4 + (number + 7) // 8
    else:
        cookie, number = struct.unpack_from("<II", part)
        flags, at = 0, 8
    if (
        cookie not in (12346, 12347)
        or number > 1 << 16
        or flags >> number
        or (cookie == 12347) != (flags > 0)
    ):
        raise ValueError("a part does not begin as one")
    described = list(struct.iter_unpack("<HH", _bytes_at(part, at, 4 * number)))
    at += 4 * number
    begins: Sequence[int] = ()
    if cookie == 12346 or number >= 4:
        begins = struct.unpack(f"<{number}I", _bytes_at(part, at, 4 * number))
        at += 4 * number
    blocks, next_key = [], 0
    for place, (key, less_one) in enumerate(described):
        if key < next_key or key > population >> 16:
            raise ValueError("the keys of a part do not ascend, or exceed the population")
        if begins and begins[place] != at:
            raise ValueError("a container of a part does not begin where the part says")
        bits, at = _container(part, at, less_one + 1, bool(flags >> place & 1))
        blocks.append(bytes(8192 * (key - next_key)) + bits.to_bytes(8192, "little"))
        next_key = key + 1
    if at != len(part):
        raise ValueError("a part has bytes after its last container")
    return int.from_bytes(b"".join(blocks), "little")


def _bytes_at(part: bytes, at: int, size: int) -> bytes:
    if len(part) < at + size:
        raise ValueError("a part is too short")
    return part[at : at + size]


def _container(part: bytes, at: int, size: int, is_run: bool) -> tuple[int, int]:
    """The lower 16 bits of `size` numbers as a set, and where the next container begins."""
    bits, pairs = 0, 0
    if is_run:
        (pairs,) = struct.unpack("<H", _bytes_at(part, at, 2))
        length, before = 2 + 4 * pairs, -1
        for first, more in struct.iter_unpack("<HH", _bytes_at(part, at + 2, 4 * pairs)):
            if first <= before or first + more > 0xFFFF:
                raise ValueError("runs of a part do not ascend")
            bits |= (1 << more + 1) - 1 << first
            before = first + more + 1
    elif size <= 4096:
        length = 2 * size
        values = struct.unpack(f"<{size}H", _bytes_at(part, at, length))
        if any(one >= other for one, other in zip(values, values[1:])):
            raise ValueError("numbers of a part do not ascend")
        block = bytearray(8192)
        for value in values:
            block[value >> 3] |= 1 << (value & 7)
        bits = int.from_bytes(block, "little")
    else:
        length = 8192
        bits = int.from_bytes(_bytes_at(part, at, length), "little")
    runs = number_of(bits & ~(bits << 1))
    if number_of(bits) != size or is_run != (2 + 4 * runs < min(2 * size, 8192)):
        raise ValueError("a container of a part does not have its count or its form")
    return bits, at + length


# --- The members tree -------------------------------------------------------------------------------

BLOCK = 128
"""Members of a leaf, half a byte each."""

# For each byte of a set the four bytes with a half byte of ones for each bit that is set.
_SPREAD = [
    sum(0xF << 4 * bit for bit in range(8) if byte >> bit & 1).to_bytes(4, "little")
    for byte in range(256)
]


def members_leaves(archive: Archive) -> list[bytes]:
    """The data of the leaves of a manifest's tree."""
    population = archive.population
    blocks = (population + BLOCK - 1) // BLOCK
    bits = blocks * BLOCK
    ones = int.from_bytes(b"\x11" * (bits // 2), "little")
    codes = ones * ABSENT
    # The first reason in the table's order is the one that is told: written last, it stays.
    for value in reversed(range(len(CODES))):
        members = archive.sets.get(CODES[value], 0) >> 1
        packed = members.to_bytes(bits // 8, "little")
        mask = int.from_bytes(b"".join([_SPREAD[byte] for byte in packed]), "little")
        codes = codes & ~mask | ones * value & mask
    data = codes.to_bytes(bits // 2, "little")
    head = f"training-manifest-members/1\n{archive.header['run']}\n{archive.digest}\n{population}\n"
    return [head.encode(), *(data[at : at + 64] for at in range(0, len(data), 64))]


def members_tree(archive: Archive) -> Tree:
    return Tree(b"".join([leaf_hash(leaf) for leaf in members_leaves(archive)]))


def check_members_checkpoint(
    data: bytes, archive: Archive, tree: Tree, keys: Iterable[Key], what: str
) -> None:
    found = checkpoint_from(data, keys, what)
    run = archive.header["run"]
    if any(found.origin != f"{key.name}/{run}" for key in found.signers):
        raise Wrong(f"{what} is of {found.origin}, not of {run}.")
    if found.size != tree.size or found.root != tree.root(tree.size):
        raise Wrong(f"{what} signs another tree of members than the one the archive has.")


# --- The manifests of an export ------------------------------------------------------------------------


class Export(NamedTuple):
    """An export whose ledger was read."""

    directory: Path
    ledger: Ledger
    trust: Trust

    def file(self, manifest: Frozen, kind: str) -> Path:
        return self.directory / "manifests" / f"{manifest.run}.{kind}"


class Frozen(NamedTuple):
    """A manifest according to the ledger."""

    entry: int
    run: str
    row: Row


def frozen_manifests(ledger: Ledger, report: Report) -> list[Frozen]:
    runs = {row["id"]: row.get("reference") for _, row in ledger.of(RUN)}
    found = []
    for entry, row in ledger.of(MANIFEST):
        run = runs.get(row["run_id"]) if type(row.get("run_id")) is int else None
        if not isinstance(run, str) or not re.fullmatch("[A-Za-z0-9-]{1,40}", run):
            report.wrong(f"Entry {entry} has a manifest of a run that no entry registered.")
        elif type(row.get("cut")) is not int or not 1 <= row["cut"] < entry:
            report.wrong(f"Entry {entry}: the cut of the manifest of {run} is not before it.")
        else:
            found.append(Frozen(entry, run, row))
    return found


def check_manifests(export: Export, report: Report) -> dict[str, Archive]:
    """Every archive against its row, and its members' tree against what is signed and sealed."""
    frozen = frozen_manifests(export.ledger, report)
    archives = read_archives(export, frozen, report)
    for manifest in frozen:
        if manifest.run in archives:
            _check_parent(archives[manifest.run], archives, report)
            _check_members(export, manifest, archives[manifest.run], report)
    _check_no_others(export.directory / "manifests", {manifest.run for manifest in frozen}, report)
    report.say(f"manifests: {len(archives)} of {len(frozen)} archives are those the ledger seals.")
    return archives


def read_archives(export: Export, frozen: list[Frozen], report: Report) -> dict[str, Archive]:
    """The archives that are those the ledger seals, by run."""
    archives: dict[str, Archive] = {}
    for manifest in frozen:
        try:
            archives[manifest.run] = _check_archive(export, manifest)
        except Wrong as error:
            report.wrong(str(error))
    return archives


def _check_archive(export: Export, manifest: Frozen) -> Archive:
    path = export.file(manifest, "manifest")
    what = f"manifests/{path.name}"
    if not path.is_file():
        raise Wrong(f"{what} is missing; entry {manifest.entry} froze it.")
    data = read_file(path)
    if sha256(data).hexdigest() != manifest.row.get("digest"):
        raise Wrong(f"{what} does not have the digest that entry {manifest.entry} seals.")
    archive = archive_from(data, what)
    header, row = archive.header, manifest.row
    if header["run"] != manifest.run:
        raise Wrong(f"{what} is the archive of {header['run']}.")
    for name in ("cut", "ledger_root", "population"):
        if header[name] != row.get(name):
            raise Wrong(f"{what}: its {name} is not the one that entry {manifest.entry} seals.")
    if number_of(archive.sets["included"]) != row.get("included"):
        raise Wrong(f"{what}: entry {manifest.entry} counts {row.get('included')} included.")
    if quarter(header["as_of"]) > export.ledger.quarter_of(manifest.entry):
        raise Wrong(
            f"{what} is as of {header['as_of']}, which had not come when entry {manifest.entry} froze it."
        )
    if export.ledger.tree.root(row["cut"]).hex() != row.get("ledger_root"):
        raise Wrong(f"{what}: entries 1 to {row['cut']} do not have its ledger_root.")
    return archive


def read_file(path: Path) -> bytes:
    with open_file(path) as file:
        data: bytes = file.read()
    return data


def _check_parent(archive: Archive, archives: dict[str, Archive], report: Report) -> None:
    said = archive.header["parent"]
    if said is None:
        return
    what = f"manifests/{archive.header['run']}.manifest"
    parent = archives.get(str(said.get("run"))) if isinstance(said, dict) else None
    if parent is None or parent.digest != said.get("manifest"):
        report.wrong(f"{what}: its parent is not the manifest it names.")
        return
    rest = everybody(archive.population) & ~parent.sets["included"]
    if archive.sets["not_in_parent"] != rest:
        report.wrong(f"{what}: not_in_parent is not the rest of its parent's included.")


def _check_members(export: Export, manifest: Frozen, archive: Archive, report: Report) -> None:
    tree = members_tree(archive)
    root = tree.root(tree.size).hex()
    is_sealed = False
    for entry, row in export.ledger.of(VERIFICATION):
        if row.get("manifest_id") != manifest.row["id"] or row.get("members_root") is None:
            continue
        # The signer signs a members tree when it has come past the row that seals its root.
        is_sealed = is_sealed or entry <= export.trust.covered
        if row["members_root"] != root:
            report.wrong(
                f"Entry {entry} seals another members_root for {manifest.run} than its archive has."
            )
    path = export.file(manifest, "checkpoint")
    what = f"manifests/{path.name}"
    if not path.exists():
        if is_sealed:
            report.wrong(f"{what} is missing, although its root is sealed.")
        return
    try:
        check_members_checkpoint(read_small(path), archive, tree, export.trust.trusted(), what)
    except Wrong as error:
        report.wrong(str(error))


def _check_no_others(directory: Path, runs: Iterable[str], report: Report) -> None:
    expected = {f"{run}.{kind}" for run in runs for kind in ("manifest", "checkpoint")}
    if not directory.is_dir():
        return
    for path in sorted(directory.iterdir()):
        if path.name not in expected:
            report.wrong(f"manifests/{path.name} belongs to no manifest of the ledger.")


# --- Incidents: docs/reference/incidents.md ---------------------------------------------------------

INCIDENT_MAGIC = b"training-incident/1\n"
INCIDENT_FIELDS = {"cause", "frozen_at", "manifest", "parts", "run"}


class Incident(NamedTuple):
    """An incident's archive, and the entry that found it."""

    entry: int
    row: Row
    run: str
    sets: dict[str, int]

    @property
    def name(self) -> str:
        return str(self.row["reference"])

    @property
    def members(self) -> int:
        return union(self.sets.values())


def union(sets: Iterable[int]) -> int:
    found = 0
    for members in sets:
        found |= members
    return found


def incident_from(data: bytes, what: str) -> tuple[Row, dict[str, int]]:
    """Header, and the members by reason; raises Wrong."""
    try:
        if not data.startswith(INCIDENT_MAGIC):
            raise ValueError("the first line is not training-incident/1")
        end = data.index(b"\n", len(INCIDENT_MAGIC))
        header = canonical(data[len(INCIDENT_MAGIC) : end])
        if not isinstance(header, dict) or set(header) != INCIDENT_FIELDS:
            raise ValueError("the header does not have its fields")
        names = [part["name"] for part in header["parts"]]
        if not names or names != sorted(set(names) & set(CODES[1:])):
            raise ValueError("its parts are not reasons in their order")
        sets, at = {}, end + 1
        for part in header["parts"]:
            blob = data[at : at + part["bytes"]]
            if sha256(blob).hexdigest() != part["sha256"]:
                raise ValueError(f"the part {part['name']} does not have its SHA-256")
            sets[part["name"]] = set_from(blob, MAX_MEMBERS)
            if not part["members"] or number_of(sets[part["name"]]) != part["members"]:
                raise ValueError(f"the part {part['name']} does not have its count")
            at += len(blob)
        if at != len(data):
            raise ValueError("there are bytes after the last part")
    except (ValueError, KeyError, TypeError, IndexError, struct.error) as error:
        raise Wrong(f"{what} is not an undamaged archive of an incident: {error}.") from None
    return header, sets


def found_incidents(ledger: Ledger) -> Iterator[tuple[int, Row]]:
    """The rows of incidents, as the entries that found them sealed them."""
    for entry, row in ledger.of(INCIDENT):
        if row.get("history_type") == "+":
            yield entry, row


def check_incidents(export: Export, archives: dict[str, Archive], report: Report) -> list[Incident]:
    """Every incident against its entry and its manifest."""
    frozen = {one.row["run_id"]: one for one in frozen_manifests(export.ledger, Report())}
    found: list[Incident] = []
    rows = list(found_incidents(export.ledger))
    causes: set[tuple[Any, Any]] = set()
    for entry, row in rows:
        name = str(row.get("reference"))
        what = f"incidents/{name}.incident"
        try:
            if not re.fullmatch("[A-Za-z0-9-]{1,40}", name):
                raise Wrong(f"Entry {entry} found an incident without a reference.")
            cause = (row.get("run_id"), row.get("cause"))
            if cause in causes:
                raise Wrong(f"{name} is the second incident of its run for the same entry.")
            causes.add(cause)
            path = export.directory / "incidents" / f"{name}.incident"
            if not path.is_file():
                raise Wrong(f"{what} is missing; entry {entry} found it.")
            manifest = frozen.get(row["run_id"]) if type(row.get("run_id")) is int else None
            if manifest is None or manifest.run not in archives:
                raise Wrong(f"{what}: the manifest of its run is not in the export.")
            data = read_file(path)
            if sha256(data).hexdigest() != row.get("digest"):
                raise Wrong(f"{what} does not have the digest that entry {entry} seals.")
            header, sets = incident_from(data, what)
            one = Incident(entry, row, manifest.run, sets)
            _check_incident(one, header, manifest, archives[manifest.run])
            found.append(one)
        except Wrong as error:
            report.wrong(str(error))
    _check_unchanged(export.ledger, dict(rows), report)
    directory = export.directory / "incidents"
    expected = {f"{row.get('reference')}.incident" for _, row in rows}
    for path in sorted(directory.iterdir()) if directory.is_dir() else []:
        if path.name not in expected:
            report.wrong(f"incidents/{path.name} belongs to no incident of the ledger.")
    report.say(f"incidents: {len(found)} of {len(rows)} archives are those the ledger seals.")
    return found


def _check_incident(one: Incident, header: Row, manifest: Frozen, archive: Archive) -> None:
    what, cause = f"incidents/{one.name}.incident", one.row.get("cause")
    if header["run"] != manifest.run or header["manifest"] != archive.digest:
        raise Wrong(f"{what} is of {header['run']}, and entry {one.entry} names {manifest.run}.")
    if header["cause"] != cause:
        raise Wrong(f"{what} is about entry {header['cause']}, and entry {one.entry} says {cause}.")
    if header["frozen_at"] != manifest.row.get("frozen_at"):
        raise Wrong(f"{what}: {manifest.run} was not frozen at {header['frozen_at']}.")
    if type(cause) is not int or not manifest.row["cut"] < cause < one.entry:
        raise Wrong(f"{what}: its cause is no entry between the cut and entry {one.entry}.")
    counts = {code: number_of(members) for code, members in one.sets.items()}
    if counts != one.row.get("reasons") or number_of(one.members) != one.row.get("members"):
        raise Wrong(f"{what}: entry {one.entry} counts other members.")
    if strangers := one.members & ~archive.sets["included"]:
        raise Wrong(f"{what}: members {few(strangers)} were not in {one.run}.")


def _check_unchanged(ledger: Ledger, found: dict[int, Row], report: Report) -> None:
    """Hold an incident to what it was found as: only the case moves."""
    first = {row["id"]: row for row in found.values()}
    for entry, row in ledger.of(INCIDENT):
        was = first.get(row["id"], {})
        for name in ("reference", "run_id", "cause", "digest", "members", "reasons"):
            if row.get(name) != was.get(name):
                report.wrong(f"Entry {entry} changes the {name} of an incident.")


# --- Deliveries: docs/reference/delivery-format.md --------------------------------------------------

DELIVERY_MAGIC = b"training-delivery/1\n"
DELIVERY_FIELDS = {
    "as_of", "consents", "cut", "days", "delivery", "form", "ledger_root", "manifest", "parts", "policies", "purpose", "run",
}  # fmt: skip


class Delivered(NamedTuple):
    """A delivery's archive, and the entry that made it."""

    entry: int
    row: Row
    header: Row
    delivered: int
    subtracted: int
    cohorts: dict[str, int]

    @property
    def name(self) -> str:
        return str(self.header["delivery"])


def delivery_from(data: bytes, what: str) -> tuple[Row, int, int, dict[str, int]]:
    """Header, the delivered, the subtracted, and the delivered by the oldest content that may be used; raises Wrong."""
    try:
        if not data.startswith(DELIVERY_MAGIC):
            raise ValueError("the first line is not training-delivery/1")
        end = data.index(b"\n", len(DELIVERY_MAGIC))
        header = canonical(data[len(DELIVERY_MAGIC) : end])
        if not isinstance(header, dict) or set(header) != DELIVERY_FIELDS:
            raise ValueError("the header does not have its fields")
        names = [part["name"] for part in header["parts"]]
        days = names[2:]
        if names[:2] != ["delivered", "subtracted"] or days != sorted(days):
            raise ValueError("its parts are not those of a delivery")
        if not all(name.startswith(COHORT) for name in days):
            raise ValueError("its parts are not those of a delivery")
        sets, at = [], end + 1
        for part in header["parts"]:
            blob = data[at : at + part["bytes"]]
            if sha256(blob).hexdigest() != part["sha256"]:
                raise ValueError(f"the part {part['name']} does not have its SHA-256")
            sets.append(set_from(blob, MAX_MEMBERS))
            if number_of(sets[-1]) != part["members"]:
                raise ValueError(f"the part {part['name']} does not have its count")
            at += len(blob)
        if at != len(data):
            raise ValueError("there are bytes after the last part")
        cohorts = {name[len(COHORT) :]: members for name, members in zip(days, sets[2:])}
        check_cohorts(cohorts, sets[0])
    except (ValueError, KeyError, TypeError, IndexError, struct.error) as error:
        raise Wrong(f"{what} is not an undamaged archive of a delivery: {error}.") from None
    return header, sets[0], sets[1], cohorts


def check_delivery(data: bytes, entry: int, row: Row, what: str) -> Delivered:
    """An archive against the row that the ledger seals for it; raises Wrong."""
    if sha256(data).hexdigest() != row.get("digest"):
        raise Wrong(f"{what} does not have the digest that entry {entry} seals.")
    header, delivered, subtracted, cohorts = delivery_from(data, what)
    digest = header["parts"][1]["sha256"]
    if header["delivery"] != row.get("reference"):
        raise Wrong(f"{what} is the archive of {header['delivery']}.")
    for name in ("cut", "ledger_root", "as_of", "form"):
        if header[name] != row.get(name):
            raise Wrong(f"{what}: its {name} is not the one that entry {entry} seals.")
    if type(row["cut"]) is not int or not 1 <= row["cut"] < entry:
        raise Wrong(f"{what}: its cut is not before entry {entry}.")
    counts = number_of(delivered), number_of(subtracted), digest
    if counts != (row.get("rows"), row.get("subtracted"), row.get("subtraction_digest")):
        raise Wrong(f"{what}: entry {entry} seals another subtraction.")
    files = row.get("files")
    if not isinstance(files, list) or (files and sum(one["rows"] for one in files) != counts[0]):
        raise Wrong(f"{what}: its files do not have as many rows as members were delivered.")
    return Delivered(entry, row, header, delivered, subtracted, cohorts)


def later_of(frozen: dict[str, int], derived: dict[str, int], delivered: int) -> dict[str, int]:
    """Each delivered member at the later one of two days."""
    found: dict[str, int] = {}
    placed = 0
    for day in sorted({*frozen, *derived}, reverse=True):
        members = (frozen.get(day, 0) | derived.get(day, 0)) & delivered & ~placed
        if members:
            found[day] = members
            placed |= members
    return dict(sorted(found.items()))


def made_deliveries(ledger: Ledger) -> Iterator[tuple[int, Row]]:
    """The rows of deliveries, as the entries that made them sealed them."""
    for entry, row in ledger.of(DELIVERY):
        if row.get("state") == "delivered":
            yield entry, row


def check_deliveries(
    export: Export, archives: dict[str, Archive], report: Report
) -> list[Delivered]:
    """Every delivery against its entry and its manifest: what was used is what was frozen, without who was out."""
    by_digest = {archive.digest: archive for archive in archives.values()}
    found: list[Delivered] = []
    rows = list(made_deliveries(export.ledger))
    for entry, row in rows:
        name = str(row.get("reference"))
        what = f"deliveries/{name}.delivery"
        try:
            if not re.fullmatch("[A-Za-z0-9-]{1,40}", name):
                raise Wrong(f"Entry {entry} made a delivery without a reference.")
            path = export.directory / "deliveries" / f"{name}.delivery"
            if not path.is_file():
                raise Wrong(f"{what} is missing; entry {entry} made it.")
            one = check_delivery(read_file(path), entry, row, what)
            _check_against_manifest(export, one, by_digest, what)
        except Wrong as error:
            report.wrong(str(error))
        else:
            found.append(one)
    directory = export.directory / "deliveries"
    expected = {f"{row.get('reference')}.delivery" for _, row in rows}
    for path in sorted(directory.iterdir()) if directory.is_dir() else []:
        if path.name not in expected:
            report.wrong(f"deliveries/{path.name} belongs to no delivery of the ledger.")
    report.say(
        f"deliveries: {len(found)} of {len(rows)} archives are those the ledger seals, each its manifest without"
        " the subtracted."
    )
    return found


def _check_against_manifest(
    export: Export, one: Delivered, by_digest: dict[str, Archive], what: str
) -> None:
    manifest = by_digest.get(str(one.header["manifest"]))
    sealed = [row for _, row in export.ledger.of(MANIFEST) if row["id"] == one.row["manifest_id"]]
    if manifest is None or not sealed or sealed[0].get("digest") != manifest.digest:
        raise Wrong(f"{what}: its manifest is not the one that entry {one.entry} names.")
    if manifest.header["run"] != one.header["run"]:
        raise Wrong(f"{what}: its manifest is that of {manifest.header['run']}.")
    if (
        one.delivered & one.subtracted
        or one.delivered | one.subtracted != manifest.sets["included"]
    ):
        difference = (one.delivered | one.subtracted) ^ manifest.sets["included"]
        raise Wrong(
            f"{what}: delivered and subtracted are not the included of {manifest.header['run']}:"
            f" members {few(difference or one.delivered & one.subtracted)}."
        )
    as_of = quarter(one.header["as_of"])
    if as_of > export.ledger.quarter_of(one.entry):
        raise Wrong(f"{what} is as of a moment that had not come when entry {one.entry} made it.")
    if export.ledger.tree.root(one.row["cut"]).hex() != one.row.get("ledger_root"):
        raise Wrong(f"{what}: entries 1 to {one.row['cut']} do not have its ledger_root.")
    if as_of < export.ledger.quarter_of(one.row["cut"]):
        # Rules that came into force since would not apply to members who are counted.
        raise Wrong(f"{what} is as of a moment before entry {one.row['cut']}, which it counts.")


def derive_deliveries(
    path: Path,
    deliveries: list[Delivered],
    incidents: list[Incident],
    archives: dict[str, Archive],
    report: Report,
) -> None:
    """Derive from the entries up to its cut who was out of each delivery, and compare.

    Members of the run's incidents that were found by then stay out, also where they would be in again.
    """
    waiting: dict[int, list[Delivered]] = {}
    for one in deliveries:
        waiting.setdefault(one.row["cut"], []).append(one)
    codes = [code for code in CODES if code not in ("included", "not_in_parent")]
    for done, history in enumerate(histories(path, max(waiting, default=0)), 1):
        for one in waiting.get(done, []):
            try:
                derived = history.derive(one.row["run_id"], ["included", *codes], None, one.header)
            except Wrong as error:
                report.wrong(f"{one.name}: {error}")
                continue
            except (KeyError, TypeError, ValueError) as error:
                report.wrong(f"{one.name} cannot be derived: {type(error).__name__} {error}.")
                continue
            included = archives[one.header["run"]].sets["included"]
            frozen = archives[one.header["run"]]
            late = union(
                incident.members
                for incident in incidents
                if incident.entry <= done and incident.run == one.header["run"]
            )
            if difference := one.delivered ^ included & derived.sets["included"] & ~late:
                report.wrong(
                    f"{one.name}: the archive and the entries 1 to {done} do not agree on who was out:"
                    f" members {few(difference)}."
                )
            elif one.cohorts != later_of(frozen.cohorts, derived.cohorts, one.delivered):
                report.wrong(
                    f"{one.name}: the archive and the entries 1 to {done} do not agree on from when on content may be"
                    " used."
                )
            else:
                report.say(
                    f"{one.name}: derived from the entries 1 to {done}, {number_of(one.subtracted)} of"
                    f" {number_of(included)} members were out, and {number_of(one.delivered)} were delivered."
                )


# --- Deriving: who is in, from the entries ------------------------------------------------------

STRICTNESS = {"default-on": 0, "opt-in": 1, "excluded": 2}
TEST_RULES = {"QM": "default-on", "QN": "excluded", "QO": "default-on", "QP": "opt-in"}
TEST_COVERED = ("QM", "QP")
USE_FROM = ("use-from-moved", "use-from-of-age", "use-from-yes")
FIRST_DAY = "2024-09-18"
"""Majority on this day or before it says nothing: no run is as of an earlier day."""


def day_after(moment: str) -> str:
    """The first whole day (UTC) after a moment or a day."""
    return str(date(*map(int, moment[:10].split("-"))) + timedelta(days=1))


def quarter(moment: str) -> str:
    """The quarter of an hour that a moment is in: within one no day begins anywhere."""
    return f"{_time(moment)[:14]}{int(moment[14:16]) // 15 * 15:02}"


def moved(moment: str, hours: int) -> str:
    """A moment some hours later, or earlier."""
    at = datetime.strptime(_time(moment), "%Y-%m-%dT%H:%M:%S.%fZ") + timedelta(hours=hours)
    return at.isoformat(timespec="microseconds") + "Z"


def days_of(span: str) -> list[str]:
    """The days of a span: a date, or two with a stroke between."""
    first, _, until = span.partition("/")
    found = [str(date(*map(int, first.split("-"))))]
    while found[-1] < (until or first):
        found.append(day_after(found[-1]))
    if found[-1] != (until or first) or len(found) > 3:
        raise ValueError(f"{span!r} is no span of days")
    return found


class Calendar:
    """The days that it is where at an instant, as a header seals them."""

    def __init__(self, sealed: Row, as_of: str) -> None:
        """Raises ValueError for days that it cannot be at that instant anywhere on Earth."""
        self.world = days_of(sealed["world"])
        if [self.world[0], self.world[-1]] != [moved(as_of, -12)[:10], moved(as_of, 14)[:10]]:
            raise ValueError(f"the days of the world are not those of {as_of}")
        self.places: dict[str, list[str]] = {}
        for span, countries in sealed["places"].items():
            days = days_of(span)
            if not set(days) <= set(self.world):
                raise ValueError(f"it is {span} nowhere at {as_of}")
            for country in countries:
                if country in self.places:
                    raise ValueError(f"{country} has its days twice")
                self.places[country] = days
        self.ahead = set(sealed["ahead"])

    def days_in(self, country: str) -> list[str]:
        return self.places.get(country, self.world)

    def content_from(self, day: str, country: str) -> str:
        """The first day in UTC whose whole content is from a day of the country on."""
        return day if country in self.ahead else day_after(day)


class Proposal(NamedTuple):
    """A notice or region rule, and the entry that wrote it."""

    entry: int
    row: Row


Bounds = Dict[str, Tuple[Tuple[str, str], Any]]
"""By version of a notice: between which moments a *yes* under it began to be consent, and ceased to; None for never."""


class History:
    """History according to the entries so far. Feed them in their order; `derive` answers as of the last one."""

    def __init__(self) -> None:
        self.members: dict[int, Row] = {}
        self.choices: dict[tuple[str, int], tuple[str, str, str]] = {}
        """Purpose and member: when it was decided, what, and under which notice."""
        self.recorded: dict[int, str] = {}
        """The time of each entry with a proposal or a review."""
        self.objections: dict[int, Row] = {}
        self.notices: list[Proposal] = []
        self.withdrawals: list[Row] = []
        """Ends of notices."""
        self.rules: list[Proposal] = []
        self.policies: list[Proposal] = []
        self.ages: list[Proposal] = []
        self.approved: dict[tuple[str, int], int] = {}
        """`notice_id`, `region_rule_id`, `policy_id` or `age_rule_id`, and its value: the entry that approved it."""
        self.places: dict[int, list[tuple[str, str]]] = {}
        """Members whose country changed: each country they had, and when that was recorded."""
        self.refused: set[tuple[str, int]] = set()
        """Purpose and member: who ever said no."""
        self.runs: dict[int, Row] = {}
        self.latest = ""
        """The latest `recorded_at` of the entries so far."""
        self.ahead: set[tuple[str, int]] = set()
        """Whether the choice is an *allow* that was sent with a later time than its receipt."""

    def add(self, entry: Row) -> None:
        self.latest = max(self.latest, _time(entry["recorded_at"]))
        for row in rows_of(entry, "consent.historicalmember"):
            self._add_place(self.members.get(row["id"]), row, entry["recorded_at"])
            self.members[row["id"]] = row
        if not {"consent.notice", "consent.regionrule", "consent.review"}.isdisjoint(entry["rows"]):
            self.recorded[entry["sequence"]] = entry["recorded_at"]
        for row in rows_of(entry, "consent.policy"):
            self.policies.append(Proposal(entry["sequence"], row))
        for row in rows_of(entry, "consent.agerule"):
            self.ages.append(Proposal(entry["sequence"], row))
        for row in rows_of(entry, "consent.decision"):
            self._add_decision(row, entry["recorded_at"])
        for row in rows_of(entry, "objections.historicalobjection"):
            self.objections[row["id"]] = row
        for row in rows_of(entry, "consent.notice"):
            self.notices.append(Proposal(entry["sequence"], row))
        self.withdrawals += rows_of(entry, "consent.noticewithdrawal")
        for row in rows_of(entry, "consent.regionrule"):
            self.rules.append(Proposal(entry["sequence"], row))
        for row in rows_of(entry, "consent.review"):
            self._add_review(entry["sequence"], row)
        for row in rows_of(entry, "training_runs.historicalrun"):
            self.runs[row["id"]] = row

    def _add_place(self, before: Row | None, row: Row, recorded_at: str) -> None:
        if before is not None and before["country"] != row["country"]:
            places = self.places.setdefault(row["id"], [(before["country"], "")])
            places.append((row["country"], recorded_at))

    def _add_decision(self, row: Row, received: str) -> None:
        """Times of one form compare as text. A decision counts when it was sent to have been made, but not after it
        was received."""
        sent, choice = _time(row["decided_at"]), row["choice"]
        place = (row["purpose"], row["member_id"])
        if choice == "deny":
            at = min(sent, self.latest) if sent >= "2000" else self.latest
        else:
            at = min(sent, received)
        if row.get("counts_at") != at:
            raise ValueError(
                f"a decision says that it counts at {row.get('counts_at')}, and it does at {at}"
            )
        if choice == "deny" and not row.get("evidence_only"):
            self.refused.add(place)
        if not row.get("evidence_only") and takes_over(
            (at, choice), received, self.choices.get(place), place in self.ahead
        ):
            self.choices[place] = (at, choice, row.get("notice_version") or "")
            self.ahead.discard(place)
            if choice == "allow" and sent > received:
                self.ahead.add(place)

    def _add_review(self, sequence: int, row: Row) -> None:
        if row["verdict"] != "approved":
            return
        for column in ("notice_id", "region_rule_id", "policy_id", "age_rule_id"):
            if row.get(column) is not None:
                self.approved[column, row[column]] = sequence

    # Step 1

    def rules_in_force(self, purpose: str, as_of: str) -> dict[str, list[Row]]:
        """The rows that held for each country one after the other; the last one holds on the day."""
        counting = sorted(
            (
                row["effective_from"],
                entry,
                row["id"],
                self.approved.get(("region_rule_id", row["id"]), 0),
                row,
            )
            for entry, row in self.rules
            if row["purpose"] == purpose
            and row["effective_from"] <= as_of
            and (not row["needs_approval"] or ("region_rule_id", row["id"]) in self.approved)
        )
        holding: dict[str, list[Row]] = {}
        known_since: dict[tuple[str, int], int] = {}
        """Country and strictness: when the last of its rules so far became known."""
        for _, entry, _, approval, row in counting:
            strictness = STRICTNESS[row["rule"]]
            for country in row["countries"]:
                held = STRICTNESS[holding[country][-1]["rule"]] if country in holding else 2
                stricter = [
                    known_since.get((country, more), 0) for more in range(strictness + 1, 3)
                ]
                if strictness >= held or approval > max(stricter, default=0):
                    holding.setdefault(country, []).append(row)
                place = (country, strictness)
                known_since[place] = max(known_since.get(place, 0), approval or entry)
        return holding

    def ages_in_force(self, day: str) -> dict[str, int]:
        """The age of each country that some row names, on a day."""
        counting = sorted(
            (row["effective_from"], entry, row["id"], row)
            for entry, row in self.ages
            if row["effective_from"] <= day
            and (not row["needs_approval"] or ("age_rule_id", row["id"]) in self.approved)
        )
        holding: dict[str, int] = {}
        known: dict[str, list[tuple[int, int]]] = {}
        for _, entry, number, row in counting:
            approval = self.approved.get(("age_rule_id", number), 0)
            age = row["age"]
            for country in row["countries"]:
                higher = [at for asked, at in known.get(country, []) if asked > age]
                if age >= holding.get(country, 18) or approval > max(higher, default=0):
                    holding[country] = age
                known.setdefault(country, []).append((age, approval or entry))
        return holding

    # Step 2

    def notices_in_force(self, purpose: str, as_of: str) -> list[Row]:
        counting = [
            row
            for _, row in self.notices
            if row["in_force_from"] <= as_of
            and (not row["needs_approval"] or ("notice_id", row["id"]) in self.approved)
        ]
        gone = {row.get("supersedes_id") for row in counting}
        gone |= {row["notice_id"] for row in self.withdrawals if row["withdrawn_from"] <= as_of}
        return [row for row in counting if row["id"] not in gone and purpose in row["purposes"]]

    # Step 1b: the strictest of the days that it is in a country

    def rules_at(self, purpose: str, calendar: Calendar) -> tuple[dict[str, str], set[int]]:
        """The rule of each country, and the numbers of the rows that hold on one of the days."""
        by_day = {day: self.rules_in_force(purpose, day) for day in calendar.world}
        rules: dict[str, str] = {}
        used: set[int] = set()
        for country in {country for found in by_day.values() for country in found}:
            held = [by_day[day].get(country) for day in calendar.days_in(country)]
            used |= {rows[-1]["id"] for rows in held if rows}
            said = [rows[-1]["rule"] for rows in held if rows]
            if len(said) == len(held):
                rules[country] = max(said, key=lambda rule: STRICTNESS[rule])
        return rules, used

    def ages_at(self, calendar: Calendar) -> dict[str, int]:
        """The age of each country, the highest of the days that it is there."""
        by_day = {day: self.ages_in_force(day) for day in calendar.world}
        return {
            country: max(by_day[day].get(country, 18) for day in calendar.days_in(country))
            for country in {country for found in by_day.values() for country in found}
        }

    # Step 2b: when a yes is consent

    def known_at(self, column: str, entry: int, row: Row) -> str:
        """The time from which on a row counts: that of its approval, where it needs one."""
        return self.recorded[self.approved[column, row["id"]] if row["needs_approval"] else entry]

    def asks_since(self, purpose: str, country: str, calendar: Calendar) -> tuple[str, str]:
        """Between which moments a country began to ask for consent: its day began everywhere there in between."""
        found = []
        for day in calendar.days_in(country):
            held = self.rules_in_force(purpose, day).get(country, [])
            chain: list[tuple[str, str]] = []
            for row in reversed(held):
                if row["rule"] != "opt-in":
                    break
                entry = next(entry for entry, one in self.rules if one["id"] == row["id"])
                known = self.known_at("region_rule_id", entry, row)
                chain.append(_after_both(known, row["effective_from"]))
            if chain:
                found.append((min(one for one, _ in chain), min(two for _, two in chain)))
        return max(one for one, _ in found), max(two for _, two in found)

    def consent_bounds(
        self, purpose: str, categories: list[str], country: str, calendar: Calendar
    ) -> Bounds:
        """By notice, between which moments a *yes* began and ceased to be consent."""
        earliest, latest = self.asks_since(purpose, country, calendar)
        expected: Bounds = {}
        for entry, row in self.notices:
            if row["needs_approval"] and ("notice_id", row["id"]) not in self.approved:
                continue
            if purpose not in row["purposes"] or country not in row["countries"]:
                continue
            if not set(categories) <= set(row["data_categories"]):
                continue
            one, two = _after_both(self.known_at("notice_id", entry, row), row["in_force_from"])
            later = [
                other["in_force_from"]
                for _, other in self.notices
                if other.get("supersedes_id") == row["id"]
                and (not other["needs_approval"] or ("notice_id", other["id"]) in self.approved)
            ]
            later += [
                end["withdrawn_from"] for end in self.withdrawals if end["notice_id"] == row["id"]
            ]
            ends = _around(min(later)) if later else None
            expected[row["version"]] = (max(one, earliest), max(two, latest)), ends
        return expected

    def check_consents(
        self, purpose: str, categories: list[str], rules: Row, calendar: Calendar, sealed: Row
    ) -> dict[str, list[list[Any]]]:
        """The windows that a header seals, each held against the rules and notices; raises Wrong.

        When a day began everywhere in a country is a matter of its zones, which the entries do not have: it is held to
        be within 14 hours before and 12 hours after midnight in UTC.
        """
        asking = {country for country, rule in rules.items() if rule == "opt-in"}
        if not set(sealed) <= asking:
            raise Wrong(f"The header has consents of {', '.join(sorted(set(sealed) - asking))}.")
        for country in sorted(asking):
            expected = self.consent_bounds(purpose, categories, country, calendar)
            for version, begins, ends in sealed.get(country, []):
                bounds = expected.pop(version, None)
                if bounds is None or not bounds[0][0] <= begins <= bounds[0][1]:
                    raise Wrong(
                        f"A yes of {country} under {version} does not count from {begins} on."
                    )
                is_right = (
                    ends is None
                    if bounds[1] is None
                    else bounds[1][0] <= (ends or "") <= bounds[1][1]
                )
                if not is_right:
                    raise Wrong(f"A yes of {country} under {version} does not count until {ends}.")
            for version, (begins, ends) in expected.items():
                # It is left out where it was superseded before it counted.
                if ends is None or ends[0] > begins[1]:
                    raise Wrong(f"The header has no consents of {country} under {version}.")
        return {country: sealed.get(country, []) for country in asking}

    def derive(
        self, run_id: int, codes: Sequence[str], parent: Archive | None, header: Row
    ) -> Derived:
        """The sets of a run's manifest, with a part for each of `codes`.

        Which days it was where, and when a day began there, are the header's, held against what can be.
        """
        run = self.runs[run_id]
        purpose, categories = run["purpose"], run["data_categories"]
        calendar = Calendar(header["days"], header["as_of"])
        rules, used = self.rules_at(purpose, calendar)
        by_day = {day: self.notices_in_force(purpose, day) for day in calendar.world}
        ages = self.ages_at(calendar)
        covered = covered_in(rules, by_day, categories, calendar)
        windows = self.check_consents(purpose, categories, rules, calendar, header["consents"])
        # Step 3
        rules.update(TEST_RULES)
        covered.update(TEST_COVERED)
        objected = self._objections(purpose)
        population = len(self.members)
        # A false number of 2^53 would need more memory than there is.
        if max(self.members, default=0) != population:
            raise ValueError("the member numbers are not 1, 2, 3 without gaps")
        sets = {code: bytearray((population >> 3) + 1) for code in codes}
        for number, member in self.members.items():
            country = member["country"]
            reasons = _facts_against(member, calendar.days_in(country)[0], ages.get(country, 18))
            reasons += _country_against(member["country"], rules, covered)
            decided_at, choice, shown = self.choices.get((purpose, number), ("", "", ""))
            if rules.get(member["country"]) == "opt-in" and not (
                choice == "allow"
                and any(
                    version == shown
                    and begins <= decided_at
                    and (ends is None or decided_at < ends)
                    for version, begins, ends in windows.get(member["country"], [])
                )
            ):
                reasons.append("not_opted_in")
            if choice == "deny":
                reasons.append("opted_out")
            reasons += objected.get(number, [])
            if parent is not None and not parent.sets["included"] >> number & 1:
                reasons.append("not_in_parent")
            for code in [code for code in reasons if code in sets] or ["included"]:
                sets[code][number >> 3] |= 1 << (number & 7)
        found = {code: int.from_bytes(members, "little") for code, members in sets.items()}
        policies = {
            kind: max(self.policy(kind, purpose, day) for day in calendar.world)
            for kind in USE_FROM
        }
        closed = {
            country
            for country in {member["country"] for member in self.members.values()}
            | {country for places in self.places.values() for country, _ in places}
            if country not in ("", *TEST_RULES)
            and (rules.get(country, "excluded") == "excluded" or country not in covered)
        }
        cohorts = self._cohorts(purpose, calendar, found["included"], policies, closed)
        return Derived(
            found,
            cohorts,
            {
                "policies": policies,
                "run": run["reference"],
                "purpose": purpose,
                "data_categories": categories,
                "notices": sorted({row["version"] for rows in by_day.values() for row in rows}),
                "region_rules": sorted(used),
                "population": population,
                "parent": parent and {"run": parent.header["run"], "manifest": parent.digest},
            },
        )

    # Step 5: the oldest content that may be used

    def policy(self, kind: str, purpose: str, as_of: str) -> int:
        """1 while a policy of content is on: until a row that was approved knowing every row that says 1 says 0."""
        rows = sorted(
            (row["effective_from"], entry, row["id"], row)
            for entry, row in self.policies
            if row["kind"] == kind
            and row["purpose"] in ("", purpose)
            and row["effective_from"] <= as_of
            and (not row["needs_approval"] or ("policy_id", row["id"]) in self.approved)
        )
        holds, last_on = 1, 0
        for _, entry, number, row in rows:
            known = self.approved["policy_id", number] if row["needs_approval"] else entry
            if row["value"]:
                holds, last_on = 1, max(last_on, known)
            elif not holds or (row["needs_approval"] and known > last_on):
                holds = 0
        return holds

    def data_limits(self, purpose: str, as_of: str) -> dict[str, str]:
        """The oldest content of each country: only an approval that knew every later limit lowers one."""
        counting = sorted(
            (row["effective_from"], entry, row["id"], row)
            for entry, row in self.rules
            if row["purpose"] == purpose
            and row["rule"] != "excluded"
            and row["effective_from"] <= as_of
            and (not row["needs_approval"] or ("region_rule_id", row["id"]) in self.approved)
        )
        limits: dict[str, str] = {}
        known: dict[str, list[tuple[str, int]]] = {}
        for _, entry, number, row in counting:
            approval = self.approved.get(("region_rule_id", number), 0)
            limit = row.get("data_from") or ""
            for country in row["countries"]:
                later = [at for day, at in known.get(country, []) if day > limit]
                if limit >= limits.get(country, "") or approval > max(later, default=0):
                    limits[country] = limit
                known.setdefault(country, []).append((limit, approval or entry))
        return {country: limit for country, limit in limits.items() if limit}

    def _cohorts(
        self,
        purpose: str,
        calendar: Calendar,
        included: int,
        policies: dict[str, int],
        closed: set[str],
    ) -> dict[str, int]:
        """The included by their latest day."""
        limits = {day: self.data_limits(purpose, day) for day in calendar.world}
        days: dict[str, bytearray] = {}
        size = (len(self.members) >> 3) + 1
        for number, member in self.members.items():
            if not included >> number & 1:
                continue
            country = member["country"]
            found = [
                calendar.content_from(limits[day][country], country)
                for day in calendar.days_in(country)
                if country in limits[day]
            ]
            adult_on = member.get("adult_on")
            if policies["use-from-of-age"] and adult_on and adult_on > FIRST_DAY:
                found.append(calendar.content_from(adult_on, country))
            if policies["use-from-moved"]:
                found.append(self._moved(number, closed))
            decided_at, choice, _ = self.choices.get((purpose, number), ("", "", ""))
            if policies["use-from-yes"] and choice == "allow" and (purpose, number) in self.refused:
                found.append(day_after(decided_at))
            if day := max(found, default=""):
                days.setdefault(day, bytearray(size))[number >> 3] |= 1 << (number & 7)
        return {day: int.from_bytes(days[day], "little") for day in sorted(days)}

    def _moved(self, number: int, closed: set[str]) -> str:
        """The day after a member left a country where the purpose is not allowed; empty for none."""
        places = self.places.get(number, [])
        for (before, _), (_, recorded_at) in reversed(list(zip(places, places[1:]))):
            if before in closed:
                return day_after(recorded_at)
        return ""

    def state_of(self, number: int) -> Iterator[str]:
        """A member's facts, choices and objections, a sentence each."""
        member = self.members.get(number)
        if member is None:
            yield f"there is no member {number}"
            return
        yield (
            f"member {number} has the country {member['country'] or 'unknown'}, is of age on"
            f" {member.get('adult_on') or 'an unknown day'} (for the age of {member.get('adult_at')}), and the account is {member['status']}"
        )
        for (purpose, who), (decided_at, choice, _) in sorted(self.choices.items()):
            if who == number:
                yield f"the choice on {purpose} is {choice}, decided at {decided_at}"
        for row in self.objections.values():
            if row.get("member_id") == number:
                yield f"an objection to {row['purpose']} has the effect {row['effect']}"

    def _objections(self, purpose: str) -> dict[int, list[str]]:
        codes = {"restricting": "objection_open", "upheld": "objection_upheld"}
        found: dict[int, list[str]] = {}
        for row in self.objections.values():
            if row["purpose"] == purpose and row.get("member_id") and row["effect"] in codes:
                found.setdefault(row["member_id"], []).append(codes[row["effect"]])
        return found


class Derived(NamedTuple):
    """The manifest according to history: the sets, and the fields of the header that follow from it."""

    sets: dict[str, int]
    cohorts: dict[str, int]
    header: Row


def takes_over(
    new: tuple[str, str], received: str, known: tuple[str, str, str] | None, is_ahead: bool
) -> bool:
    """Whether a decision (when it counts, what), received then, becomes the choice instead of the one before."""
    (at, choice), (known_at, before, _) = new, known or ("", "", "")
    if choice != "deny":
        return at > known_at
    # Whole seconds are the last moment of their second.
    until = at[:20] + "999999Z" if at.endswith(".000000Z") else at
    return at >= known_at or (
        before == "allow" and (until >= known_at or known_at > received or is_ahead)
    )


def _around(day: str) -> tuple[str, str]:
    """The moments between which a day of the calendar begins, wherever that is."""
    midnight = f"{day}T00:00:00.000000Z"
    return moved(midnight, -14), moved(midnight, 12)


def _after_both(known: str, day: str) -> tuple[str, str]:
    """Between which moments both have come: what was known, and a day of the calendar."""
    first, last = _around(day)
    return max(known, first), max(known, last)


def covered_in(
    rules: Iterable[str], by_day: dict[str, list[Row]], categories: list[str], calendar: Calendar
) -> set[str]:
    """The countries with a notice of the data on each of their days."""
    return {
        country
        for country in rules
        if all(_is_covered(country, by_day[day], categories) for day in calendar.days_in(country))
    }


def _is_covered(country: str, notices: list[Row], categories: list[str]) -> bool:
    here = [row["data_categories"] for row in notices if country in row["countries"]]
    return bool(here) and set(categories) <= {one for row in here for one in row}


# Step 4: the reasons, in the table's order


def _facts_against(member: Row, day: str, age: int) -> list[str]:
    reasons = []
    if member["status"] == "erased":
        reasons.append("erased")
    elif member["status"] != "open":
        reasons.append("closed")
    adult_on = member.get("adult_on")
    # A date for a lower age does not say when the member reaches this one.
    if adult_on is None or adult_on > day or member.get("adult_at", 0) < age:
        reasons.append("minor")
    return reasons


def _country_against(country: str, rules: dict[str, str], covered: Iterable[str]) -> list[str]:
    if country == "":
        return ["country_unknown"]
    if rules.get(country, "excluded") == "excluded":
        return ["region"]
    return [] if country in covered else ["no_notice"]


def derive(path: Path, frozen: list[Frozen], archives: dict[str, Archive], report: Report) -> None:
    """Derive each manifest from the entries up to its cut, and compare."""
    waiting: dict[int, list[Frozen]] = {}
    for manifest in frozen:
        if manifest.run in archives:
            waiting.setdefault(manifest.row["cut"], []).append(manifest)
    by_digest = {archive.digest: archive for archive in archives.values()}
    for done, history in enumerate(histories(path, max(waiting, default=0)), 1):
        for manifest in waiting.get(done, []):
            try:
                _check_derived(history, manifest, archives[manifest.run], by_digest)
            except (KeyError, TypeError, ValueError) as error:
                report.wrong(f"{manifest.run} cannot be derived: {type(error).__name__} {error}.")
            except Wrong as error:
                report.wrong(str(error))
            else:
                report.say(
                    f"{manifest.run}: derived from the entries 1 to {done}, the sets are those of the archive"
                    f" ({number_of(archives[manifest.run].sets['included'])} of"
                    f" {archives[manifest.run].population} members are in)."
                )


def histories(path: Path, last: int, history: History | None = None) -> Iterator[Any]:
    """The history after each of the entries 1 to `last`: one object that grows."""
    history = history or History()
    for number, line in zip(range(1, last + 1), lines_of(path)):
        try:
            entry = canonical(line)
            if not isinstance(entry, dict) or not isinstance(entry.get("rows"), dict):
                raise ValueError("it is not an entry")
            history.add(entry)
        except (KeyError, TypeError, ValueError) as error:
            raise Wrong(
                f"{path.name}, line {number}, cannot be read as an entry: {error}."
            ) from None
        yield history


def _check_derived(
    history: History, manifest: Frozen, archive: Archive, by_digest: dict[str, Archive]
) -> None:
    run, header = manifest.run, archive.header
    parent = header["parent"] and by_digest.get(header["parent"]["manifest"])
    if (history.runs[manifest.row["run_id"]].get("parent_id") is None) != (
        header["parent"] is None
    ):
        raise Wrong(f"{run}: its archive and its run do not agree on whether it has a parent.")
    if header["as_of"] != history.runs[manifest.row["run_id"]]["as_of"]:
        raise Wrong(f"{run}: the header is as of {header['as_of']}, the run of another moment.")
    derived = history.derive(manifest.row["run_id"], list(archive.sets), parent, header)
    for name, value in derived.header.items():
        if header[name] != value:
            raise Wrong(
                f"{run}: the header says {name} is {header[name]}, the entries say {value}."
            )
    if archive.cohorts != derived.cohorts:
        days = sorted(
            day
            for day in {*archive.cohorts, *derived.cohorts}
            if archive.cohorts.get(day) != derived.cohorts.get(day)
        )
        raise Wrong(
            f"{run}: the archive and the entries 1 to {manifest.row['cut']} do not agree on who may be used from"
            f" {days[0]} on."
        )
    for code, members in archive.sets.items():
        if difference := members ^ derived.sets[code]:
            raise Wrong(
                f"{run}: the archive and the entries 1 to {manifest.row['cut']} do not agree on who is in"
                f" the part {code}: members {few(difference)}."
            )


# --- Late facts: docs/reference/incidents.md ----------------------------------------------------------

RULEBOOK = (
    "consent.regionrule", "consent.notice", "consent.noticewithdrawal", "consent.agerule", "consent.review",
)  # fmt: skip
"""Tables whose rows may be about every member."""
BY_RULES = {"minor", "region", "no_notice", "not_opted_in"}
"""Reasons that a rule or a notice can be."""
FOREVER = "~"
"""Later than every moment."""

Window = Tuple[str, Tuple[str, str], Tuple[str, str]]
"""A notice, and between which moments a *yes* under it began to be consent, and ceased to."""


class Asked(NamedTuple):
    """The rules and notices of a manifest's days, as known at an entry."""

    rules: dict[str, str]
    covered: set[str]
    ages: dict[str, int]
    windows: dict[str, list[Window]]


class Said(NamedTuple):
    """A decision: when it counts and was received, and whether it is an *allow* that was sent with a later time."""

    at: str
    choice: str
    notice: str
    received: str
    is_ahead: bool


class Hindsight(History):
    """History that remembers what was recorded when: it answers about an earlier moment, as known by now."""

    def __init__(self) -> None:
        super().__init__()
        self.entry: Row = {}
        """The last one."""
        self.said: dict[tuple[str, int], list[Said]] = {}
        """Purpose and member: every decision, in the order of their receipt."""
        self.effects: dict[int, list[tuple[str, Row]]] = {}
        """By objection when each of its rows was recorded, and the row."""
        self.objected: dict[int, list[int]] = {}
        """By member, the objections that ever were theirs."""

    def add(self, entry: Row) -> None:
        super().add(entry)
        self.entry = entry
        received = entry["recorded_at"]
        for row in rows_of(entry, "consent.decision"):
            if not row.get("evidence_only"):
                choice = row["choice"]
                is_ahead = choice == "allow" and row["decided_at"] > received
                one = Said(
                    row["counts_at"], choice, row.get("notice_version") or "", received, is_ahead
                )
                self.said.setdefault((row["purpose"], row["member_id"]), []).append(one)
        for row in rows_of(entry, "objections.historicalobjection"):
            self.effects.setdefault(row["id"], []).append((received, row))
            theirs = self.objected.setdefault(row.get("member_id") or 0, [])
            if row["id"] not in theirs:
                theirs.append(row["id"])

    def ask(self, watch: Watch) -> Asked:
        purpose, categories, calendar = watch.purpose, watch.categories, watch.calendar
        rules, _ = self.rules_at(purpose, calendar)
        by_day = {day: self.notices_in_force(purpose, day) for day in calendar.world}
        covered = covered_in(rules, by_day, categories, calendar)
        windows = {
            country: watch.windows(
                country, self.consent_bounds(purpose, categories, country, calendar)
            )
            for country, rule in rules.items()
            if rule == "opt-in"
        }
        rules.update(TEST_RULES)
        covered.update(TEST_COVERED)
        return Asked(rules, covered, self.ages_at(calendar), windows)

    def kept_out(self, number: int, watch: Watch) -> tuple[set[str], set[str]]:
        """The reasons that kept a member out when a manifest was frozen: those for sure, and those perhaps."""
        member, asked = self.members[number], watch.asked
        # A move holds from its entry: the country is that of the cut.
        country: str = watch.countries.get(number, "")
        day = watch.calendar.days_in(country)[0]
        sure = {*_country_against(country, asked.rules, asked.covered)}
        # An account that was closed or erased since was open at the freeze.
        sure |= {"minor"} & {*_facts_against(member, day, asked.ages.get(country, 18))}
        chosen = self.choice_at(watch.purpose, number, watch.frozen_at)
        if chosen and chosen.choice == "deny":
            sure.add("opted_out")
        sure |= self._objected_at(watch.purpose, number, watch.frozen_at)
        perhaps = set(sure)
        if asked.rules.get(country) == "opt-in":
            windows = asked.windows.get(country, [])
            was_asked = [one for one in windows if chosen and chosen[1:3] == ("allow", one[0])]
            at = chosen.at if chosen else ""
            if not any(begins[1] <= at < ends[0] for _, begins, ends in was_asked):
                perhaps.add("not_opted_in")
            if not any(begins[0] <= at < ends[1] for _, begins, ends in was_asked):
                sure.add("not_opted_in")
        return sure, perhaps

    def choice_at(self, purpose: str, number: int, moment: str) -> Said | None:
        """The choice of a member at a moment, of the decisions received by now."""
        chosen: Said | None = None
        for one in self.said.get((purpose, number), []):
            before = chosen and chosen[:3]
            if one.at <= moment and takes_over(
                one[:2], one.received, before, bool(chosen and chosen.is_ahead)
            ):
                chosen = one
        return chosen

    def _objected_at(self, purpose: str, number: int, moment: str) -> set[str]:
        found = set()
        for key in self.objected.get(number, []):
            rows = self.effects[key]
            last = rows[-1][1]
            if last["purpose"] != purpose or last.get("member_id") != number:
                continue
            if last["restricts_since"] > moment:
                continue
            if last["effect"] == "upheld":
                found.add("objection_upheld")
            elif last["effect"] == "restricting" or moment < _lifted_at(rows):
                found.add("objection_open")
        return found


def _lifted_at(rows: list[tuple[str, Row]]) -> str:
    """Say at which moment an objection that is lifted was lifted: it held until then."""
    at = rows[-1][0]
    for recorded_at, row in reversed(rows):
        if row["effect"] != "restriction_lifted":
            break
        at = recorded_at
    return at


def numbers_in(members: int) -> Iterator[int]:
    for place, byte in enumerate(members.to_bytes((members.bit_length() + 7) // 8, "little")):
        if byte:
            yield from (8 * place + bit for bit in range(8) if byte >> bit & 1)


def in_words(members: Iterable[int]) -> str:
    found = sorted(members)
    return ", ".join(map(str, found[:5])) + (" and more" if found[5:] else "")


class Watch:
    """A manifest, and what the entries behind its cut say of who should not have been in it."""

    def __init__(self, manifest: Frozen, archive: Archive, incidents: list[Incident]) -> None:
        header = archive.header
        self.manifest = manifest
        self.purpose, self.categories = header["purpose"], header["data_categories"]
        self.calendar = Calendar(header["days"], header["as_of"])
        self.frozen_at = _time(manifest.row["frozen_at"])
        self.included = set(numbers_in(archive.sets["included"]))
        self.incidents = {one.row["cause"]: one for one in incidents if one.run == manifest.run}
        self.known: dict[str, set[int]] = {}
        """The members of incidents so far, by reason."""
        self.changed: set[int] = set()
        """Members about whom a file said something since the cut."""
        self.cancelled_at = FOREVER
        self.missing: list[tuple[int, str, set[int]]] = []
        """Entries that are the cause of no incident, when they were recorded, and of whom they would be."""
        self._sealed = header["consents"]
        self._at_cut: dict[str, Bounds] = {}
        self.asked = Asked({}, set(), {}, {})
        self.countries: dict[int, str] = {}
        """The country of each included member at the cut."""

    def begin(self, history: Hindsight) -> None:
        """The history is as it was at the cut."""
        rules, _ = history.rules_at(self.purpose, self.calendar)
        for country, rule in rules.items():
            if rule == "opt-in":
                self._at_cut[country] = history.consent_bounds(
                    self.purpose, self.categories, country, self.calendar
                )
        self.asked = history.ask(self)
        self.countries = {number: history.members[number]["country"] for number in self.included}

    def windows(self, country: str, bounds: Bounds) -> list[Window]:
        """The header's moments for what is as it was at the cut; what was changed since has bounds only."""
        exact = {version: (begins, ends) for version, begins, ends in self._sealed.get(country, [])}
        found: list[Window] = []
        for version, (begins, ends) in bounds.items():
            if self._at_cut.get(country, {}).get(version) != (begins, ends):
                found.append((version, begins, ends or (FOREVER, FOREVER)))
            elif version in exact:
                first, last = exact[version]
                found.append((version, (first, first), (last or FOREVER, last or FOREVER)))
        return found

    def look(self, history: Hindsight) -> None:
        """Hold the incident of the last entry, or that there is none, against what the entry recorded; raises Wrong."""
        entry = history.entry
        cause = entry["sequence"]
        run = history.runs[self.manifest.row["run_id"]]
        if run.get("state") == "cancelled":
            self.cancelled_at = min(self.cancelled_at, entry["recorded_at"])
        told = self._told(entry)
        late = self._late(history) & self.included
        has_rules = self._has_rules(entry)
        asked = self.asked
        if has_rules:
            self.asked = history.ask(self)
        sealed = {
            code: set(numbers_in(members))
            for code, members in (
                self.incidents[cause].sets if cause in self.incidents else {}
            ).items()
        }
        about = late.union(*sealed.values())
        if has_rules:
            about |= self.included if self.asked != asked else self.changed & self.included
        certain: dict[str, set[int]] = {}
        possible: dict[str, set[int]] = {}
        for number in about:
            sure, perhaps = history.kept_out(number, self)
            is_whole = number in late or (has_rules and number in self.changed)
            for code in sure if is_whole else sure & BY_RULES if has_rules else ():
                certain.setdefault(code, set()).add(number)
            for code in perhaps if has_rules or number in late or number in told else ():
                possible.setdefault(code, set()).add(number)
        self._compare(cause, entry["recorded_at"], sealed, certain, possible)

    def _compare(
        self,
        cause: int,
        recorded_at: str,
        sealed: dict[str, set[int]],
        certain: dict[str, set[int]],
        possible: dict[str, set[int]],
    ) -> None:
        run = self.manifest.run
        missing: set[int] = set()
        for code in sorted({*sealed, *certain}):
            known = self.known.setdefault(code, set())
            found = sealed.get(code, set())
            if wrong := found - (possible.get(code, set()) - known):
                raise Wrong(
                    f"{self.incidents[cause].name}: entry {cause} does not say that members {in_words(wrong)} of"
                    f" {run} were out for the reason {code}, or an earlier incident has them."
                )
            missing |= certain.get(code, set()) - known - found
            known |= found | certain.get(code, set())
        if missing and sealed:
            raise Wrong(
                f"{self.incidents[cause].name}: members {in_words(missing)} of {run} are not in it, whom entry {cause}"
                " says were out."
            )
        if missing:
            self.missing.append((cause, recorded_at, missing))

    def _told(self, entry: Row) -> set[int]:
        """Members about whom a file said something, which is remembered."""
        found = {
            row["id"]
            for row in rows_of(entry, "consent.historicalmember")
            if row.get("history_type") == "~"
        }
        self.changed |= found
        return found

    def _late(self, history: Hindsight) -> set[int]:
        """Members about whom the last entry says something that held before the manifest was frozen."""
        entry = history.entry
        older = {country for _, row in history.ages for country in row["countries"]}
        found: set[int] = set()
        said = [
            (row, row["counts_at"])
            for row in rows_of(entry, "consent.decision")
            if row["choice"] == "deny" and not row.get("evidence_only")
        ]
        said += [
            (row, row["restricts_since"])
            for row in rows_of(entry, "objections.historicalobjection")
            if row.get("member_id")
        ]
        found |= {
            row["member_id"]
            for row, since in said
            if row["purpose"] == self.purpose and self._is_late(entry, since)
        }
        for row in rows_of(entry, "consent.historicalmember"):
            says = (row.get("adult_on") or FOREVER) > FIRST_DAY or row["country"] in older
            if says and row.get("history_type") == "~":
                found.add(row["id"])
        return found

    def _is_late(self, entry: Row, since: str) -> bool:
        """Say whether a fact is late. What was recorded before the manifest was, at the moment from which it holds, is no late fact."""
        is_later = entry["sequence"] > self.manifest.entry
        return since <= self.frozen_at and (is_later or since < entry["recorded_at"])

    def _has_rules(self, entry: Row) -> bool:
        return any(
            name != "consent.regionrule" or row["purpose"] == self.purpose
            for name in RULEBOOK
            for row in rows_of(entry, name)
        )


def derive_incidents(
    export: Export,
    frozen: list[Frozen],
    archives: dict[str, Archive],
    incidents: list[Incident],
    report: Report,
) -> None:
    """Derive from each entry behind a manifest's cut whom it says should not have been in, and compare."""
    watches = [
        Watch(manifest, archives[manifest.run], incidents)
        for manifest in frozen
        if manifest.run in archives
    ]
    history = Hindsight()
    size = export.ledger.tree.size if watches else 0
    for done, _ in enumerate(histories(export.directory / "ledger.ndjson", size, history), 1):
        for watch in watches:
            run = watch.manifest.run
            try:
                if done == watch.manifest.row["cut"]:
                    watch.begin(history)
                elif done > watch.manifest.row["cut"]:
                    watch.look(history)
            except Wrong as error:
                report.wrong(str(error))
            except (KeyError, TypeError, ValueError) as error:
                report.wrong(
                    f"What entry {done} says of {run} cannot be derived: {type(error).__name__} {error}."
                )
    for watch in watches:
        _check_missing(watch, history.entry["recorded_at"], report)
    report.say(f"incidents: {len(incidents)} were derived from the entries that are their causes.")


def _check_missing(watch: Watch, latest: str, report: Report) -> None:
    """An hour is enough to find an incident; a run that was cancelled by then has none."""
    for cause, recorded_at, members in watch.missing:
        until = moved(recorded_at, 1)
        run = watch.manifest.run
        if watch.cancelled_at <= until:
            continue
        if latest > until:
            report.wrong(
                f"Entry {cause} says that members {in_words(members)} of {run} were out when it was frozen, and there"
                " is no incident of it."
            )
        else:
            report.note(
                f"Entry {cause} says that {len(members)} members of {run} were out when it was frozen; the incident"
                " of it is not found yet."
            )


# --- Proofs ---------------------------------------------------------------------------------------------


class Proof(NamedTuple):
    extra: bytes | None
    leaf: int
    path: list[bytes]
    note: bytes


def proof_from(data: bytes, what: str) -> Proof:
    """The parts of a C2SP tlog-proof."""
    head, _, note = text_of(data, what).partition("\n\n")
    first, *lines = head.split("\n")
    if first != "c2sp.org/tlog-proof@v1":
        raise Wrong(f"{what} is not a tlog-proof.")
    extra = None
    if lines and lines[0].startswith("extra "):
        extra = from_base64(lines.pop(0)[6:], f"The data in {what}")
    if not lines or not lines[0].startswith("index "):
        raise Wrong(f"{what} does not say which leaf it is about.")
    index = number_from(lines.pop(0)[6:], f"The index in {what}")
    if len(lines) > 63:
        raise Wrong(f"{what} has more hashes than any tree needs.")
    path = [hash_from_base64(line, f"A hash in {what}") for line in lines]
    return Proof(extra, index, path, note.encode())


def root_by_path(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """RFC 9162, section 2.1.3.2: the root that a leaf's path leads to; None if it does not fit the size."""
    if index >= size:
        return None
    place, last, root = index, size - 1, leaf
    for one in path:
        if last == 0:
            return None
        if place & 1 or place == last:
            root = node_hash(one, root)
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            root = node_hash(root, one)
        place, last = place >> 1, last >> 1
    return root if last == 0 else None


class Proved(NamedTuple):
    """That these bytes are the leaf `index` of the tree the checkpoint signs."""

    data: bytes
    leaf: int
    checkpoint: Checkpoint

    @property
    def run(self) -> str:
        """The run whose members the tree is about; empty for the ledger."""
        return self.checkpoint.origin[len(self.checkpoint.signers[0].name) + 1 :]


def check_proof(data: bytes, keys: Iterable[Key], what: str, leaf: bytes | None = None) -> Proved:
    """`leaf` is the leaf's data where the proof leaves it out."""
    proof = proof_from(data, what)
    found = checkpoint_from(proof.note, keys, f"The checkpoint in {what}")
    for key in found.signers:
        if found.origin != key.name and not re.fullmatch(
            re.escape(key.name) + "/[A-Za-z0-9-]{1,40}", found.origin
        ):
            raise Wrong(f"{what} is about {found.origin}, for which {key} does not speak.")
    said = proof.extra if proof.extra is not None else leaf
    if said is None:
        raise Wrong(f"{what} leaves the entry out: give its line of ledger.ndjson with --data.")
    if leaf is not None and leaf != said:
        raise Wrong(f"{what} is about other bytes than those given with --data.")
    if root_by_path(leaf_hash(said), proof.leaf, found.size, proof.path) != found.root:
        raise Wrong(f"{what}: its hashes do not lead to the root that was signed.")
    return Proved(said, proof.leaf, found)


def entry_of(proved: Proved, what: str) -> Row:
    """The entry a proof is about, which must be the one of its index."""
    try:
        entry = canonical(proved.data)
    except ValueError as error:
        raise Wrong(f"{what} proves something that is no entry: {error}.") from None
    if not isinstance(entry, dict) or entry.get("sequence") != proved.leaf + 1:
        raise Wrong(f"{what} proves something that is not entry {proved.leaf + 1}.")
    return entry


def block_of(proved: Proved, what: str) -> dict[int, int]:
    """Each member of the block a proof is about, and the value of the half byte."""
    if len(proved.data) != BLOCK // 2:
        raise Wrong(f"{what} proves something that is no block of members.")
    first = BLOCK * (proved.leaf - 1) + 1
    return {
        first + place: proved.data[place >> 1] >> 4 * (place & 1) & 15 for place in range(BLOCK)
    }


def above(member: int, proved: Proved, what: str) -> str:
    """That a number is above those the manifest knew, which its first leaf says."""
    about = re.fullmatch(
        rb"training-manifest-members/1\n([A-Za-z0-9-]{1,40})\n[0-9a-f]{64}\n(0|[1-9][0-9]{0,9})\n",
        proved.data,
    )
    if about is None or about[1].decode() != proved.run:
        raise Wrong(f"{what} proves something that is not the first leaf of {proved.run}.")
    if not int(about[2]) < member:
        raise Wrong(f"{what} is not about member {member}: it is about the archive.")
    return f"member {member} is not in {proved.run}: it knew the members 1 to {int(about[2])}"


def standing(member: int, value: int, run: str) -> str:
    """A half byte in words."""
    if value == ABSENT:
        return f"there was no member {member} at the cut of {run}"
    if value >= len(CODES):
        raise Wrong(f"Member {member} has the value {value} in {run}, which means nothing yet.")
    if value == 0:
        return f"member {member} is in {run}"
    return f"member {member} is out of {run}: {CODES[value]}"


# --- Commands -------------------------------------------------------------------------------------------


def check_export(
    directory: Path, keys: Sequence[Key], kept: Sequence[Path] = (), derives: bool = True
) -> Report:
    """Everything about an export."""
    report = Report()
    ledger_path = directory / "ledger.ndjson"
    try:
        ledger = read_ledger(ledger_path, report)
    except Wrong as error:
        report.wrong(str(error))
        return report
    trust = Trust(keys, ledger)
    _guarded(report, lambda: _check_signed(directory, trust, ledger, kept, report))
    _guarded(report, lambda: check_keys_file(directory / "keys.txt", trust, report))
    _guarded(report, lambda: check_reads(directory / "reads.ndjson", ledger.of(READ_BATCH), report))
    archives = check_manifests(Export(directory, ledger, trust), report)
    incidents = check_incidents(Export(directory, ledger, trust), archives, report)
    deliveries = check_deliveries(Export(directory, ledger, trust), archives, report)
    if derives and not report.count:
        frozen = frozen_manifests(ledger, report)
        _guarded(report, lambda: derive(ledger_path, frozen, archives, report))
        found = Export(directory, ledger, trust)
        _guarded(report, lambda: derive_incidents(found, frozen, archives, incidents, report))
        _guarded(
            report, lambda: derive_deliveries(ledger_path, deliveries, incidents, archives, report)
        )
    return report


def _guarded(report: Report, check: Any) -> None:
    """A file that breaks off is one problem among others."""
    try:
        check()
    except Wrong as error:
        report.wrong(str(error))


def _check_signed(
    directory: Path, trust: Trust, ledger: Ledger, kept: Sequence[Path], report: Report
) -> None:
    largest = check_listed(directory / "checkpoints.ndjson", trust, ledger.tree, report)
    if largest < ledger.tree.size:
        report.note(f"Entries {largest + 1} to {ledger.tree.size} are under no checkpoint yet.")
    check_kept(kept, trust, ledger.tree, report)


def do_export(options: argparse.Namespace) -> Report:
    if options.trust_export_keys:
        found = [
            key_from(text_of(line, "keys.txt")) for line in lines_of(options.directory / "keys.txt")
        ]
        report = check_export(options.directory, found, options.kept, not options.no_derive)
        report.note(
            "The keys were taken from the export itself: a forger of the export would have forged its keys too."
            " Nothing above proves who signed."
        )
        return report
    keys = keys_of(options)
    return check_export(options.directory, keys, options.kept, not options.no_derive)


def do_checkpoints(options: argparse.Namespace) -> Report:
    report = Report()
    check_listed(options.file, Trust(keys_of(options)), None, report)
    report.note(
        "That each continues the one before is proved by the entries (verify.py export) or by a consistency"
        " proof (verify.py consistency)."
    )
    return report


def do_consistency(options: argparse.Namespace) -> Report:
    report, keys = Report(), keys_of(options)
    what = str(options.proof)
    old = ledger_checkpoint_from(note_given(read_small(options.old)), keys, str(options.old))
    old_size, path, note = consistency_from(read_small(options.proof), what)
    new = ledger_checkpoint_from(note, keys, f"The checkpoint in {what}")
    if old_size != old.size:
        raise Wrong(
            f"{what} is about an old tree of {old_size} entries, {options.old} has {old.size}."
        )
    if old.origin != new.origin:
        raise Wrong(f"{what} is about {new.origin}, {options.old} about {old.origin}.")
    check_consistency((old.size, old.root), (new.size, new.root), path)
    report.say(
        f"The checkpoint over {new.size} entries continues the one over {old.size}: nothing below was"
        " changed, removed or put in."
    )
    return report


def do_manifest(options: argparse.Namespace) -> Report:
    report, what = Report(), str(options.archive)
    archive = archive_from(read_file(options.archive), what)
    tree = members_tree(archive)
    report.say(
        f"{what} is an undamaged archive of {archive.header['run']}, with {number_of(archive.sets['included'])} of"
        f" {archive.population} members in. Its digest is {archive.digest}."
    )
    report.say(
        f"The root of its members tree ({tree.size} leaves) is {tree.root(tree.size).hex()}."
    )
    if options.checkpoint is None:
        report.note("Compare the digest with the one the ledger seals, or give its --checkpoint.")
        return report
    data = note_given(read_small(options.checkpoint))
    check_members_checkpoint(data, archive, tree, keys_of(options), str(options.checkpoint))
    report.say(f"{options.checkpoint} signs exactly this archive.")
    return report


def do_delivery(options: argparse.Namespace) -> Report:
    """An archive and its files, as a receiver has them: nothing is used before this says yes."""
    report, what = Report(), str(options.archive)
    leaf = _leaf_in(options.data) if options.data else None
    proved = check_proof(read_small(options.proof), keys_of(options), str(options.proof), leaf)
    if proved.run:
        raise Wrong(f"{options.proof} is about members of {proved.run}, not about an entry.")
    entry = entry_of(proved, str(options.proof))
    made = [row for row in rows_of(entry, DELIVERY) if row.get("state") == "delivered"]
    if entry.get("kind") != "delivery.made" or len(made) != 1:
        raise Wrong(f"{options.proof} proves an entry that made no delivery.")
    row = made[0]
    one = check_delivery(read_file(options.archive), entry["sequence"], row, what)
    report.say(
        f"{what} is the archive of {one.name} that entry {one.entry} seals: {number_of(one.delivered)} members of"
        f" {one.header['run']} delivered, {number_of(one.subtracted)} subtracted, to be used until"
        f" {row.get('leased_until')}."
    )
    _check_files(options.files, row, report)
    if options.manifest is None:
        report.note("Whether it is the run's manifest without the subtracted says --manifest.")
        return report
    archive = archive_from(read_file(options.manifest), str(options.manifest))
    if archive.digest != one.header["manifest"] or archive.header["run"] != one.header["run"]:
        raise Wrong(f"{options.manifest} is not the manifest that {one.name} was made of.")
    if one.delivered | one.subtracted != archive.sets["included"]:
        raise Wrong(f"{what}: delivered and subtracted are not the included of the manifest.")
    report.say(f"{options.manifest}: its included are the delivered and the subtracted together.")
    return report


def _check_files(paths: Sequence[Path], row: Row, report: Report) -> None:
    """Each file is one that the entry seals, and none is missing; raises Wrong."""
    sealed = {one["sha256"]: one for one in row["files"]}
    for path in paths:
        with open_file(path) as file:
            digest = sha256()
            for block in iter(lambda: file.read(1 << 20), b""):
                digest.update(block)
        one = sealed.pop(digest.hexdigest(), None)
        if one is None:
            raise Wrong(
                f"{path} is no file of {row['reference']}: it was changed, or is another's."
            )
        report.say(f"{path} is {one['name']} with {one['rows']} rows, as it was delivered.")
    if paths and sealed:
        names = ", ".join(one["name"] for one in sealed.values())
        raise Wrong(f"Files of {row['reference']} are missing: {names}.")
    if not paths and sealed:
        report.note("Give its files of accounts, too: nothing was said about them.")


def _leaf_in(path: Path) -> bytes:
    """The content of an entry's leaf, given the entry's line of an export in a file."""
    line = read_file(path).rstrip(b"\n")
    try:
        entry = canonical(line)
        rows = entry.get("rows") if isinstance(entry, dict) else None
        if not isinstance(rows, dict) or not all(map(_is_table, rows.values())):
            raise ValueError("it has no rows")
        return leaf_data(line, entry)
    except ValueError as error:
        raise Wrong(f"{path} is no line of ledger.ndjson: {error}.") from None


def do_proof(options: argparse.Namespace) -> Report:
    report, what = Report(), str(options.proof)
    leaf = _leaf_in(options.data) if options.data else None
    proved = check_proof(read_small(options.proof), keys_of(options), what, leaf)
    checkpoint = proved.checkpoint
    signed = f"{checkpoint.origin}, size {checkpoint.size}, signed by {checkpoint.signers[0]}"
    if not proved.run:
        entry = entry_of(proved, what)
        report.say(
            f"Proved: entry {entry['sequence']} ({entry.get('kind')}) is in the ledger {signed}."
        )
        if options.entry:
            report.say(json.dumps(entry, ensure_ascii=False, indent=2))
        if options.member is not None:
            raise Wrong(f"{what} is about an entry of the ledger, not about members of a manifest.")
        return report
    if options.entry:
        raise Wrong(f"{what} is about members of {proved.run}, not about an entry.")
    if proved.leaf == 0:
        report.say(
            f"Proved ({signed}): the tree begins with {proved.data.decode('utf-8', 'replace')!r}."
        )
        if options.member is not None:
            report.say(f"Proved: {above(options.member, proved, what)}.")
        return report
    block = block_of(proved, what)
    if options.member is None:
        report.say(
            f"Proved: the standing of members {min(block)} to {max(block)} in {proved.run} ({signed})."
        )
        report.note("Ask for one of them with --member.")
    elif options.member not in block:
        raise Wrong(
            f"{what} is about members {min(block)} to {max(block)}, not about {options.member}."
        )
    else:
        said = standing(options.member, block[options.member], proved.run)
        report.say(f"Proved: {said} ({signed}).")
    return report


def do_derive(options: argparse.Namespace) -> Report:
    report = Report()
    path = options.directory / "ledger.ndjson"
    if options.member is not None:
        _say_state(path, options, report)
        return report
    ledger = read_ledger(path, report)
    frozen = frozen_manifests(ledger, report)
    asked = [
        manifest
        for manifest in frozen
        if options.run in (None, manifest.run) and options.cut in (None, manifest.row["cut"])
    ]
    if not asked:
        raise Unreadable("The export has no such manifest.")
    # Of all of them: one that is asked for may have any other as its parent.
    archives = read_archives(Export(options.directory, ledger, Trust([])), frozen, report)
    derive(path, asked, archives, report)
    report.note(
        "This held the export against itself. Whether it is the signed one says: verify.py export."
    )
    return report


def _say_state(path: Path, options: argparse.Namespace, report: Report) -> None:
    last = options.cut if options.cut is not None else sys.maxsize - 1
    history, number = History(), 0
    for number, history in enumerate(histories(path, last), 1):  # noqa: B007  the last one counts
        pass
    if options.cut is not None and number < options.cut:
        raise Unreadable(f"The export has {number} entries, not {options.cut}.")
    try:
        for sentence in history.state_of(options.member):
            report.say(f"At entry {number}: {sentence}.")
    except (KeyError, TypeError) as error:
        raise Wrong(f"What the entries say of the member cannot be read: {error}.") from None


def keys_of(options: argparse.Namespace) -> list[Key]:
    if not options.key:
        raise Unreadable(NO_KEY)
    return [key_from(text) for text in options.key]


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(description="Check what the portal claims, without trusting it.")
    commands = top.add_subparsers(dest="command", required=True)

    def command(name: str, function: Any, text: str, is_signed: bool = True) -> Any:
        one = commands.add_parser(name, help=text, description=text)
        one.set_defaults(function=function)
        if is_signed:
            one.add_argument(
                "--key", action="append", metavar="VKEY", help="a verifier key you trust"
            )
        return one

    one = command("export", do_export, "Check an export: entries, checkpoints, reads, manifests.")
    one.add_argument("directory", type=Path)
    one.add_argument("--kept", action="append", type=Path, default=[], metavar="FILE",
                     help="a checkpoint that you, not the portal, kept")  # fmt: skip
    one.add_argument("--no-derive", action="store_true", help="do not derive the manifests anew")
    one.add_argument("--trust-export-keys", action="store_true",
                     help="take the keys from the export: proves nothing about who made it")  # fmt: skip
    one = command("checkpoints", do_checkpoints, "Check the signatures of a list of checkpoints.")
    one.add_argument("file", type=Path)
    one = command("consistency", do_consistency, "Check that one checkpoint continues another.")
    one.add_argument("proof", type=Path)
    one.add_argument("--old", type=Path, required=True, metavar="FILE", help="the older checkpoint")
    one = command(
        "manifest", do_manifest, "Check an archive by itself, and against its checkpoint."
    )
    one.add_argument("archive", type=Path)
    one.add_argument("--checkpoint", type=Path, metavar="FILE")
    one = command(
        "delivery",
        do_delivery,
        "Check a delivery's archive and files against the entry that made it.",
    )
    one.add_argument("archive", type=Path)
    one.add_argument("files", type=Path, nargs="*", metavar="FILES",
                     help="its files of accounts, all of them")  # fmt: skip
    one.add_argument("--proof", type=Path, required=True, metavar="FILE",
                     help="the proof of the entry that made it")  # fmt: skip
    one.add_argument("--data", type=Path, metavar="FILE",
                     help="the entry's line of ledger.ndjson, where the proof leaves it out")  # fmt: skip
    one.add_argument("--manifest", type=Path, metavar="FILE", help="the archive of its manifest")
    one = command("proof", do_proof, "Say what a proof proves.")
    one.add_argument("proof", type=Path)
    one.add_argument("--member", type=int, metavar="N", help="say what it proves about member N")
    one.add_argument("--entry", action="store_true", help="print the entry it proves")
    one.add_argument(
        "--data",
        type=Path,
        metavar="FILE",
        help="the entry's line of ledger.ndjson, with all its rows",
    )
    one = command(
        "derive", do_derive, "Derive manifests, or a member's state, from the entries.", False
    )
    one.add_argument("directory", type=Path)
    one.add_argument("--run", metavar="TR-…")
    one.add_argument("--cut", type=int, metavar="N", help="as of entry N")
    one.add_argument("--member", type=int, metavar="M", help="print the state of member M")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show a character is no reason to stop.
            stream.reconfigure(errors="backslashreplace")
    options = parser().parse_args(arguments)
    report = Report()
    try:
        report = options.function(options)
    except Wrong as error:
        report.wrong(str(error))
    except Unreadable as error:
        print(error, file=sys.stderr)
        return 2
    for sentence in report.checked:
        print(sentence)
    for sentence in report.notes:
        print(f"NOTE: {sentence}")
    for sentence in report.problems:
        print(f"WRONG: {sentence}")
    if report.count:
        print(f"{report.count} problems." if report.count > 1 else "1 problem.")
        return 1
    print("Nothing is wrong.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
