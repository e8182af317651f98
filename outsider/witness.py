#!/usr/bin/env python3
"""Keep the portal's last checkpoint, and demand that each next one continues it.

One file, nothing but Python 3.8 or newer, written from docs/reference/proof-format.md. Run it every hour on a machine that
the portal's operators do not control: they cannot take back the checkpoints that it keeps. outsider/README.md says how.

It ends with 0 if all is well, with 1 if something is wrong, and with 2 if there was nothing it could check.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import email
import html
import http.client
import io
import ipaddress
import os
import re
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from functools import lru_cache
from hashlib import sha256, sha512
from pathlib import Path
from typing import Any, Iterable, Iterator, NamedTuple, Sequence, Tuple

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

# --- What is kept: DIRECTORY/checkpoint, each one accepted, and the evidence of conflicts ------------------


def write_durably(path: Path, data: bytes) -> None:
    """After this the file is there as a whole, also if the machine stops now."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise
    if os.name == "posix":
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """One witness at a time: two could put a smaller checkpoint over a larger one."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / ".lock").open("wb") as file:
        try:
            import fcntl  # noqa: PLC0415  not on Windows
        except ImportError:  # Windows: see to it that only one runs
            yield
            return
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class Conflict(Wrong):
    """Two signed checkpoints that cannot both be true, or a new one that was not proved to continue."""


class State:
    """The witness's directory."""

    def __init__(self, directory: Path, keys: Sequence[Key]) -> None:
        self.directory = directory
        self.keys = keys
        self.path = directory / "checkpoint"

    def last(self) -> tuple[bytes, Checkpoint] | None:
        """The note kept last, checked again, and what it says; None at the very first time."""
        if not self.path.exists():
            # Losing the last one must not look like a beginning.
            if any((self.directory / "accepted").glob("*")):
                raise Unreadable(
                    f"{self.path} is gone, and others are there: copy the largest back."
                )
            return None
        note = read_small(self.path)
        return note, ledger_checkpoint_from(note, self.keys, str(self.path))

    def accept(self, note: bytes, checkpoint: Checkpoint) -> None:
        write_durably(self.directory / "accepted" / f"{checkpoint.size}.checkpoint", note)
        write_durably(self.path, note)

    def keep_evidence(self, kept: bytes, offered: bytes, proof: bytes) -> Path:
        """Both notes, under a name that no later conflict takes."""
        name = sha256(kept + offered + proof).hexdigest()[:16]
        directory = self.directory / "conflicts" / name
        write_durably(directory / "kept.checkpoint", kept)
        write_durably(directory / "offered.checkpoint", offered)
        if proof:
            write_durably(directory / "offered.consistency", proof)
        return directory


# --- Where checkpoints come from -----------------------------------------------------------------------


class Files:
    """A checkpoint and a proof from files."""

    def __init__(self, checkpoint: Path, proof: Path | None) -> None:
        self.path = checkpoint
        self.proof = proof

    def checkpoint(self) -> bytes:
        return note_given(read_small(self.path))

    def consistency(self, old: int, new: int) -> bytes:
        if self.proof is None:
            raise Unreadable(
                f"The one kept has {old} entries, this one {new}: give the proof with --consistency."
            )
        return read_small(self.proof)


class Refused(Unreadable):
    """The portal says that there is no such thing, or that it will not give it."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Refuse redirects: the token is for the portal only."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


class Portal:
    """The portal's own addresses."""

    def __init__(self, url: str, token: str) -> None:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme != "https" and not (
            parts.scheme == "http" and _is_loopback(parts.hostname)
        ):
            raise Unreadable(f"{url} is not https: the token could be read on the way.")
        if not token or not token.isprintable() or not token.isascii():
            raise Unreadable("The token file has no token, or more than one line.")
        self.url = url.rstrip("/")
        self.token = token
        self.opener = urllib.request.build_opener(_NoRedirect)

    def checkpoint(self) -> bytes:
        return self._get("/api/v1/audit/checkpoint")

    def consistency(self, old: int, new: int) -> bytes:
        try:
            return self._get(f"/api/v1/audit/consistency?old={old}&new={new}")
        except Refused as error:
            # An honest ledger has a proof for every size that it ever signed.
            raise Wrong(
                f"The portal gives no proof that {new} entries continue the {old} kept: {error}"
            ) from None

    def _get(self, address: str) -> bytes:
        headers = {"Authorization": f"Bearer {self.token}", "Accept": "text/plain"}
        try:
            request = urllib.request.Request(self.url + address, headers=headers)  # noqa: S310  asked above
            with self.opener.open(request, timeout=60) as answer:
                data: bytes = answer.read(MAX_SMALL_BYTES + 1)
        except urllib.error.HTTPError as error:
            kind = Refused if error.code in (404, 409) else Unreadable
            raise kind(f"{self.url}{address} answers {error.code}.") from None
        # HTTPException and what a broken address raises are no OSErrors.
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise Unreadable(f"{self.url}{address} cannot be reached: {error}.") from None
        if len(data) > MAX_SMALL_BYTES:
            raise Unreadable(f"{self.url}{address} answers more than {MAX_SMALL_BYTES} bytes.")
        return data


