"""Everybody is in the tree of a manifest, once, with the reason the manifest has."""

import base64
from pathlib import Path

import pytest
from django.conf import settings
from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap

from ledger import entries
from ledger.checkpoints import signing
from ledger.checkpoints.notes import TreeHead, open_note
from ledger.errors import LedgerRewritten, ProofNotPossible
from ledger.merkle.proofs import root_of_inclusion
from ledger.merkle.tree import leaf_hash, root_of
from tools import factories
from tools.outside import behind_the_back, hashes_of
from training_runs.downloads import proofs
from training_runs.eligibility.exclusions import EXCLUSIONS, NOT_IN_PARENT
from training_runs.errors import ManifestDamaged
from training_runs.manifests import archives, manifest_file
from training_runs.manifests.manifest_file import Archive
from training_runs.manifests.members_tree import ABSENT, IN, VALUES, MembersTree, leaf_of, value_in
from training_runs.models import ManifestCheckpoint, Verification
from training_runs.runs import freezing


def archive_of(population, excluded):
    out = BitMap.union(BitMap(), *excluded.values())
    included = BitMap(range(1, population + 1)) - out
    return Archive({"run": "TR-2026-000001", "population": population}, included, excluded, {})


@given(st.integers(1, 700), st.data())
def test_the_tree_says_of_everybody_what_the_manifest_says(population, data):
    numbers = st.sets(st.integers(1, population), max_size=40)
    excluded = {code: BitMap(data.draw(numbers)) for code in VALUES}
    archive = archive_of(population, excluded)

    tree = MembersTree.of(archive, "0" * 64)

    for number in range(1, population + 1):
        reasons = archive.reasons(number)
        said = value_in(tree.data[leaf_of(number)], number)
        assert said == (min(VALUES[code] for code in reasons) if reasons else IN)
    whole = (tree.size - 1) * 128
    assert all(
        value_in(tree.data[leaf_of(number)], number) == ABSENT
        for number in range(population + 1, whole + 1)
    )
    assert tree.size == -(-population // 128) + 1
    assert tree.root() == root_of(tree.hashes)


def test_the_first_leaf_names_run_archive_and_population():
    tree = MembersTree.of(archive_of(5, {}), "ab" * 32)

    assert tree.data[0] == b"training-manifest-members/1\nTR-2026-000001\n" + b"ab" * 32 + b"\n5\n"


def test_every_reason_has_a_value_of_its_own_in_the_order_of_the_table():
    codes = [exclusion.code for exclusion in [*EXCLUSIONS, NOT_IN_PARENT]]

    assert {code: place for place, code in enumerate(codes, 1)} == VALUES


@pytest.fixture
def manifest(officer, second_officer, engineer, product):
    factories.open_world(officer, second_officer)
    factories.add_members(300)
    factories.decide("acc-7", "deny", actor=product)
    return factories.freeze(engineer)


@pytest.mark.django_db(transaction=True)
def test_a_proof_leads_from_a_member_to_the_signed_and_sealed_root(manifest):
    signing.sign_now()
    archive = freezing.load(manifest)

    for number in (1, 8, 128, 129, manifest.population):
        proof = proofs.prove_member(manifest, number)

        head, _, note = proof.partition("\n\n")
        leaf = base64.b64decode(head.split("\n")[1].removeprefix("extra "))
        signed = TreeHead.parse(open_note(note, signing.verifiers()))
        index = leaf_of(number)
        assert (
            root_of_inclusion(leaf_hash(leaf), index, signed.size, hashes_of(proof)) == signed.root
        )
        assert signed.origin == f"portal.example/ledger/{manifest.run.reference}"
        reasons = archive.reasons(number)
        assert value_in(leaf, number) == (VALUES[reasons[0]] if reasons else IN)
        assert len(proof.encode()) <= 1_536
        sealed = Verification.objects.get(manifest=manifest).members_root
        assert sealed == signed.root.hex()


def test_a_proof_for_a_billion_members_has_at_most_one_and_a_half_kilobytes():
    leaves = 10**9 // 128 + 1
    hashes = (leaves - 1).bit_length()
    note = proofs.sign(
        TreeHead("portal.example.org/ledger/TR-2026-000012", leaves, bytes(32)).text,
        [signing.Signer("portal.example.org/ledger", bytes([n]) * 32) for n in (1, 2)],
    )

    proof = proofs.inclusion_text(leaves - 1, [bytes(32)] * hashes, note, bytes(64))

    # Also while a key is being replaced and every note has two signatures.
    assert len(proof.encode()) <= 1_536


@pytest.mark.django_db(transaction=True)
def test_before_the_tree_is_signed_there_is_no_proof(manifest):
    with pytest.raises(ProofNotPossible, match="not signed yet"):
        proofs.prove_member(manifest, 1)


@pytest.mark.django_db(transaction=True)
def test_of_a_number_above_the_population_the_first_leaf_is_the_proof(manifest):
    signing.sign_now()

    proof = proofs.prove_member(manifest, manifest.population + 1)

    head = proof.partition("\n\n")[0].split("\n")
    assert head[2] == "index 0"
    about = base64.b64decode(head[1].removeprefix("extra ")).decode().splitlines()
    assert about[3] == str(manifest.population)
    with pytest.raises(ProofNotPossible):
        proofs.prove_member(manifest, 0)


@pytest.mark.django_db(transaction=True)
def test_the_owner_of_the_database_cannot_have_another_list_signed_for_a_run(manifest, engineer):
    """Another run's list in the rows of this one, as if it had been its own: below what the signer reads anew."""
    other = factories.freeze(engineer)
    other_root = Verification.objects.get(manifest=other).members_root
    behind_the_back(
        "training_runs_manifest",
        "UPDATE training_runs_manifest SET digest = %s WHERE id = %s",
        other.digest,
        manifest.pk,
    )
    behind_the_back(
        "training_runs_verification",
        "UPDATE training_runs_verification SET members_root = %s WHERE manifest_id = %s",
        other_root,
        manifest.pk,
    )
    # As if all of it had been signed before: only the trees are left to sign.
    keys = signing.signers()
    with pytest.raises(LedgerRewritten):
        signing.sign_now()
    newest = signing.Checkpoint(size=entries.read_head().size, root=entries.read_head().root)

    with pytest.raises(LedgerRewritten):
        proofs.sign_trees(keys, newest)

    # The other run's is signed all the same.
    assert [row.manifest_id for row in ManifestCheckpoint.objects.all()] == [other.pk]


@pytest.mark.django_db(transaction=True)
def test_a_forged_list_of_the_same_run_is_not_signed_however_well_its_rows_fit(manifest):
    """The archive, its digest and the members root are all of one piece; only the entries that sealed them are not."""
    true = freezing.load(manifest)
    everybody_in = {code: BitMap() for code in true.excluded}
    facts = {
        name: value for name, value in true.header.items() if name not in ("parts", "population")
    }
    population = manifest.population
    _, data = manifest_file.build(facts, population, BitMap(range(1, population + 1)), everybody_in)
    digest = archives.store(data)
    root = MembersTree.of(manifest_file.parse(data), digest).root().hex()
    # The ledger is signed, and only the tree is still to be.
    newest = signing.sign_now()
    behind_the_back(
        "training_runs_manifestcheckpoint", "DELETE FROM training_runs_manifestcheckpoint"
    )
    behind_the_back(
        "training_runs_manifest", "UPDATE training_runs_manifest SET digest = %s", digest
    )
    behind_the_back(
        "training_runs_verification",
        "UPDATE training_runs_verification SET members_root = %s",
        root,
    )

    with pytest.raises(LedgerRewritten, match="is not what checkpoint"):
        proofs.sign_trees(signing.signers(), newest)

    assert not ManifestCheckpoint.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_lost_archive_keeps_neither_the_checkpoint_nor_other_trees_waiting(manifest, engineer):
    other = factories.freeze(engineer)
    archives.path_of(manifest.digest).unlink()
    proofs.tree_of.cache_clear()

    with pytest.raises(ManifestDamaged):
        signing.sign_now()

    newest = signing.latest()
    assert newest.size == entries.read_head().size
    assert Path(f"{settings.CHECKPOINT_KEY_FILE}.last").read_text() == newest.note
    assert [row.manifest_id for row in ManifestCheckpoint.objects.all()] == [other.pk]


@pytest.mark.django_db(transaction=True)
def test_a_tree_that_is_not_the_sealed_one_is_not_signed(manifest):
    behind_the_back(
        "training_runs_verification",
        "UPDATE training_runs_verification SET members_root = %s",
        "00" * 32,
    )

    with pytest.raises(LedgerRewritten):
        signing.sign_now()

    assert not ManifestCheckpoint.objects.exists()
