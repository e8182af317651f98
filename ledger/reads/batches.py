"""Sealing the record of reads: many reads, one entry of the ledger.

A read is recorded before the answer is given (`ledger.reads.recording`) and costs no lock of the ledger. Before each
checkpoint the new records are sealed as a batch, so that a record cannot be changed or taken away later unseen.
"""

from collections.abc import Iterator
from typing import Any

from django.db import connection, transaction
from django.db.models import Max

from ledger import canonical, entries
from ledger.merkle.tree import Frontier, leaf_hash
from ledger.models import AccessRecord, ReadBatch

SEALER = "system:reads"
COLUMNS = ("actor_name", "id", "kind", "purpose", "read_at", "subject", "user_id")


def record_bytes(values: tuple[Any, ...]) -> bytes:
    """The canonical bytes of a record of a read, given in the order of COLUMNS."""
    return canonical.dumps(dict(zip(COLUMNS, values, strict=True)))


def records(first: int, last: int) -> Iterator[bytes]:
    """The canonical bytes of the records with these numbers, in their order."""
    rows = AccessRecord.objects.filter(pk__gte=first, pk__lte=last).order_by("pk")
    yield from map(record_bytes, rows.values_list(*COLUMNS).iterator(10_000))


def _tree(first: int, last: int) -> Frontier:
    """The tree over the records with these numbers."""
    tree = Frontier()
    for data in records(first, last):
        tree.append(leaf_hash(data))
    return tree


def seal() -> ReadBatch | None:
    """Seal what was read since the last batch; None when nothing was."""
    upto = settled()
    batch = None
    with entries.entry("reads.sealed", actor=SEALER) as opened:
        # Under the ledger's lock: another sealer may have been faster.
        first = _sealed_upto() + 1
        tree = _tree(first, upto)
        if tree.size:
            batch = ReadBatch(first=first, last=upto, count=tree.size, root=tree.root().hex())
            batch.save()
        else:
            opened.abandon()
    return batch


def _sealed_upto() -> int:
    return ReadBatch.objects.aggregate(last=Max("last"))["last"] or 0


def settled() -> int:
    """A number below which no record can appear any more.

    Numbers are given out before their rows are committed. The writer of a record holds the table's lock from before it
    has a number until the commit; a lock that waits for all of these sees every number that was given out.
    """
    with transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute(f'LOCK TABLE "{AccessRecord._meta.db_table}" IN SHARE MODE')
        return AccessRecord.objects.aggregate(last=Max("pk"))["last"] or 0


def reads_are_sealed() -> Iterator[str]:
    """A check of the ledger: every batch has the records it sealed, and batches follow one another."""
    after = 0
    for batch in ReadBatch.objects.order_by("first", "pk"):
        if batch.first != after + 1:
            yield f"The batch of reads from {batch.first} does not follow number {after}."
        after = batch.last
        tree = _tree(batch.first, batch.last)
        if (tree.size, tree.root().hex()) != (batch.count, batch.root):
            yield f"The records of reads {batch.first} to {batch.last} are not those that were sealed."
