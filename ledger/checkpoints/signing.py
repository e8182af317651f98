"""Checkpoints: the ledger's size and root, signed for people outside (docs/reference/proof-format.md).

The signer trusts no stored value: it reads every row written since the last checkpoint anew, computes leaves and
root, and signs only what continues the checkpoint before. Which one that was it remembers outside the database, and it
believes no key but those of its key file: an attacker who owns the database can neither have another history signed nor
appoint a key of their own. One machine signs: key and memory are stored in its file system.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import structlog
from django.conf import settings
from django.db import transaction

from ledger import clock, entries, open_entry, registry
from ledger.checkpoints.notes import Signer, TreeHead, Verifier, open_note, sign
from ledger.errors import BadNote, LedgerRewritten, NoSigningKey, ProofNotPossible
from ledger.files import locked, write_whole
from ledger.merkle.proofs import (
    consistency,
    consistency_text,
    inclusion,
    inclusion_text,
    is_consistent,
    root_of_inclusion,
    split,
    subtree,
)
from ledger.merkle.tree import Frontier, leaf_hash, node_hash
from ledger.models import Checkpoint, CheckpointDelivery, Entry, LedgerTile
from ledger.reads import batches
from ledger.verification.leaves import recomputed, recomputed_in_pieces

logger = structlog.get_logger(__name__)

KEY_ADDED, KEY_RETIRED = "checkpoint.key_added", "checkpoint.key_retired"


# --- Keys ---------------------------------------------------------------------------------------


def signers() -> list[Signer]:
    """The keys in the key file, the oldest first. Raises NoSigningKey.

    In development a missing key is made, loudly; in production a person makes it (`manage.py checkpoint_key`).
    """
    path = Path(settings.CHECKPOINT_KEY_FILE)
    if not path.exists():
        if not settings.DEVELOPMENT:
            raise NoSigningKey(
                f"There is no key in {path}: make one with `manage.py checkpoint_key add --by …`."
            )
        verifier = add_key(actor="system:development", unless_there_is_one=True)
        logger.warning("a checkpoint key was made for this trial", verifier_key=verifier.text)
    found = _held(path)
    if not found:
        raise NoSigningKey(f"{path} holds no key.")
    return found


def _held(path: Path) -> list[Signer]:
    text = path.read_text() if path.exists() else ""
    return [Signer.parse(line) for line in text.splitlines() if line.strip()]


def add_key(*, actor: open_entry.Actor, unless_there_is_one: bool = False) -> Verifier:
    """Make a key and add it to the key file: from now on it signs beside those that are there.

    The entry that makes it known is covered by a checkpoint of the keys before it.
    """
    path = Path(settings.CHECKPOINT_KEY_FILE)
    signer = Signer.new(settings.LEDGER_NAME)
    with entries.entry(
        KEY_ADDED, actor=actor, subject=_short(signer.verifier), reason=signer.verifier.text
    ) as opened:
        held = _held(path)
        if held and unless_there_is_one:
            # Another process was faster; the ledger's lock told who.
            opened.abandon()
            return held[0].verifier
        _write_keys(path, [*held, signer])
    return signer.verifier


def _write_keys(path: Path, held: Iterable[Signer]) -> None:
    write_whole(path, "".join(f"{signer.text}\n" for signer in held).encode(), mode=0o600)


def retire_key(key_id: str, *, actor: open_entry.Actor, reason: str) -> None:
    """Take a key out of the key file: checkpoints from now on are signed by the others. Raises NoSigningKey."""
    held = signers()
    rest = [signer for signer in held if signer.verifier.key_id.hex() != key_id]
    if len(rest) == len(held):
        raise NoSigningKey(f"The key file holds no key {key_id}.")
    if not rest:
        raise NoSigningKey("It is the only key: add the one that follows it first.")
    retired = next(signer.verifier for signer in held if signer not in rest)
    _check_last_is_by(rest)
    said = f"{retired.text} {reason}"
    with entries.entry(KEY_RETIRED, actor=actor, subject=_short(retired), reason=said):
        _write_keys(Path(settings.CHECKPOINT_KEY_FILE), rest)


def _check_last_is_by(rest: Iterable[Signer]) -> None:
    """A key goes only when one that stays has signed beside it: otherwise no key could continue from what it signed."""
    path = _memory()
    try:
        if path.exists():
            open_note(path.read_text(), [signer.verifier for signer in rest])
    except BadNote as error:
        raise NoSigningKey(
            "No key that stays has signed a checkpoint yet: run `manage.py sign_checkpoint` first."
        ) from error


def verifiers(upto: int | None = None) -> list[Verifier]:
    """Every key that was ever made known in the ledger (up to an entry), the oldest first; retired ones too."""
    added = Entry.objects.filter(kind=KEY_ADDED).order_by("sequence")
    if upto is not None:
        added = added.filter(sequence__lte=upto)
    return [Verifier.parse(text) for text in added.values_list("reason", flat=True)]


def retired() -> set[str]:
    """The verifier keys that sign no more."""
    rows = Entry.objects.filter(kind=KEY_RETIRED).values_list("reason", flat=True)
    return {reason.split(" ")[0] for reason in rows}


def _short(verifier: Verifier) -> str:
    return f"key:{verifier.key_id.hex()}"


# --- Signing ------------------------------------------------------------------------------------


def sign_now() -> Checkpoint:
    """Seal the reads, sign what the ledger has grown by, hand it out; returns the newest checkpoint.

    One at a time. Raises LedgerRewritten when rows, head or an earlier checkpoint are not what they were: nothing is
    signed then.
    """
    with locked(Path(f"{settings.CHECKPOINT_KEY_FILE}.lock")):
        keys = signers()
        batches.seal()
        checkpoint = _sign_ledger(keys)
        _remember(checkpoint)
        _put_out(checkpoint)
        for sign_more in registry.trees:
            sign_more(keys, checkpoint)
    return checkpoint


def _sign_ledger(keys: Sequence[Signer]) -> Checkpoint:
    # Below the head nothing changes: no transaction waits while the leaves are recomputed.
    with entries.snapshot() as head:
        pass
    remembered = _remembered(keys)
    last = Checkpoint.objects.first()
    frontier = _continued(last, keys)
    if last is not None and last.size == head.size:
        return last
    leaves = _new_leaves(frontier.size, head.size, keys)
    first_open = frontier.size // LedgerTile.SIZE * LedgerTile.SIZE
    tiles = _tiles(first_open, [*_stored_leaves(first_open, frontier.size), *leaves])
    for leaf in leaves:
        frontier.append(leaf)
    if frontier.root().hex() != head.root:
        raise LedgerRewritten("The head has another root than its entries.")
    if remembered is not None:
        hash_over = _hash_over(head.size, tiles)
        path = consistency(remembered.size, head.size, hash_over)
        if not is_consistent(remembered.size, remembered.root, head.size, frontier.root(), path):
            raise LedgerRewritten(
                f"The ledger does not continue the checkpoint of size {remembered.size} that was signed before."
            )
    note = sign(TreeHead(settings.LEDGER_NAME, head.size, frontier.root()).text, keys)
    checkpoint = Checkpoint(
        size=head.size,
        root=head.root,
        frontier=frontier.to_text(),
        note=note,
        signed_at=clock.now(),
    )
    with transaction.atomic():
        checkpoint.save()
        LedgerTile.objects.bulk_create(tiles)
    logger.info("checkpoint signed", size=head.size)
    return checkpoint


def _new_leaves(after: int, upto: int, keys: Sequence[Signer]) -> list[bytes]:
    """The leaves of the new entries, recomputed. Raises LedgerRewritten."""
    leaves, appointed = [], set[str]()
    for one in recomputed_in_pieces(after, upto):
        if not one.is_as_sealed:
            raise LedgerRewritten(
                f"Entry {one.entry.sequence} or a row it wrote is not what was sealed."
            )
        if one.entry.kind == KEY_ADDED:
            appointed.add(one.entry.reason)
        elif one.entry.kind == KEY_RETIRED:
            appointed.discard(one.entry.reason.split(" ")[0])
        leaves.append(one.leaf)
    if strange := appointed - {signer.verifier.text for signer in keys}:
        raise LedgerRewritten(
            f"An entry makes a key known that is not in the key file: {sorted(strange)[0]}."
        )
    return leaves


def _continued(last: Checkpoint | None, keys: Iterable[Signer]) -> Frontier:
    """The position at which the last checkpoint ended, if a key of the file signed it and its frontier has its root."""
    if last is None:
        return Frontier()
    try:
        frontier = Frontier.from_text(last.size, last.frontier)
        signed = TreeHead.parse(open_note(last.note, [signer.verifier for signer in keys]))
    except (BadNote, ValueError) as error:
        raise LedgerRewritten(f"The last checkpoint is not one of ours: {error}") from error
    if (signed.size, signed.root, signed.root.hex()) != (last.size, frontier.root(), last.root):
        raise LedgerRewritten("The last checkpoint is not what its note says.")
    return frontier


def _stored_leaves(after: int, upto: int) -> list[bytes]:
    rows = Entry.objects.filter(sequence__gt=after, sequence__lte=upto).order_by("sequence")
    return [bytes.fromhex(leaf) for leaf in rows.values_list("leaf", flat=True)]


def _tiles(first: int, leaves: Sequence[bytes]) -> list[LedgerTile]:
    """The full tiles of leaves of which the first has the number `first` (a multiple of the tile's size)."""
    size = LedgerTile.SIZE
    hash_over = subtree(leaves)
    return [
        LedgerTile(number=(first + at) // size, hash=hash_over(at, at + size).hex())
        for at in range(0, len(leaves) - size + 1, size)
    ]


# --- The signer's memory ------------------------------------------------------------------------


def _memory() -> Path:
    return Path(f"{settings.CHECKPOINT_KEY_FILE}.last")


def _remembered(keys: Iterable[Signer]) -> TreeHead | None:
    """The tree that was signed last, from the file beside the key; None at the very first time.

    Raises LedgerRewritten when the database has lost it.
    """
    path = _memory()
    if not path.exists():
        return None
    note = path.read_text()
    try:
        signed = TreeHead.parse(open_note(note, [signer.verifier for signer in keys]))
    except BadNote as error:
        raise LedgerRewritten(f"What the signer remembers in {path} is damaged: {error}") from error
    if not Checkpoint.objects.filter(size=signed.size, note=note).exists():
        raise LedgerRewritten(
            f"The signer remembers a checkpoint of size {signed.size} that is not in the database:"
            " a backup was restored, or history was changed (docs/how-to/verification-failed.md)."
        )
    return signed


def _remember(checkpoint: Checkpoint) -> None:
    write_whole(_memory(), checkpoint.note.encode(), mode=0o600)


# --- Handing out --------------------------------------------------------------------------------


def _put_out(checkpoint: Checkpoint) -> None:
    """To the directory that others read: a mounted bucket, a share of the auditors."""
    directory = settings.CHECKPOINT_DIR
    if not directory:
        return
    try:
        for name in (f"{checkpoint.size}.checkpoint", "latest.checkpoint"):
            write_whole(Path(directory) / name, checkpoint.note.encode(), mode=0o644)
    except OSError as error:
        # The next one goes there too; the page of checkpoints shows which left by which way.
        logger.error("checkpoint not put out", size=checkpoint.size, error=type(error).__name__)
        return
    delivered(checkpoint, "directory", "the directory")


def delivered(checkpoint: Checkpoint, channel: str, holder: str) -> None:
    """Remember who has it; the same again changes nothing."""
    CheckpointDelivery.objects.bulk_create(
        [CheckpointDelivery(checkpoint=checkpoint, channel=channel, holder=holder)],
        ignore_conflicts=True,
    )


def latest() -> Checkpoint:
    """Raises ProofNotPossible when nothing was signed yet."""
    checkpoint = Checkpoint.objects.first()
    if checkpoint is None:
        raise ProofNotPossible("No checkpoint has been signed yet.")
    return checkpoint


def of_size(size: int) -> Checkpoint:
    """Raises ProofNotPossible."""
    checkpoint = Checkpoint.objects.filter(size=size).first()
    if checkpoint is None:
        raise ProofNotPossible(f"There is no checkpoint of size {size}.")
    return checkpoint


def oldest_unsigned(now: dt.datetime) -> dt.timedelta | None:
    """How long the oldest entry that no checkpoint covers has waited for one; None when all are covered."""
    last = Checkpoint.objects.first()
    entry = Entry.objects.filter(sequence=(last.size if last else 0) + 1).first()
    return now - entry.recorded_at if entry else None


# --- Proofs -------------------------------------------------------------------------------------


def _hash_over(size: int, new: Sequence[LedgerTile] = ()) -> Callable[[int, int], bytes]:
    """The root over a stretch of the ledger's first `size` leaves: from tiles where they are whole.

    `new` are tiles that are not stored yet.
    """
    tile = LedgerTile.SIZE
    before = new[0].number if new else size // tile
    stored = LedgerTile.objects.filter(number__lt=before).order_by("number")
    texts = [*stored.values_list("hash", flat=True), *(one.hash for one in new)]
    over_tiles = subtree([bytes.fromhex(text) for text in texts])

    def hash_over(lo: int, hi: int) -> bytes:
        if lo % tile == hi % tile == 0:
            return over_tiles(lo // tile, hi // tile)
        if hi - lo <= tile:
            return subtree(_stored_leaves(lo, hi))(0, hi - lo)
        middle = lo + split(hi - lo)
        return node_hash(hash_over(lo, middle), hash_over(middle, hi))

    return hash_over


def prove_entry(sequence: int, checkpoint: Checkpoint) -> str:
    """That an entry is below the checkpoint: a tlog-proof. Raises ProofNotPossible, LedgerRewritten."""
    data, path = _path_of_entry(sequence, checkpoint)
    return inclusion_text(sequence - 1, path, checkpoint.note, data)


def check_sealed(sequence: int, checkpoint: Checkpoint) -> None:
    """That an entry and all it wrote are what the checkpoint covers. Raises ProofNotPossible, LedgerRewritten."""
    _path_of_entry(sequence, checkpoint)


def _path_of_entry(sequence: int, checkpoint: Checkpoint) -> tuple[bytes, list[bytes]]:
    """The entry's bytes as its rows are now, and the path from them to the checkpoint's root."""
    if not 1 <= sequence <= checkpoint.size:
        raise ProofNotPossible(f"The checkpoint covers entries 1 to {checkpoint.size}.")
    path = inclusion(sequence - 1, checkpoint.size, _hash_over(checkpoint.size))
    (data,) = (one.data for one in recomputed(sequence - 1, sequence))
    root = root_of_inclusion(leaf_hash(data), sequence - 1, checkpoint.size, path)
    if root is None or root.hex() != checkpoint.root:
        raise LedgerRewritten(f"Entry {sequence} is not what checkpoint {checkpoint.size} covers.")
    return data, path


def prove_consistency(old: int, new: Checkpoint) -> str:
    """A proof that the new checkpoint continues the tree of the first `old` entries.

    Raises ProofNotPossible, LedgerRewritten.
    """
    hash_over = _hash_over(new.size)
    path = consistency(old, new.size, hash_over)
    kept = Checkpoint.objects.filter(size=old).first()
    old_root = bytes.fromhex(kept.root) if kept else hash_over(0, old)
    if not is_consistent(old, old_root, new.size, bytes.fromhex(new.root), path):
        raise LedgerRewritten(f"Checkpoint {new.size} does not continue the first {old} entries.")
    return consistency_text(old, path, new.note)
