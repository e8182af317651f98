"""Checkpoints: the ledger's size and root, signed for people outside (docs/proof-format.md).

The signer takes nothing at its word: it reads every row written since the last checkpoint anew, computes leaves and
root, and signs only what continues the checkpoint before. It remembers that one outside the database too, so a
restored backup is noticed before anything is signed over it.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from portal import ledger, reads
from portal.errors import BadNote, LedgerRewritten, NoSigningKey, ProofNotPossible
from portal.files import write_whole
from portal.merkle import Frontier, leaf_hash, node_hash
from portal.merkle_proofs import (
    consistency,
    consistency_text,
    inclusion,
    inclusion_text,
    is_consistent,
    root_of_inclusion,
    split,
    subtree,
)
from portal.models import Checkpoint, CheckpointDelivery, Entry, LedgerTile
from portal.recomputing import recomputed
from portal.signed_notes import Signer, TreeHead, Verifier, open_note, sign

logger = structlog.get_logger(__name__)

LONGEST_EXTRA = 64 * 1024
"""Bytes of an entry that still travel inside its proof."""
KEY_ADDED, KEY_RETIRED = "checkpoint.key_added", "checkpoint.key_retired"

_also: list[Callable[[Sequence[Signer]], object]] = []


def also_sign(sign_more: Callable[[Sequence[Signer]], object]) -> None:
    """Apps above have trees of their own: they are signed by the same keys, in the same go."""
    _also.append(sign_more)


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


def add_key(*, actor: ledger.Actor, unless_there_is_one: bool = False) -> Verifier:
    """Make a key and add it to the key file: from now on it signs beside those that are there.

    The entry that makes it known is covered by a checkpoint of the keys before it.
    """
    path = Path(settings.CHECKPOINT_KEY_FILE)
    signer = Signer.new(settings.LEDGER_NAME)
    with ledger.entry(
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


def retire_key(key_id: str, *, actor: ledger.Actor, reason: str) -> None:
    """Take a key out of the key file: checkpoints from now on are signed by the others. Raises NoSigningKey."""
    held = signers()
    rest = [signer for signer in held if signer.verifier.key_id.hex() != key_id]
    if len(rest) == len(held):
        raise NoSigningKey(f"The key file holds no key {key_id}.")
    if not rest:
        raise NoSigningKey("It is the only key: add the one that follows it first.")
    retired = next(signer.verifier for signer in held if signer not in rest)
    said = f"{retired.text} {reason}"
    with ledger.entry(KEY_RETIRED, actor=actor, subject=_short(retired), reason=said):
        _write_keys(Path(settings.CHECKPOINT_KEY_FILE), rest)


def verifiers() -> list[Verifier]:
    """Every key that was ever made known in the ledger, the oldest first."""
    added = Entry.objects.filter(kind=KEY_ADDED).order_by("sequence")
    return [Verifier.parse(text) for text in added.values_list("reason", flat=True)]


def _short(verifier: Verifier) -> str:
    return f"key:{verifier.key_id.hex()}"


# --- Signing ------------------------------------------------------------------------------------


def sign_now() -> Checkpoint:
    """Seal the reads, sign what the ledger has grown by, deliver it; returns the newest checkpoint.

    Raises LedgerRewritten when rows, head or an earlier checkpoint are not what they were: nothing is signed then.
    """
    keys = signers()
    reads.seal()
    checkpoint = _sign_ledger(keys)
    for sign_more in _also:
        sign_more(keys)
    _remember(checkpoint)
    _put_out(checkpoint)
    return checkpoint


def _sign_ledger(keys: Sequence[Signer]) -> Checkpoint:
    with ledger.snapshot() as head:
        _check_memory()
        last = Checkpoint.objects.first()
        if last is not None and last.size == head.size:
            return last
        frontier = _continued(last, keys)
        leaves = []
        for one in recomputed(frontier.size, head.size):
            if not one.is_as_sealed:
                raise LedgerRewritten(
                    f"Entry {one.entry.sequence} or a row it wrote is not what was sealed."
                )
            leaves.append(one.leaf)
        first_open = frontier.size // LedgerTile.SIZE * LedgerTile.SIZE
        begun = _stored_leaves(first_open, frontier.size)
        for leaf in leaves:
            frontier.append(leaf)
        if frontier.root().hex() != head.root:
            raise LedgerRewritten("The head has another root than its entries.")
    note = sign(TreeHead(settings.LEDGER_NAME, head.size, frontier.root()).text, keys)
    checkpoint = Checkpoint(
        size=head.size,
        root=head.root,
        frontier=frontier.to_text(),
        note=note,
        signed_at=timezone.now(),
    )
    try:
        with transaction.atomic():
            checkpoint.save()
            LedgerTile.objects.bulk_create(_tiles(first_open, [*begun, *leaves]))
    except IntegrityError:
        # Another signer was faster; both signed the same tree.
        return Checkpoint.objects.get(size=head.size)
    logger.info("checkpoint signed", size=head.size)
    return checkpoint


def _continued(last: Checkpoint | None, keys: Iterable[Signer]) -> Frontier:
    """Where the last checkpoint ended, if it is one of ours and its frontier has its root."""
    if last is None:
        return Frontier()
    frontier = Frontier.from_text(last.size, last.frontier)
    known = [*verifiers(), *(signer.verifier for signer in keys)]
    try:
        signed = TreeHead.parse(open_note(last.note, known))
    except BadNote as error:
        raise LedgerRewritten(f"The last checkpoint is not one of ours: {error}") from error
    if (signed.size, signed.root) != (last.size, frontier.root()):
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


def _check_memory() -> None:
    """What was signed before is still there: a restored backup, or another history, has lost it."""
    path = _memory()
    if not path.exists():
        return
    note = path.read_text()
    size = int(note.split("\n")[1])
    if not Checkpoint.objects.filter(size=size, note=note).exists():
        raise LedgerRewritten(
            f"The signer remembers a checkpoint of size {size} that is not in the database:"
            " a backup was restored, or history was changed (docs/verification-failed.md)."
        )


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


def _hash_over(size: int) -> Callable[[int, int], bytes]:
    """The root over a stretch of the ledger's first `size` leaves: from tiles where they are whole."""
    tile = LedgerTile.SIZE
    stored = LedgerTile.objects.filter(number__lt=size // tile).order_by("number")
    over_tiles = subtree([bytes.fromhex(text) for text in stored.values_list("hash", flat=True)])

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
    if not 1 <= sequence <= checkpoint.size:
        raise ProofNotPossible(f"The checkpoint covers entries 1 to {checkpoint.size}.")
    path = inclusion(sequence - 1, checkpoint.size, _hash_over(checkpoint.size))
    (data,) = (one.data for one in recomputed(sequence - 1, sequence))
    root = root_of_inclusion(leaf_hash(data), sequence - 1, checkpoint.size, path)
    if root is None or root.hex() != checkpoint.root:
        raise LedgerRewritten(f"Entry {sequence} is not what checkpoint {checkpoint.size} covers.")
    extra = data if len(data) <= LONGEST_EXTRA else None
    return inclusion_text(sequence - 1, path, checkpoint.note, extra)


def prove_consistency(old: int, new: Checkpoint) -> str:
    """That the new checkpoint continues the tree of the first `old` entries, whoever kept its root.

    Raises ProofNotPossible, LedgerRewritten.
    """
    hash_over = _hash_over(new.size)
    path = consistency(old, new.size, hash_over)
    kept = Checkpoint.objects.filter(size=old).first()
    old_root = bytes.fromhex(kept.root) if kept else hash_over(0, old)
    if not is_consistent(old, old_root, new.size, bytes.fromhex(new.root), path):
        raise LedgerRewritten(f"Checkpoint {new.size} does not continue the first {old} entries.")
    return consistency_text(old, path, new.note)
