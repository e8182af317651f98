"""The fixed order in which a delivery becomes a permission. Nothing is believed because the portal says so.

    pinned key → checkpoint that continues the last one → the delivery's entry → its archive → the manifest and its
    tree → the lists → lease and withdrawals

Each step uses only what the one before has verified, and the first row of data is read after the last one.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from pyroaring import BitMap

from training_portal.errors import LeaseOver, NotVerified
from training_portal.permission import ListFile, Permission
from training_portal.trust import archives, sealed
from training_portal.trust.archives import DeliveryArchive, ManifestArchive
from training_portal.trust.lists import check_digest, check_lists
from training_portal.trust.members_tree import tree_of
from training_portal.trust.memory import Memory
from training_portal.trust.notes import Checkpoint, VerifierKey, read_proof
from training_portal.trust.sealed import SealedDelivery, SealedFile


@dataclass(frozen=True)
class Withdrawals:
    """The members of a manifest who are out by now, as the portal answers. It can only take members away."""

    numbers: BitMap
    digest: str
    """SHA-256 of the numbers as Roaring: what a training acknowledges."""


class Source(Protocol):
    """The source of bytes: the portal by way of the cache, or a copy of what it gave."""

    def deliveries_made(self, run: str) -> Sequence[int]:
        """The numbers of the ledger's entries `delivery.made` about the run, the newest first."""

    def entry_proof(self, run: str, sequence: int) -> str:
        """A tlog-proof of an entry. Raises TryAgain while no checkpoint covers it."""

    def entry(self, run: str, sequence: int) -> bytes:
        """The canonical bytes of an entry with all its rows."""

    def consistency(self, old: int, new: int) -> str:
        """The proof that the checkpoint of size `new` continues the first `old` entries."""

    def delivery_archive(self, delivery: SealedDelivery) -> bytes: ...

    def manifest_archive(self, run: str, digest: str, delivery: SealedDelivery) -> bytes: ...

    def manifest_checkpoint(self, run: str) -> str:
        """The signed checkpoint of the manifest's members tree. Raises TryAgain before it is signed."""

    def list_file(self, delivery: SealedDelivery, file: SealedFile) -> Path:
        """A file of accounts on this machine."""

    def withdrawn(self, run: str) -> Withdrawals: ...

    def now(self) -> dt.datetime:
        """The later one of this machine's time and the portal's: neither clock makes a lease longer."""


