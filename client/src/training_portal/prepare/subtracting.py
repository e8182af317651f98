"""Taking members out of a data set: those who are not in the renewed delivery. Only files with rows of theirs are written.

Whatever happens in between, the directory is the old data set, the new one, or none until the same call goes on:

clean/.subtracting/files/…          the new files, written first
clean/.subtracting/subtraction.json  last: from now on the new files take the place of the old ones, and the receipt last
"""

import datetime as dt
import json
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pyroaring import BitMap

from training_portal import locks, receipts
from training_portal.errors import Misuse, NotVerified
from training_portal.permission import Permission
from training_portal.prepare import disk
from training_portal.prepare.members import Bits
from training_portal.prepare.preparing import Options, check_lease, text_of
from training_portal.prepare.types import MEMBER_NUMBER, is_text
from training_portal.prepare.verifying import DataSet, numbers_in, whole
from training_portal.prepare.work import SUBTRACTING
from training_portal.prepare.writing import COLUMNS, INPUT, MAX_ROWS, RUN, DataFile

_READY: Final = "subtraction.json"
_FILES: Final = "files"

Cohorts = Sequence[tuple[dt.date, BitMap]]


@dataclass(frozen=True)
class Subtracted:
    """A data set without the members who have left."""

    directory: Path
    envelope: dict[str, Any]
    """The new receipt, as the portal takes it."""
    statement: dict[str, Any]
    files: tuple[str, ...]
    """The files that were written anew or removed."""

    @property
    def rows(self) -> dict[str, Any]:
        """`in`, `kept`, and `dropped` by reason."""
        rows: dict[str, Any] = self.statement["predicate"]["rows"]
        return rows


@dataclass
class _Change:
    """The change of one data file."""

    output: dict[str, Any] | None
    """As a receipt names it; None where no row is left."""
    is_new: bool = False
    dropped: Counter[str] = field(default_factory=Counter)
    text_bytes: int = 0
    """UTF-8 bytes of the text in the rows that were dropped."""


def subtract(
    directory: Path,
    *,
    permission: Permission,
    before: Cohorts,
    keys: Sequence[Ed25519PublicKey],
    key: Ed25519PrivateKey,
    options: Options | None = None,
) -> Subtracted:
    """Take out of a data set the members who are not in the permission of a renewed delivery, and write the new receipt.

    :param before: the cohorts of the delivery that the data set was prepared from: a member whose content may now be used
        from a later day on is taken out, because a data set does not say how old a row is.
    :param keys: those that may have signed the receipt that is there.
    :param key: signs the new one.
    Texts stay as they were redacted. Raises Misuse, NotVerified, LeaseOver; a subtraction that stopped goes on.
    """
    said = options or Options()
    check_lease(permission, said.now())
    with _alone(directory) as aside, disk.refusals(directory):
        if (aside / _READY).exists():
            return _put_in_place(directory, aside)
        shutil.rmtree(aside / _FILES, ignore_errors=True)
        started_at = text_of(said.now())
        found = _found(directory, permission, keys)
        late = _later(permission.cohorts, before)
        top = permission.population
        usable, too_old = (
            Bits.of(permission.members - late, top),
            Bits.of(permission.members & late, top),
        )
        seen, changes = Bits(top), {}
        for number, one in enumerate(found.predicate["outputs"]):
            said.progress.step(
                f"{one['name']} is looked at ({number + 1} of {len(found.predicate['outputs'])})"
            )
            changes[one["name"]] = _changed(
                directory, aside, one, usable=usable, too_old=too_old, seen=seen
            )
        check_lease(permission, said.now())
        statement = _statement(
            found,
            permission,
            changes,
            distinct_members=len(seen),
            started_at=started_at,
            ended_at=text_of(said.now()),
        )
        ready = {
            "envelope": receipts.envelope(statement, key),
            "written": [name for name, one in changes.items() if one.is_new],
            "removed": [name for name, one in changes.items() if one.output is None],
        }
        disk.write(aside / _READY, json.dumps(ready).encode(), aside)
        return _put_in_place(directory, aside)


def resume(directory: Path) -> Subtracted | None:
    """Finish a subtraction that had everything ready when it stopped; None where there is none."""
    if not (directory / SUBTRACTING / _READY).exists():
        return None
    with _alone(directory) as aside, disk.refusals(directory):
        return _put_in_place(directory, aside)


@contextmanager
def _alone(directory: Path) -> Iterator[Path]:
    """The directory for what is not at its place yet, for this process alone."""
    aside = directory / SUBTRACTING
    if not directory.is_dir():
        raise NotVerified(f"{directory.name} is no directory, so it is no data set.")
    busy = Misuse(
        f"Another process is subtracting from {directory.name}.", "Wait for it.", code="busy"
    )
    with ExitStack() as lock:
        with disk.refusals(directory):
            aside.mkdir(mode=0o700, exist_ok=True)
            lock.enter_context(locks.held(aside, busy))
        try:
            yield aside
        except BaseException:
            if not (aside / _READY).exists():
                # Nothing has taken a place: the data set is what it was.
                shutil.rmtree(aside, ignore_errors=True)
            raise


