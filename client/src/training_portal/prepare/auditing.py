"""Repeating a preparation: the filter for every row, the redaction and the columns for a sample, compared with what is there."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from training_portal.errors import Misuse, NotVerified
from training_portal.permission import Permission
from training_portal.prepare.batches import Batches
from training_portal.prepare.columns import Columns
from training_portal.prepare.inputs import Inputs, Raw, named
from training_portal.prepare.joining import Joiner, Matched
from training_portal.prepare.members import Members, days_of
from training_portal.prepare.preparing import Options, kind_of_members, metadata_of
from training_portal.prepare.redacting import Redaction
from training_portal.prepare.tally import Tally
from training_portal.prepare.types import MEMBER_NUMBER
from training_portal.prepare.verifying import DataSet, numbers_in
from training_portal.prepare.writing import MAX_ROWS

Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Audit:
    """A preparation that was repeated and gave the same."""

    rows: int
    """Rows of the data set, of which each was found to be of the member whose it should be."""
    sampled: int
    """Rows whose columns were made again and compared."""
    seed: int
    """Picks the same sample again."""


def audit(
    found: DataSet,
    inputs: Sequence[Path],
    scratch: Path,
    *,
    permission: Permission,
    columns: Columns,
    redaction: Redaction | None,
    sample: int,
    seed: int | None = None,
    options: Options | None = None,
) -> Audit:
    """Repeat the preparation of a data set from its raw files, and compare.

    :param found: a data set that was verified.
    :param scratch: a private directory for what memory does not hold.
    :param permission: that of the delivery which the receipt names.
    :param sample: how many rows of the data set are made again; every row's member is compared anyway.
    :param seed: picks the rows; by default a new one, which the data set's maker cannot have known.
    Raises NotVerified where anything differs, Misuse where something else is compared than what was prepared.
    """
    said = options or Options()
    predicate = found.predicate
    if permission.archive != predicate["delivery"]["archive"]:
        raise Misuse(
            f"The data set is of {predicate['delivery']['reference']}, and not of {permission.delivery}.",
            "Audit it with the permission of its own delivery.",
            code="delivery",
        )
    if predicate["member_column"]["name"] == MEMBER_NUMBER:
        raise Misuse(
            "Members were taken out of the data set since it was prepared: its receipt names the data files of before.",
            "Audit a data set as it was prepared, or prepare it again from the renewed delivery.",
            code="subtracted",
        )
    columns = columns.kept(permission.data_categories)
    seed = secrets.randbits(64) if seed is None else seed
    outputs = {one["name"]: one for one in predicate["outputs"]}
    picked = _picked(outputs, sample, seed)
    with Inputs(named(inputs)) as raw:
        _check_inputs(raw, predicate["inputs"])
        kind = kind_of_members(raw, columns)
        redactor = None if redaction is None else redaction.redactor()
        repeating = _Repeating(
            found,
            columns,
            redaction,
            picked,
            Members(permission),
            Batches(permission, columns, redactor),
        )
        with Joiner(
            permission, columns, kind, scratch, threads=said.threads, memory_mb=said.memory_mb
        ) as joiner:
            _, matched = joiner.match(raw)
            for at, one in enumerate(raw):
                said.progress.step(f"{one.name} is prepared again ({at + 1} of {len(raw)})")
                repeating.compare(one, joiner, matched[one.name], outputs.get(one.name))
                one.finish()
    return Audit(predicate["rows"]["kept"], sum(map(len, picked.values())), seed)


def _picked(outputs: dict[str, Any], sample: int, seed: int) -> dict[str, Places]:
    """By file: the places of sampled rows, each row with the same chance."""
    ends = np.cumsum([one["rows"] for one in outputs.values()], dtype=np.int64)
    rows = int(ends[-1]) if len(ends) else 0
    places = np.sort(
        np.random.default_rng(seed).choice(rows, min(sample, rows), replace=False, shuffle=False)
    )
    found, first = {}, 0
    for name, end in zip(outputs, ends.tolist(), strict=True):
        found[name] = places[(places >= first) & (places < end)] - first
        first = end
    return found


def _check_inputs(raw: Inputs, said: Sequence[dict[str, Any]]) -> None:
    expected = {one["name"]: one["sha256"] for one in said}
    if {one.name for one in raw} != set(expected):
        raise Misuse(
            f"The receipt names {len(expected)} inputs, and others were given.",
            "Give the raw files that the data set was prepared from, and no others.",
            code="input",
        )
    for one in raw:
        if one.finish() != expected[one.name]:
            raise NotVerified(f"{one.name} is not the raw file that the receipt names.")


@dataclass(frozen=True)
class _Repeating:
    found: DataSet
    columns: Columns
    redaction: Redaction | None
    picked: dict[str, Places]
    members: Members
    batches: Batches

    def compare(
        self, raw: Raw, joiner: Joiner, matched: Matched, output: dict[str, Any] | None
    ) -> None:
        """Raises NotVerified unless the file has exactly the rows that may be used, and the sampled ones are equal."""
        expected = self._expected(raw, joiner, matched, self.picked.get(raw.name, _NONE))
        if output is None:
            if len(expected.numbers):
                raise NotVerified(
                    f"{raw.name} has {len(expected.numbers)} rows that may be used and is not in the data set."
                )
            return
        path = self.found.directory / raw.name
        there = np.concatenate([*numbers_in(path), np.zeros(0, np.uint32)])
        if not np.array_equal(there, expected.numbers):
            raise NotVerified(f"The rows of {raw.name} are not those that may be used.")
        said = pq.read_metadata(path).metadata or {}
        if dict(said) | metadata_of(raw.finish(), self.columns, self.redaction) != dict(said):
            raise Misuse(
                f"{raw.name} was prepared with other columns, or redacted in another way.",
                "Repeat the preparation with the same --columns and --profile.",
                code="columns",
            )
        sampled = _rows_at(path, self.picked[raw.name])
        if sampled != expected.sampled.cast(sampled.schema):
            raise NotVerified(
                f"Of {len(sampled)} sampled rows of {raw.name}, some are not what a preparation makes of them."
            )

    def _expected(self, raw: Raw, joiner: Joiner, matched: Matched, places: Places) -> "_Expected":
        numbers, sampled, done = [], [], 0
        for batch, found, dates in joiner.rows(raw, matched, MAX_ROWS):
            kept = self.members.judge(found, None if dates is None else days_of(dates)).kept
            where = np.flatnonzero(kept)
            numbers.append(found[where])
            mine = places[(places >= done) & (places < done + len(where))] - done
            done += len(where)
            if len(mine):
                rows = pa.array(where[mine])
                taken = self.batches.take(
                    batch.take(rows),
                    found[where[mine]],
                    None if dates is None else dates.take(rows),
                    Tally(),
                )
                sampled.append(self.batches.redact(taken, Tally()))
        return _Expected(
            np.concatenate([*numbers, np.zeros(0, np.uint32)]),
            pa.Table.from_batches(sampled) if sampled else pa.table({}),
        )


_NONE: Final[Places] = np.zeros(0, np.int64)


@dataclass(frozen=True)
class _Expected:
    numbers: npt.NDArray[np.uint32]
    """The member of each row that may be used, in the order of the raw file."""
    sampled: Any
    """The sampled rows, prepared again."""


def _rows_at(path: Path, places: Places) -> Any:
    """The rows of a data file at these places, as a table."""
    found, first = [], 0
    with pq.ParquetFile(path, page_checksum_verification=True) as parquet:
        for batch in parquet.iter_batches(MAX_ROWS):
            mine = places[(places >= first) & (places < first + len(batch))] - first
            if len(mine):
                found.append(batch.take(pa.array(mine)))
            first += len(batch)
    return pa.Table.from_batches(found).replace_schema_metadata(None) if found else pa.table({})
