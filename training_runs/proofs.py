"""Proof that a member is, or is not, in a manifest."""

from collections.abc import Sequence
from functools import lru_cache

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from portal.errors import LedgerRewritten, ProofNotPossible
from portal.merkle_proofs import inclusion_text, root_of_inclusion
from portal.signed_notes import Signer, TreeHead, sign
from training_runs import archives, manifest_file
from training_runs.choices import Agreement
from training_runs.errors import ManifestNotReady
from training_runs.members_tree import MembersTree, leaf_of
from training_runs.models import Manifest, ManifestCheckpoint, Run, Verification


@lru_cache(maxsize=2)
def tree_of(digest: str) -> MembersTree:
    """The tree of an archive, kept: it takes a second for ten million members. Raises ManifestDamaged."""
    return MembersTree.of(manifest_file.parse(archives.load(digest)), digest)


def origin_of(reference: str) -> str:
    """Under which name the tree of a run's manifest is signed."""
    return f"{settings.LEDGER_NAME}/{reference}"


def sign_trees(keys: Sequence[Signer]) -> int:
    """Sign the trees of manifests that verified and are not signed yet; returns how many.

    Raises LedgerRewritten when the archive has another tree than the one that was sealed.
    """
    waiting = (
        Manifest.objects.filter(checkpoint=None, verifications__members_root__isnull=False)
        .select_related("run")
        .distinct()
        .order_by("pk")
    )
    for manifest in waiting:
        tree = tree_of(manifest.digest)
        root = tree.root()
        if root.hex() != _sealed_root(manifest):
            raise LedgerRewritten(f"{manifest} has another members tree than the sealed one.")
        text = TreeHead(origin_of(manifest.run.reference), tree.size, root).text
        try:
            with transaction.atomic():
                ManifestCheckpoint(
                    manifest=manifest,
                    leaves=tree.size,
                    root=root.hex(),
                    note=sign(text, keys),
                    signed_at=timezone.now(),
                ).save()
        except IntegrityError:
            continue  # another signer was faster
    return len(waiting)


def _sealed_root(manifest: Manifest) -> str | None:
    rows = Verification.objects.filter(manifest=manifest, agreement=Agreement.AGREES)
    return rows.exclude(members_root=None).values_list("members_root", flat=True).first()


def manifest_of(run: Run) -> Manifest:
    """The run's manifest. Raises ManifestNotReady."""
    manifest = Manifest.objects.select_related("run").filter(run=run).first()
    if manifest is None:
        raise ManifestNotReady(f"{run.reference} is {run.get_state_display()}: it has no manifest.")
    return manifest


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

    Raises ProofNotPossible for a number above the population or before the tree is signed, ManifestDamaged.
    """
    if not 1 <= number <= manifest.population:
        raise ProofNotPossible(
            f"{manifest.run.reference} knew the members 1 to {manifest.population}:"
            " nobody else can be in it."
        )
    checkpoint = signed(manifest)
    tree, index = tree_of(manifest.digest), leaf_of(number)
    path = tree.path(index)
    root = root_of_inclusion(tree.hashes[index], index, tree.size, path)
    if root is None or root.hex() != checkpoint.root:
        raise LedgerRewritten(f"{manifest} has another members tree than the signed one.")
    return inclusion_text(index, path, checkpoint.note, tree.data[index])