def _found(directory: Path, permission: Permission, keys: Sequence[Ed25519PublicKey]) -> DataSet:
    found = whole(directory, keys=keys, run=permission.run)
    if found.predicate["delivery"]["reference"] == permission.delivery:
        raise Misuse(
            f"{directory.name} was prepared from {permission.delivery} already.",
            f"Renew the delivery: training-portal fetch {permission.run} --renew.",
            code="same_delivery",
        )
    return found


def _later(now: Cohorts, before: Cohorts) -> BitMap:
    """The members whose first day is a later one than it was."""
    late = BitMap()
    for day, members in now:
        still = reduce(
            lambda all_, one: all_ | one[1], [c for c in before if c[0] >= day], BitMap()
        )
        late |= members - still
    return late


def _changed(
    directory: Path, aside: Path, output: dict[str, Any], *, usable: Bits, too_old: Bits, seen: Bits
) -> _Change:
    path, gone = directory / output["name"], 0
    for numbers in numbers_in(path):
        keeps = usable.has(numbers)
        gone += len(numbers) - int(np.count_nonzero(keeps))
        seen.add(numbers[keeps])
    if not gone:
        return _Change(output)
    change = _Change(None)
    partial = aside / _FILES / output["name"]
    partial.parent.mkdir(parents=True, exist_ok=True)
    file = DataFile(partial.with_name(f"{partial.name}.partial"))
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as parquet:
            metadata = {
                name: value
                for name, value in (parquet.metadata.metadata or {}).items()
                if name in (INPUT, RUN, COLUMNS)
            }
            for batch in parquet.iter_batches(MAX_ROWS):
                numbers = batch.column(MEMBER_NUMBER).to_numpy()
                keeps, old = usable.has(numbers), too_old.has(numbers)
                change.dropped["before_use_from"] += int(np.count_nonzero(old))
                change.dropped["excluded"] += int(np.count_nonzero(~keeps & ~old))
                change.text_bytes += _text_bytes(batch.filter(pa.array(~keeps)))
                rest = batch.filter(pa.array(keeps))
                if len(rest):
                    file.write(rest.replace_schema_metadata(None))
        if file.rows:
            digest, size = file.finish(partial, metadata)
            change.output = {**output, "sha256": digest, "bytes": size, "rows": file.rows}
            change.is_new = True
    finally:
        file.abandon()
    return change


def _text_bytes(batch: Any) -> int:
    return sum(
        pc.sum(pc.binary_length(column)).as_py() or 0
        for column in batch.columns
        if is_text(column.type)
    )


def _statement(
    found: DataSet,
    permission: Permission,
    changes: dict[str, _Change],
    *,
    distinct_members: int,
    started_at: str,
    ended_at: str,
) -> dict[str, Any]:
    said = found.predicate
    dropped: Counter[str] = sum((one.dropped for one in changes.values()), Counter())
    gone = sum(one.text_bytes for one in changes.values())
    redaction = said.get("redaction")
    if redaction is not None:
        # The list was lent for the earlier delivery; its receipt keeps what it found.
        redaction = {
            name: value
            for name, value in redaction.items()
            if name not in ("list_version", "hits_by_entry")
        }
    return receipts.statement(
        permission,
        inputs=said["outputs"],
        outputs=[one.output for one in changes.values() if one.output is not None],
        member_column={"name": MEMBER_NUMBER, "type": "number"},
        dropped={reason: count for reason, count in sorted(dropped.items()) if count},
        distinct_members=distinct_members,
        unknown_per_mille=0,
        tokens={},
        bytes_by_modality={
            name: count - gone if name == "text" else count for name, count in said["bytes"].items()
        },
        started_at=started_at,
        ended_at=ended_at,
        data_categories=said["data_categories"],
        redaction=redaction,
        # The days of what was there before are bounds of what is left.
        content=said.get("content"),
    )


def _put_in_place(directory: Path, aside: Path) -> Subtracted:
    """Exchange the files, then the receipt. Each step can be repeated."""
    ready = json.loads((aside / _READY).read_bytes())
    envelope = ready["envelope"]
    statement = receipts.opened(envelope)
    # The receipt that is there speaks of files that are about to go.
    (directory / receipts.FILE).unlink(missing_ok=True)
    disk.sync_directory(directory)
    for name in ready["written"]:
        made = aside / _FILES / name
        if made.exists():
            disk.place(made, directory / name)
    for name in ready["removed"]:
        (directory / name).unlink(missing_ok=True)
        disk.sync_directory((directory / name).parent)
    data = json.dumps(envelope, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    disk.write(directory / receipts.FILE, data, aside)
    # What says that the new files go on is the last to go.
    shutil.rmtree(aside / _FILES, ignore_errors=True)
    (aside / _READY).unlink()
    shutil.rmtree(aside)
    return Subtracted(
        directory, envelope, statement, tuple(sorted((*ready["written"], *ready["removed"])))
    )
