"""A portal whose owner lies: it has the key, signs and seals whatever it is told, and a client must notice all the same.

Made from the formats' documentation with none of the client's code, so that a misreading of the client cannot hide in it.
"""

import base64
import datetime as dt
import json
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pyroaring import BitMap

from training_portal.trust import Withdrawals

NAME = "portal.example/ledger"
RUN, DELIVERY = "TR-2026-000001", "DL-2026-000001"
DAYS = {
    "zones": "tzdata 2026.6", "world": "2026-11-25/2026-11-26", "places": {"2026-11-26": ["FR"]}, "ahead": ["FR"],
}  # fmt: skip
CODES = ("erased", "closed", "country_unknown", "minor", "region", "no_notice", "not_opted_in", "opted_out")  # fmt: skip
SCHEMA = pa.schema(
    [
        pa.field("member_number", pa.uint32(), nullable=False),
        pa.field("account_ref", pa.string(), nullable=False),
        pa.field("use_from", pa.date32()),
    ]
)


def canonical(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def roaring(members: BitMap) -> bytes:
    ordered = members.copy()
    ordered.run_optimize()
    return ordered.serialize()


def node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def root_and_path(leaves: list[bytes], index: int) -> tuple[bytes, list[bytes]]:
    """The root over leaf hashes, and the path of one of them."""
    if len(leaves) == 1:
        return leaves[0], []
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    left, left_path = root_and_path(leaves[:half], index if index < half else 0)
    right, right_path = root_and_path(leaves[half:], index - half if index >= half else 0)
    path = [*left_path, right] if index < half else [*right_path, left]
    return node(left, right), path


@dataclass
class LyingPortal:
    """What the owner says. Each field may be made a lie before it is asked; everything else follows from it, signed."""

    home: Path
    population: int = 1_000
    excluded: dict[str, BitMap] = field(
        default_factory=lambda: {"opted_out": BitMap(range(901, 1_001))}
    )
    subtracted: BitMap = field(default_factory=lambda: BitMap([5, 6, 7]))
    delivered: BitMap | None = None
    rows: list[tuple[int, str, dt.date | None]] | None = None
    cohorts: dict[str, BitMap] = field(default_factory=lambda: {"2025-11-03": BitMap([10, 11])})
    delivered_cohorts: dict[str, BitMap] | None = None
    withdrawn_numbers: BitMap = field(default_factory=lambda: BitMap([5, 6, 7]))
    withdrawn_digest: str = ""
    leased_until: str = "2099-12-26T10:00:00.000000Z"
    row: dict[str, Any] = field(default_factory=dict)
    """Columns of the delivery's row that say something else than its archive."""
    header: dict[str, Any] = field(default_factory=dict)
    """Fields of the delivery's header that say something else."""
    tree_of: dict[str, BitMap] | None = None
    """The exclusions that the signed tree of members is made of, where it is not the manifest's."""
    list_schema: pa.Schema = SCHEMA
    forms: dict[str, str] = field(default_factory=lambda: {"form": "list"})
    entry_said: dict[str, Any] = field(default_factory=dict)
    """Fields of the entry that say something else."""
    origin: str = NAME
    """Under which name the tree of entries is signed."""
    tree_run: str = RUN
    """For which run the tree of members is signed."""
    list_bytes: bytes = b""
    """What is given for the list, where it is something else than what was sealed."""
    manifest_as_of: str = "2026-11-26T00:00:00.000000Z"
    line: bytes = b""
    """What is given for the entry with all its rows, where it is something else."""
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.use_key(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))

    def use_key(self, key: Ed25519PrivateKey) -> None:
        self.key = key
        self.data = b"\x01" + self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.key_id = sha256(NAME.encode() + b"\n" + self.data).digest()[:4]

    @property
    def verifier_key(self) -> str:
        return f"{NAME}+{self.key_id.hex()}+{base64.b64encode(self.data).decode()}"

    @property
    def included(self) -> BitMap:
        return BitMap(range(1, self.population + 1)) - BitMap().union(*self.excluded.values())

    # --- The source that a client asks ----------------------------------------------------------

    def deliveries_made(self, run):
        return [2]

    def entry_proof(self, run, sequence):
        self.asked.append("proof")
        leaves = [b"the first entry", self._leaf(), b"the third entry"]
        hashes = [sha256(b"\x00" + leaf).digest() for leaf in leaves]
        root, path = root_and_path(hashes, 1)
        lines = [
            "c2sp.org/tlog-proof@v1",
            f"extra {base64.b64encode(leaves[1]).decode()}",
            "index 1",
        ]
        lines += [base64.b64encode(one).decode() for one in path]
        return "\n".join(lines) + "\n\n" + self._note(self.origin, 3, root)

    def entry(self, run, sequence):
        self.asked.append("entry")
        return self.line or self._entry()

    def consistency(self, old, new):
        raise AssertionError("there is one checkpoint only")

    def delivery_archive(self, delivery):
        self.asked.append("archive")
        return self._delivery_archive()

    def manifest_archive(self, run, digest, delivery):
        self.asked.append("manifest")
        return self._manifest()

    def manifest_checkpoint(self, run):
        excluded = self.excluded if self.tree_of is None else self.tree_of
        each = bytearray(self.population) + bytearray(b"\x0f" * (-self.population % 128))
        for code in reversed([one for one in CODES if one in excluded]):
            for number in excluded[code]:
                each[number - 1] = CODES.index(code) + 1
        packed = bytes(each[at] | each[at + 1] << 4 for at in range(0, len(each), 2))
        digest = sha256(self._manifest()).hexdigest()
        leaves = [f"training-manifest-members/1\n{RUN}\n{digest}\n{self.population}\n".encode()]
        leaves += [packed[at : at + 64] for at in range(0, len(packed), 64)]
        root, _ = root_and_path([sha256(b"\x00" + leaf).digest() for leaf in leaves], 0)
        return self._note(f"{NAME}/{self.tree_run}", len(leaves), root)

    def list_file(self, delivery, file):
        self.asked.append("list")
        path = self._list()
        if self.list_bytes:
            path.write_bytes(self.list_bytes)
        return path

    def withdrawn(self, run):
        digest = self.withdrawn_digest or sha256(roaring(self.withdrawn_numbers)).hexdigest()
        return Withdrawals(self.withdrawn_numbers, digest)

    def now(self):
        return dt.datetime.now(dt.UTC)

    # --- What it is made of ---------------------------------------------------------------------

    def _note(self, origin: str, size: int, root: bytes) -> str:
        text = f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n"
        signature = base64.b64encode(self.key_id + self.key.sign(text.encode())).decode()
        return f"{text}\n\u2014 {NAME} {signature}\n"

    def _archive(self, magic: bytes, header: dict[str, Any], parts: dict[str, BitMap]) -> bytes:
        blobs = {name: roaring(members) for name, members in parts.items()}
        said = [
            {"name": name, "members": len(parts[name]), "bytes": len(blob), "sha256": sha256(blob).hexdigest()}
            for name, blob in blobs.items()
        ]  # fmt: skip
        return magic + canonical({**header, "parts": said}) + b"\n" + b"".join(blobs.values())

    def _manifest(self) -> bytes:
        header = {
            "run": RUN, "purpose": "generative-ai", "data_categories": ["posts"], "parent": None, "as_of": self.manifest_as_of,
            "days": DAYS, "consents": {},
            "cut": 1, "ledger_root": "00" * 32, "notices": [], "region_rules": [], "policies": {},
            "reasons": {code: {"sentence": "", "ground": ""} for code in self.excluded}, "population": self.population,
        }  # fmt: skip
        cohorts = {f"from:{day}": members for day, members in self.cohorts.items()}
        parts = {"included": self.included, **self.excluded, **cohorts}
        return self._archive(b"training-manifest/1\n", header, parts)

    def _split(self) -> tuple[BitMap, dict[str, BitMap]]:
        delivered = self.included - self.subtracted if self.delivered is None else self.delivered
        days = self.cohorts if self.delivered_cohorts is None else self.delivered_cohorts
        kept = {day: members & delivered for day, members in days.items()}
        return delivered, {day: members for day, members in kept.items() if members}

    def _delivery_archive(self) -> bytes:
        delivered, cohorts = self._split()
        header = {
            "run": RUN, "delivery": DELIVERY, "purpose": "generative-ai", "manifest": sha256(self._manifest()).hexdigest(),
            "as_of": "2026-11-26T00:00:00.000000Z", "days": DAYS, "consents": {}, "cut": 1,
            "ledger_root": "00" * 32, "policies": {}, **self.forms, **self.header,
        }  # fmt: skip
        parts = {"delivered": delivered, "subtracted": self.subtracted}
        parts |= {f"from:{day}": members for day, members in cohorts.items()}
        return self._archive(b"training-delivery/1\n", header, parts)

    def _list(self) -> Path:
        delivered, cohorts = self._split()
        days = {
            number: dt.date.fromisoformat(day)
            for day, members in cohorts.items()
            for number in members
        }
        rows = self.rows
        if rows is None:
            rows = [(number, f"acc-{number}", days.get(number)) for number in delivered]
        columns = list(zip(*rows, strict=True)) if rows else [(), (), ()]
        table = pa.table([pa.array(column, field.type) for column, field in zip(columns, self.list_schema, strict=True)], schema=self.list_schema)  # fmt: skip
        path = self.home / "members.parquet"
        pq.write_table(table, path, row_group_size=250, write_page_checksum=True)
        return path

    def _leaf(self) -> bytes:
        """The entry, or its short form where it is long."""
        entry = self._entry()
        if len(entry) <= 65_535:
            return entry
        said = json.loads(entry)
        for table in said["rows"].values():
            values = table.pop("values")
            table["count"], table["digest"] = len(values), sha256(canonical(values)).hexdigest()
        return canonical(said)

    def _entry(self) -> bytes:
        archive = self._delivery_archive()
        delivered, _ = self._split()
        files = []
        if self.forms["form"] == "list":
            data = self._list().read_bytes()
            files = [
                {
                    "name": "members.parquet", "sha256": sha256(data).hexdigest(), "bytes": len(data),
                    "rows": len(delivered), "first": delivered.min(), "last": delivered.max(),
                }
            ]  # fmt: skip
        row = {
            "id": 1, "reference": DELIVERY, "state": "delivered", "digest": sha256(archive).hexdigest(),
            "size": len(archive), "cut": 1, "ledger_root": "00" * 32, "as_of": "2026-11-26T00:00:00.000000Z", "rows": len(delivered),
            "subtracted": len(self.subtracted), "subtraction_digest": sha256(roaring(self.subtracted)).hexdigest(),
            "files": files, "leased_until": self.leased_until, **self.forms, **self.row,
        }  # fmt: skip
        table = {"columns": sorted(row), "values": [[row[name] for name in sorted(row)]]}
        return canonical(
            {
                "actor": "system:deliverer", "credential": "", "format": 1, "kind": "delivery.made", "reason": "",
                "recorded_at": "2026-11-26T10:00:00.000000Z", "rows": {"deliveries.historicaldelivery": table},
                "sequence": 2, "subject": RUN, **self.entry_said,
            }
        )  # fmt: skip
