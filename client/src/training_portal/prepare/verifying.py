"""Verification of a data set: a receipt that a known key signed, and exactly the files that it speaks of."""

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from training_portal import receipts
from training_portal.errors import LeaseOver, Misuse, NotVerified
from training_portal.prepare.inputs import digest_of
from training_portal.prepare.members import Numbers
from training_portal.prepare.types import MEMBER_NUMBER
from training_portal.prepare.work import ASIDE, BESIDE, SUBTRACTING, files_in


@dataclass(frozen=True)
class DataSet:
    """A directory that was found to be what its receipt says."""

    directory: Path
    envelope: dict[str, Any]
    """The receipt, as the portal takes it."""
    statement: dict[str, Any]

    @property
    def predicate(self) -> dict[str, Any]:
        said: dict[str, Any] = self.statement["predicate"]
        return said

    @property
    def names(self) -> tuple[str, ...]:
        """The data files, in the order of the receipt."""
        return tuple(one["name"] for one in self.predicate["outputs"])

    @property
    def leased_until(self) -> dt.datetime:
        return dt.datetime.fromisoformat(self.predicate["delivery"]["leased_until"])


def verify_directory(
    directory: Path,
    *,
    keys: Sequence[Ed25519PublicKey],
    now: dt.datetime | None = None,
    run: str | None = None,
) -> DataSet:
    """The data set in a directory. Every byte of it is read.

    :param keys: the keys whose word is taken, such as that of this machine (`training_portal.keys`).
    :param now: the moment at which the lease has to last (aware), by default this one.
    :param run: the reference of the run that the data set has to be of.
    Raises NotVerified for what is no whole data set, LeaseOver for one whose lease has ended.
    """
    if (directory / SUBTRACTING).exists():
        raise NotVerified(
            "A subtraction from this directory has not ended.", "Run it again: it goes on."
        )
    found = whole(directory, keys=keys, run=run)
    if (now or dt.datetime.now(dt.UTC)) >= found.leased_until:
        raise LeaseOver(
            f"The lease of {found.predicate['delivery']['reference']} has ended.",
            f"Renew it and take out who has left: training-portal subtract {directory}.",
        )
    return found


def whole(directory: Path, *, keys: Iterable[Ed25519PublicKey], run: str | None = None) -> DataSet:
    """The data set in a directory, whether or not its lease lasts: to subtract from it, never to train on it.

    Raises NotVerified.
    """
    found = read_receipt(directory, keys)
    if run is not None and found.predicate["run"] != run:
        raise NotVerified(f"The receipt is of {found.predicate['run']}, and not of {run}.")
    if (directory / ASIDE).exists():
        raise NotVerified(
            "A preparation of this directory has not ended.", "Run it again: it goes on."
        )
    there = files_in(directory) - BESIDE
    if missing := set(found.names) - there:
        raise NotVerified(f"{len(missing)} files of the receipt are missing.")
    if foreign := there - set(found.names):
        raise NotVerified(f"{len(foreign)} files are there that the receipt does not name.")
    for one in found.predicate["outputs"]:
        path = directory / one["name"]
        if path.is_symlink() or path.stat().st_size != one["bytes"]:
            raise NotVerified(f"{one['name']} is not the file that the receipt names.")
        if digest_of(path) != one["sha256"]:
            raise NotVerified(f"{one['name']} is not the file that the receipt names.")
    return found


def read_receipt(directory: Path, keys: Iterable[Ed25519PublicKey]) -> DataSet:
    """The receipt of a directory, signed by one of the keys. The files were not looked at. Raises NotVerified."""
    try:
        data = (directory / receipts.FILE).read_bytes()
    except OSError:
        raise NotVerified(
            f"{directory.name} has no receipt, so it is no data set.",
            "Prepare it, or run the same preparation again.",
        ) from None
    try:
        envelope = json.loads(data)
        keyid = envelope["signatures"][0]["keyid"]
    except (ValueError, KeyError, TypeError, IndexError):
        raise NotVerified("The receipt cannot be read.") from None
    public = next((one for one in keys if receipts.keyid(one) == keyid), None)
    if public is None:
        raise NotVerified("The receipt is signed by a key that is not known here.")
    found = DataSet(directory, envelope, receipts.opened(envelope, public))
    try:
        _check_shape(found)
    except (KeyError, TypeError, ValueError):
        raise NotVerified("The receipt does not have the fields of a receipt.") from None
    return found


def _check_shape(found: DataSet) -> None:
    if found.leased_until.tzinfo is None:
        raise ValueError("no zone")
    subjects = [
        {"name": one["name"], "digest": {"sha256": one["sha256"]}}
        for one in found.predicate["outputs"]
    ]
    if found.statement["subject"] != subjects:
        raise ValueError("the subjects are not the outputs")
    for name in found.names:
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise ValueError("a name leads elsewhere")


def numbers_in(path: Path) -> Iterator[Numbers]:
    """The member numbers of a data file, batch by batch. Raises NotVerified for a file without them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as parquet:
            field = parquet.schema_arrow.field(MEMBER_NUMBER)
            if field.type != pa.uint32():
                raise NotVerified(f"{path.name} has no member numbers.")
            for batch in parquet.iter_batches(columns=[MEMBER_NUMBER]):
                yield batch.column(0).to_numpy()
    except (KeyError, pa.ArrowInvalid):
        raise NotVerified(f"{path.name} has no member numbers.") from None
    except OSError as error:
        raise Misuse(f"{path.name} cannot be read: {error.strerror}.") from None
