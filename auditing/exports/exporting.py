"""The ledger as files that anyone can check without the portal (docs/reference/proof-format.md, "An export")."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from deliveries.choices import DeliveryState
from deliveries.models import Delivery
from ledger import canonical
from ledger.checkpoints import signing
from ledger.errors import InvalidInput
from ledger.models import Checkpoint
from ledger.reads import batches
from ledger.verification.leaves import recomputed_in_pieces
from training_runs.manifests import archives
from training_runs.models import Incident, Manifest

LEDGER, CHECKPOINTS, READS, KEYS, MANIFESTS, DELIVERIES, INCIDENTS = (
    "ledger.ndjson", "checkpoints.ndjson", "reads.ndjson", "keys.txt", "manifests", "deliveries", "incidents",
)  # fmt: skip


def ledger_lines(after: int, upto: int) -> Iterator[bytes]:
    """The canonical bytes of the entries from `after` (exclusive) to `upto`, a line each.

    As the rows are now, not as they were sealed: the reader of an export wants to see exactly that.
    Entries and what they wrote never change, so a stream that takes minutes is of one piece all the same.
    """
    for one in recomputed_in_pieces(after, upto):
        yield one.line + b"\n"


def checkpoint_lines(upto: int) -> Iterator[bytes]:
    rows = Checkpoint.objects.filter(size__lte=upto).order_by("size").values_list("note", "size")
    for note, size in rows.iterator(1_000):
        yield canonical.dumps({"note": note, "size": size}) + b"\n"


def read_lines(after: int, upto: int) -> Iterator[bytes]:
    """The records of reads from the number `after` (exclusive) to `upto`."""
    for data in batches.records(after + 1, upto):
        yield data + b"\n"


def key_lines(upto: int) -> Iterator[bytes]:
    for verifier in signing.verifiers(upto):
        yield f"{verifier.text}\n".encode()


@dataclass(frozen=True)
class Exported:
    """The size of an export: entries up to the newest checkpoint, and how many manifests."""

    size: int
    manifests: int
    directory: Path


def export(directory: Path, *, progress: Callable[[int], object] = lambda count: None) -> Exported:
    """Write everything up to the newest checkpoint into a new directory. Raises InvalidInput, ProofNotPossible.

    An interrupted export leaves no directory of that name.
    """
    if directory.exists():
        raise InvalidInput(f"{directory} exists already: name a new directory.", field="directory")
    size = signing.latest().size
    directory.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f"{directory.name}-", suffix=".part", dir=directory.parent))
    (part / MANIFESTS).mkdir()
    (part / DELIVERIES).mkdir()
    (part / INCIDENTS).mkdir()
    try:
        _write(part / LEDGER, ledger_lines(0, size), progress)
        # The clock may sign while this is written: what is above belongs to the next export.
        _write(part / CHECKPOINTS, checkpoint_lines(size))
        _write(part / READS, read_lines(0, batches.settled()))
        _write(part / KEYS, key_lines(size))
        manifests = Manifest.objects.filter(entry_id__lte=size).select_related("run", "checkpoint")
        for manifest in manifests:
            to = part / MANIFESTS / manifest.run.reference
            to.with_suffix(".manifest").write_bytes(archives.path_of(manifest.digest).read_bytes())
            if hasattr(manifest, "checkpoint"):
                to.with_suffix(".checkpoint").write_text(manifest.checkpoint.note)
        for reference, digest in _made_deliveries(size):
            to = part / DELIVERIES / f"{reference}.delivery"
            to.write_bytes(archives.path_of(digest).read_bytes())
        for reference, digest in _found_incidents(size):
            to = part / INCIDENTS / f"{reference}.incident"
            to.write_bytes(archives.path_of(digest).read_bytes())
        part.rename(directory)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return Exported(size, len(manifests), directory)


def _made_deliveries(size: int) -> Iterator[tuple[str, str]]:
    """The reference and the archive's digest of every delivery that was made in the entries up to `size`."""
    made = Delivery.history.filter(entry_id__lte=size, state=DeliveryState.DELIVERED)
    yield from made.order_by("history_id").values_list("reference", "digest")


def _found_incidents(size: int) -> Iterator[tuple[str, str]]:
    """The reference and the archive's digest of every incident that was found in the entries up to `size`."""
    found = Incident.history.filter(entry_id__lte=size, history_type="+")
    yield from found.order_by("history_id").values_list("reference", "digest")


def _write(
    path: Path, lines: Iterator[bytes], progress: Callable[[int], object] = lambda count: None
) -> None:
    with path.open("wb") as file:
        for count, line in enumerate(lines, 1):
            file.write(line)
            if not count % 1_000:
                progress(1_000)