def _is_loopback(host: str | None) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


# --- The witness ---------------------------------------------------------------------------------------


def witness(state: State, source: Files | Portal) -> str:
    """Accept the source's checkpoint if it continues the one kept; what was done, in a sentence."""
    kept = state.last()
    note = source.checkpoint()
    offered = ledger_checkpoint_from(note, state.keys, "The checkpoint offered")
    if kept is None:
        state.accept(note, offered)
        return (
            f"The first checkpoint is kept: {offered.size} entries of {offered.origin}. Nothing was compared"
            " yet; each next one must continue it."
        )
    kept_note, last = kept
    proof = b""
    try:
        _check_it_can_follow(last, offered)
        if offered.size == last.size:
            return f"Nothing new: still {last.size} entries, the same root."
        proof = source.consistency(last.size, offered.size)
        _check_proof(proof, last, offered, state.keys)
    except Wrong as error:
        evidence = state.keep_evidence(kept_note, note, proof)
        raise Conflict(
            f"{error} Both checkpoints are kept in {evidence}; nothing was replaced."
        ) from None
    state.accept(note, offered)
    return (
        f"{offered.size} entries continue the {last.size} kept before; the new checkpoint is kept."
    )


def _check_it_can_follow(last: Checkpoint, offered: Checkpoint) -> None:
    if offered.origin != last.origin:
        raise Wrong(f"The checkpoint is of {offered.origin}, the one kept of {last.origin}.")
    if offered.size < last.size:
        raise Wrong(
            f"The checkpoint has {offered.size} entries, and {last.size} were signed before: the ledger was"
            " rolled back, or this is an old one."
        )
    if offered.size == last.size and offered.root != last.root:
        raise Wrong(
            f"Two checkpoints over {last.size} entries have two roots: the ledger was rewritten."
        )


def _check_proof(proof: bytes, last: Checkpoint, offered: Checkpoint, keys: Sequence[Key]) -> None:
    old_size, path, note = consistency_from(proof, "The consistency proof")
    new = ledger_checkpoint_from(note, keys, "The checkpoint in the consistency proof")
    if old_size != last.size or (new.origin, new.size, new.root) != offered[:3]:
        raise Wrong(
            "The consistency proof is about other checkpoints than the one kept and the one offered."
        )
    check_consistency((last.size, last.root), (offered.size, offered.root), path)


def source_of(options: argparse.Namespace) -> Files | Portal:
    if options.checkpoint is not None:
        return Files(options.checkpoint, options.consistency)
    if options.token_file is None:
        raise Unreadable("--url needs --token-file, a file with an auditor's token.")
    token = read_small(options.token_file).decode("utf-8", "replace").strip()
    return Portal(options.url, token)


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        description="Keep the portal's last checkpoint, and demand that each next one continues it."
    )
    top.add_argument("state", type=Path, metavar="STATE_DIR", help="where checkpoints are kept")
    top.add_argument("--key", action="append", metavar="VKEY", help="a verifier key you trust")
    source = top.add_mutually_exclusive_group(required=True)
    source.add_argument("--checkpoint", type=Path, metavar="FILE")
    source.add_argument("--url", help="the portal, https://…")
    top.add_argument(
        "--consistency", type=Path, metavar="FILE", help="the proof, with --checkpoint"
    )
    top.add_argument(
        "--token-file", type=Path, metavar="FILE", help="an auditor's token, with --url"
    )
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show a character is no reason to stop.
            stream.reconfigure(errors="backslashreplace")
    options = parser().parse_args(arguments)
    try:
        if not options.key:
            raise Unreadable(NO_KEY)
        state = State(options.state, [key_from(text) for text in options.key])
        source = source_of(options)
        with locked(options.state):
            print(witness(state, source))
    except Wrong as error:
        print(f"WRONG: {error}")
        return 1
    except Unreadable as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"{options.state} cannot be written: {error.strerror}.", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
