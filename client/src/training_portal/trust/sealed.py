"""The facts that the ledger seals about a delivery: the row in the entry that made it."""

import datetime as dt
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

from training_portal.errors import NotVerified
from training_portal.permission import Subtraction
from training_portal.trust.archives import DeliveryArchive
from training_portal.trust.canonical import canonical, encoded
from training_portal.trust.notes import Checkpoint, Proved

KIND = "delivery.made"
_TABLE = "deliveries.historicaldelivery"
_ENTRY_FIELDS = frozenset(
    "actor credential format kind reason recorded_at rows sequence subject".split()
)
_DIGEST = re.compile(r"[0-9a-f]{64}")
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_REFERENCE = re.compile(r"[A-Z]{2}-[0-9]{4}-[0-9]{6,}")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)


@dataclass(frozen=True)
class SealedFile:
    name: str
    sha256: str
    bytes: int
    rows: int
    first: int
    last: int


@dataclass(frozen=True)
class SealedDelivery:
    """A delivery as its entry has it; `checkpoint` is the one that covers the entry."""

    sequence: int
    checkpoint: Checkpoint
    run: str
    reference: str
    form: Literal["list", "set"]
    archive: str
    archive_bytes: int
    as_of: str
    ledger_root: str
    rows: int
    subtraction: Subtraction
    leased_until_text: str
    files: tuple[SealedFile, ...]

    @property
    def leased_until(self) -> dt.datetime:
        return dt.datetime.fromisoformat(self.leased_until_text)

    def check(self, archive: DeliveryArchive, run: str) -> None:
        """Raises NotVerified unless the archive, whose digest is the sealed one, says what the entry says."""
        said = archive.header
        pairs = {
            "run": (said["run"], run),
            "delivery": (said["delivery"], self.reference),
            "form": (said["form"], self.form),
            "as_of": (said["as_of"], self.as_of),
            "cut": (said["cut"], self.subtraction.cut),
            "ledger_root": (said["ledger_root"], self.ledger_root),
            "count": (len(archive.delivered), self.rows),
            "subtraction": (
                (len(archive.subtracted), archive.subtraction_digest),
                (self.subtraction.count, self.subtraction.digest),
            ),
        }
        for name, (found, sealed) in pairs.items():
            if found != sealed:
                raise NotVerified(
                    f"The {name} in the archive of {self.reference} is not the one that entry {self.sequence} seals."
                )


def read(proved: Proved, run: str, line: Callable[[], bytes]) -> SealedDelivery:
    """The delivery that a proved leaf is about. Raises NotVerified for any other leaf.

    `line` gives the entry with all its rows; it is asked only for a long one, whose leaf has digests of its rows.
    """
    what = f"entry {proved.index + 1}"
    try:
        entry = canonical(proved.data)
        if _is_short(entry):
            entry = _whole(entry, line())
        if not isinstance(entry, dict) or entry.keys() != _ENTRY_FIELDS:
            raise ValueError("it does not have the fields of an entry")
        if (entry["format"], entry["kind"]) != (1, KIND):
            raise ValueError("it made no delivery")
        if entry["sequence"] != proved.index + 1:
            raise ValueError(f"it says it is entry {entry['sequence']}")
        if entry["subject"] != run:
            raise ValueError(f"it is about another run than {run}")
        made = [row for row in _rows(entry["rows"]) if row.get("state") == "delivered"]
        if len(made) != 1:
            raise ValueError("it made not one delivery")
        return _delivery(made[0], entry["sequence"], proved.checkpoint, run)
    except (ValueError, KeyError, TypeError) as error:
        raise NotVerified(f"The proof of {what} does not prove a delivery: {error}.") from None


def _is_short(entry: Any) -> bool:
    return isinstance(entry, dict) and any("digest" in one for one in entry["rows"].values())


def _whole(short: Mapping[str, Any], line: bytes) -> dict[str, Any]:
    """The entry of the line, if the leaf is its short form."""
    entry = canonical(line)
    tables = {
        name: {
            "columns": table["columns"],
            "count": len(table["values"]),
            "digest": sha256(encoded(table["values"])).hexdigest(),
        }
        for name, table in entry["rows"].items()
    }
    if {**entry, "rows": tables} != short:
        raise ValueError("its rows are not those that were sealed")
    return dict(entry)


def _rows(tables: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    table = tables[_TABLE]
    columns = table["columns"]
    return [dict(zip(columns, values, strict=True)) for values in table["values"]]


def _delivery(
    row: Mapping[str, Any], sequence: int, checkpoint: Checkpoint, run: str
) -> SealedDelivery:
    form = row["form"]
    if form not in ("list", "set"):
        raise ValueError("it has a form that this client does not know")
    files = tuple(
        SealedFile(
            _text(one["name"], _FILE_NAME),
            _text(one["sha256"], _DIGEST),
            *(_count(one[name]) for name in ("bytes", "rows", "first", "last")),
        )
        for one in row["files"]
    )
    rows, cut = _count(row["rows"]), _count(row["cut"])
    if len({one.name for one in files}) != len(files):
        raise ValueError("two of its files have one name")
    if (form == "list") != bool(files) or (files and sum(one.rows for one in files) != rows):
        raise ValueError("its files do not have as many rows as members were delivered")
    if not 1 <= cut < sequence:
        raise ValueError("its cut is not before it")
    return SealedDelivery(
        sequence=sequence,
        checkpoint=checkpoint,
        run=run,
        reference=_text(row["reference"], _REFERENCE),
        form=form,
        archive=_text(row["digest"], _DIGEST),
        archive_bytes=_count(row["size"]),
        as_of=_text(row["as_of"], _MOMENT),
        ledger_root=_text(row["ledger_root"], _DIGEST),
        rows=rows,
        subtraction=Subtraction(
            _count(row["subtracted"]), _text(row["subtraction_digest"], _DIGEST), cut
        ),
        leased_until_text=_text(row["leased_until"], _MOMENT),
        files=files,
    )


def _text(value: Any, form: re.Pattern[str]) -> str:
    if not isinstance(value, str) or not form.fullmatch(value):
        raise ValueError("a field does not have its form")
    return value


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError("a field is no count")
    return value