@dataclass(frozen=True)
class Trust:
    """The pinned keys, and what was seen before."""

    keys: tuple[VerifierKey, ...]
    memory: Memory

    def verify(
        self, source: Source, *, run: str, delivery: str, with_lists: bool = True
    ) -> Permission:
        """The permission of the run, with its lists on this machine (`with_lists`, for a delivery of the form `list`).

        Raises NotVerified, LeaseOver; TryAgain before the portal has signed; what the source raises.
        """
        entry = self._entry(source, run, delivery)
        self._check_lease(entry, source.now())
        archive = self._archive(source, entry)
        manifest = self._manifest(source, entry, archive)
        files = self._lists(source, entry, archive) if with_lists else ()
        withdrawals = source.withdrawn(run)
        if archives.set_digest(withdrawals.numbers) != withdrawals.digest:
            raise NotVerified("The answer of who has withdrawn does not have its digest.")
        # Lists may have taken hours.
        self._check_lease(entry, source.now())
        return _permission(entry, archive, manifest, files, withdrawals)

    def _entry(self, source: Source, run: str, delivery: str) -> SealedDelivery:
        """The entry that made the delivery, under a checkpoint that continues the last one that was seen."""
        for sequence in source.deliveries_made(run):
            what = f"The proof of entry {sequence}"
            proved = read_proof(source.entry_proof(run, sequence), self.keys, what)
            if proved.checkpoint.origin not in {key.name for key in self.keys}:
                raise NotVerified(f"{what} is about members of a manifest, not about an entry.")
            self.memory.follow(proved.checkpoint, self.keys, source.consistency)
            found = sealed.read(proved, run, partial(source.entry, run, sequence))
            if found.reference == delivery:
                return found
        raise NotVerified(f"No entry of the ledger about {run} made {delivery}.")

    @staticmethod
    def _check_lease(entry: SealedDelivery, now: dt.datetime) -> None:
        if now >= entry.leased_until:
            raise LeaseOver(
                f"The lease of {entry.reference} ended at {entry.leased_until_text}.",
                f"Renew it: training-portal fetch {entry.run}.",
            )

    @staticmethod
    def _archive(source: Source, entry: SealedDelivery) -> DeliveryArchive:
        data = source.delivery_archive(entry)
        if sha256(data).hexdigest() != entry.archive:
            raise NotVerified(
                f"The archive of {entry.reference} does not have the digest that entry {entry.sequence} seals."
            )
        archive = archives.read_delivery(data, f"The archive of {entry.reference}")
        entry.check(archive, entry.run)
        return archive

    def _manifest(
        self, source: Source, entry: SealedDelivery, archive: DeliveryArchive
    ) -> ManifestArchive:
        """The manifest that the delivery was made of: its digest, its tree as it was signed, and the sets of both."""
        what = f"The manifest of {entry.run}"
        data = source.manifest_archive(entry.run, archive.header["manifest"], entry)
        if sha256(data).hexdigest() != archive.header["manifest"]:
            raise NotVerified(f"{what} is not the one that {entry.reference} was made of.")
        manifest = archives.read_manifest(data, what)
        for name in ("run", "purpose"):
            if manifest.header[name] != archive.header[name]:
                raise NotVerified(f"{what} has another {name} than {entry.reference}.")
        if archive.delivered | archive.subtracted != manifest.included:
            raise NotVerified(
                f"{entry.reference} and its subtraction are not the included of {entry.run}."
            )
        if archive.header["as_of"] < manifest.header["as_of"]:
            raise NotVerified(f"{entry.reference} is as of a moment before its manifest.")
        for day, members in manifest.cohorts:
            later = [its for one, its in archive.cohorts if one >= day]
            if not members & archive.delivered <= BitMap().union(*later):
                raise NotVerified(
                    f"{entry.reference} gives an earlier day for use than its manifest."
                )
        signed = Checkpoint.read(
            source.manifest_checkpoint(entry.run), self.keys, f"{what}: its checkpoint"
        )
        root, leaves = tree_of(manifest)
        if signed.origin != f"{entry.checkpoint.origin}/{entry.run}":
            raise NotVerified(f"{what}: its checkpoint is of {signed.origin[:80]}.")
        if (signed.size, signed.root) != (leaves, root):
            raise NotVerified(f"{what} has another tree of members than the signed one.")
        return manifest

    @staticmethod
    def _lists(
        source: Source, entry: SealedDelivery, archive: DeliveryArchive
    ) -> tuple[ListFile, ...]:
        files = []
        for one in entry.files:
            path = source.list_file(entry, one)
            check_digest(path, one)
            files.append(ListFile(path, one.name, one.sha256, one.rows, one.first, one.last))
        if files:
            check_lists(files, archive.delivered, archive.cohorts)
        return tuple(files)


def _permission(
    entry: SealedDelivery,
    archive: DeliveryArchive,
    manifest: ManifestArchive,
    files: tuple[ListFile, ...],
    withdrawals: Withdrawals,
) -> Permission:
    withdrawn = archive.delivered & withdrawals.numbers
    days = ((day, members - withdrawn) for day, members in archive.cohorts)
    return Permission(
        run=entry.run,
        delivery=entry.reference,
        purpose=archive.header["purpose"],
        data_categories=tuple(manifest.header["data_categories"]),
        manifest=manifest.digest,
        archive=archive.digest,
        files=files,
        subtraction=entry.subtraction,
        leased_until=entry.leased_until,
        leased_until_text=entry.leased_until_text,
        as_of=dt.datetime.fromisoformat(entry.as_of),
        form=entry.form,
        members=archive.delivered - withdrawn,
        cohorts=tuple((day, members) for day, members in days if members),
        population=manifest.population,
        withdrawn=withdrawn,
        withdrawn_digest=withdrawals.digest,
    )
