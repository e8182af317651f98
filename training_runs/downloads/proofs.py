"""Proof that a member is, or is not, in a manifest."""

from collections.abc import Sequence
from functools import lru_cache

import structlog
from django.conf import settings

from ledger import clock
from ledger.checkpoints import signing
from ledger.checkpoints.notes import Signer, TreeHead, sign
from ledger.errors import LedgerRewritten, ProofNotPossible, Refusal
from ledger.merkle.proofs import inclusion_text, root_of_inclusion
from ledger.models import Checkpoint
from training_runs.choices import Agreement
from training_runs.manifests import archives, manifest_file
from training_runs.manifests.members_tree import MembersTree, leaf_of
from training_runs.models import Manifest, ManifestCheckpoint, Verification
from training_runs.runs import freezing

logger = structlog.get_logger(__name__)


@lru_cache(maxsize=2)
def tree_of(digest: str) -> MembersTree:
    """The tree of an archive, kept: it takes a second for ten million members. Raises ManifestDamaged."""
    return MembersTree.of(manifest_file.parse(archives.load(digest)), digest)


def origin_of(reference: str) -> str:
    """Under which name the tree of a run's manifest is signed."""
    return f"{settings.LEDGER_NAME}/{reference}"


def sign_trees(keys: Sequence[Signer], newest: Checkpoint) -> int:
    """Sign the trees of manifests that verified and are not signed yet; returns how many.

    Nothing is believed that the newest checkpoint does not cover: neither the manifest's row nor its verification's.
    One that cannot be signed keeps no other waiting; the first reason is raised at the end.
    """
    waiting = (
        Verification.objects.filter(
            agreement=Agreement.AGREES,
            members_root__isnull=False,
            manifest__checkpoint=None,
            entry_id__lte=newest.size,
        )
        .select_related("manifest__run")
        .order_by("manifest_id", "pk")
    )
    refused: list[Exception] = []
    done: set[int] = set()
    for verification in waiting:
        manifest = verification.manifest
        if manifest.pk in done:
            continue
        done.add(manifest.pk)
        try:
            _sign_tree(manifest, _sealed_root(verification, newest), keys)
        except (Refusal, OSError) as error:
            logger.error(
                "members tree not signed", run=manifest.run.reference, error=type(error).__name__
            )
            refused.append(error)
    if refused:
        raise refused[0]
    return len(done)


def _sealed_root(verification: Verification, newest: Checkpoint) -> str:
    """The root of the members tree that the ledger seals. Raises LedgerRewritten when a row is not what was sealed."""
    for sealed in (verification.manifest.entry_id, verification.entry_id):
        signing.check_sealed(sealed, newest)
    assert verification.members_root
    return verification.members_root


def _sign_tree(manifest: Manifest, sealed: str, keys: Sequence[Signer]) -> None:
    run = manifest.run.reference
    archive = freezing.load(manifest)
    if archive.header["run"] != run:
        raise LedgerRewritten(f"The archive of {run} is that of {archive.header['run']}.")
    tree = MembersTree.of(archive, manifest.digest)
    root = tree.root()
    if root.hex() != sealed:
        raise LedgerRewritten(f"{manifest} has another members tree than the sealed one.")
    ManifestCheckpoint(
        manifest=manifest,
        leaves=tree.size,
        root=root.hex(),
        note=sign(TreeHead(origin_of(run), tree.size, root).text, keys),
        signed_at=clock.now(),
    ).save()


def signed(manifest: Manifest) -> ManifestCheckpoint:
    """The signed root of its members tree. Raises ProofNotPossible before it is signed."""
    checkpoint = ManifestCheckpoint.objects.filter(manifest=manifest).first()
    if checkpoint is None:
        raise ProofNotPossible(
            f"The manifest of {manifest.run.reference} is not signed yet; try again in some minutes."
        )
    return checkpoint


def prove_member(manifest: Manifest, number: int) -> str:
    """A tlog-proof of what the manifest says of a member number, at most 1.5 KB.

    For a number above the population it is that of leaf 0, which says how many there were. Raises ProofNotPossible
    before the tree is signed, LedgerRewritten, ManifestDamaged.
    """
    if number < 1:
        raise ProofNotPossible("Members are numbered from 1.")
    checkpoint = signed(manifest)
    tree = tree_of(manifest.digest)
    index = leaf_of(number) if number <= manifest.population else 0
    path = tree.path(index)
    root = root_of_inclusion(tree.hashes[index], index, tree.size, path)
    head = TreeHead.parse(checkpoint.note.partition("\n\n")[0] + "\n")
    if head != TreeHead(origin_of(manifest.run.reference), tree.size, root or b""):
        raise LedgerRewritten(f"{manifest} has another members tree than the signed one.")
    return inclusion_text(index, path, checkpoint.note, tree.data[index])
