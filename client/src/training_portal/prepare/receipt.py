"""The receipt of a preparation: written last, and only over files that are whole and at their place."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from training_portal import receipts
from training_portal.errors import Misuse
from training_portal.permission import Permission
from training_portal.prepare import disk
from training_portal.prepare.columns import Columns
from training_portal.prepare.inputs import Raw
from training_portal.prepare.quality import Quality
from training_portal.prepare.redacting import Redaction
from training_portal.prepare.tally import Tally
from training_portal.prepare.types import MemberType, is_plain, plain_type


@dataclass(frozen=True)
class Prepared:
    """A data set that was made."""

    directory: Path
    envelope: Mapping[str, Any]
    """The receipt, as the portal takes it."""
    statement: Mapping[str, Any]

    @property
    def rows(self) -> Mapping[str, Any]:
        """`in`, `kept`, and `dropped` by reason."""
        rows: Mapping[str, Any] = self.statement["predicate"]["rows"]
        return rows


def finish(
    directory: Path,
    aside: Path,
    *,
    permission: Permission,
    columns: Columns,
    kind: MemberType,
    raw: Sequence[Raw],
    parts: Sequence[Mapping[str, Any]],
    distinct_members: int,
    found: Quality,
    accept_unknown: str,
    redaction: Redaction | None,
    key: Ed25519PrivateKey,
    started_at: str,
    ended_at: str,
) -> Prepared:
    """Sign what became of the inputs, and put the receipt beside the data."""
    whole = Tally()
    for part in parts:
        whole += Tally.from_json(part["tally"])
    statement = receipts.statement(
        permission,
        inputs=[
            {
                "name": one.name,
                "sha256": part["input"],
                "bytes": one.size,
                "rows": one.rows,
            }
            for one, part in zip(raw, parts, strict=True)
        ],
        outputs=[
            {"name": part["name"], **part["output"]} for part in parts if part["output"] is not None
        ],
        member_column={"name": columns.member_column, "type": kind},
        dropped={reason: count for reason, count in sorted(whole.dropped.items()) if count},
        distinct_members=distinct_members,
        unknown_per_mille=found.unknown_per_mille,
        unknown_accepted=accept_unknown,
        # Tokens were not counted: a guess from bytes would look like a count.
        tokens={},
        bytes_by_modality={"text": whole.text_bytes},
        started_at=started_at,
        ended_at=ended_at,
        data_categories=sorted(columns.categories),
        redaction=None
        if redaction is None
        else redaction.for_receipt(whole.by_kind, whole.by_entry),
        content=whole.content(),
    )
    _add_schemas(statement, raw, columns)
    return write(directory, aside, statement, key)


_FILE_BYTES: Final = 380
"""Of a statement, for a file that is read and written, besides its name, which is said three times."""
_KEPT_FREE: Final = 2**19
"""Bytes of a statement for all that is said besides the files."""


def check_room(names: Sequence[str]) -> None:
    """Check, before any work, that a receipt has room for so many files. Raises Misuse."""
    needed = sum(_FILE_BYTES + 3 * len(name) for name in names)
    room = receipts.MAX_STATEMENT_BYTES - _KEPT_FREE
    if needed > room:
        raise Misuse(
            f"{len(names)} inputs are too many for one receipt.",
            f"At most {room * len(names) // needed} with names of this length: make several data sets, or larger files.",
            code="input",
        )


def write(
    directory: Path, aside: Path, statement: Mapping[str, Any], key: Ed25519PrivateKey
) -> Prepared:
    """Sign a statement and put it beside the data: from now on the directory is a data set."""
    envelope = receipts.envelope(statement, key)
    if len(envelope["payload"]) * 3 // 4 > receipts.MAX_STATEMENT_BYTES:
        raise Misuse(
            "The receipt is longer than the portal takes.",
            "Make several data sets of fewer files, or files with shorter names.",
            code="input",
        )
    data = json.dumps(envelope, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    disk.write(directory / receipts.FILE, data, aside)
    return Prepared(directory, envelope, statement)


def _add_schemas(statement: Mapping[str, Any], raw: Sequence[Raw], columns: Columns) -> None:
    """The types of the columns that were used, as long as the receipt has room for them."""
    names = [columns.member_column, *columns.mapped]
    if columns.content_date is not None and is_plain(columns.content_date):
        names.append(columns.content_date)
    if len(raw) * sum(len(name) + 20 for name in names) > _KEPT_FREE // 2:
        return
    for one, said in zip(raw, statement["predicate"]["inputs"], strict=True):
        said["schema"] = {name: plain_type(one.schema.field(name).type) for name in names}
