"""A small but complete export, for the tests of the outsider's tools and for the alteration campaign.

Trees, proofs and notes are made here from the definitions (RFC 6962, section 2.1; C2SP), slowly and apart
from `outsider/verify.py`, so that the two can be held against each other.
"""

import base64
import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger import canonical
from ledger.merkle.tree import leaf_hash, node_hash

NAME = "portal.example/ledger"

# --- Trees and proofs, as RFC 6962 defines them ---------------------------------------------------


def split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1


def root_of(leaves: Sequence[bytes]) -> bytes:
    """Section 2.1: the hash over leaf hashes."""
    if len(leaves) < 2:
        return leaves[0] if leaves else sha256(b"").digest()
    middle = split(len(leaves))
    return node_hash(root_of(leaves[:middle]), root_of(leaves[middle:]))


def path_of(place: int, leaves: Sequence[bytes]) -> list[bytes]:
    """Section 2.1.1: PATH(m, D[n])."""
    if len(leaves) == 1:
        return []
    middle = split(len(leaves))
    if place < middle:
        return [*path_of(place, leaves[:middle]), root_of(leaves[middle:])]
    return [*path_of(place - middle, leaves[middle:]), root_of(leaves[:middle])]


def consistency_of(old: int, leaves: Sequence[bytes]) -> list[bytes]:
    """Section 2.1.2: PROOF(m, D[n])."""
    return _subproof(old, leaves, True) if 0 < old < len(leaves) else []


def _subproof(old: int, leaves: Sequence[bytes], is_whole: bool) -> list[bytes]:
    if old == len(leaves):
        return [] if is_whole else [root_of(leaves)]
    middle = split(len(leaves))
    if old <= middle:
        return [*_subproof(old, leaves[:middle], is_whole), root_of(leaves[middle:])]
    return [*_subproof(old - middle, leaves[middle:], False), root_of(leaves[:middle])]


# --- Notes and proofs as text ----------------------------------------------------------------------


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


@dataclass(frozen=True)
class Signer:
    """A key under the ledger's name."""

    seed: bytes
    name: str = NAME

    @property
    def public(self) -> bytes:
        return Ed25519PrivateKey.from_private_bytes(self.seed).public_key().public_bytes_raw()

    @property
    def key_id(self) -> bytes:
        return sha256(self.name.encode() + b"\n\x01" + self.public).digest()[:4]

    @property
    def verifier_key(self) -> str:
        encoded = base64_of(b"\x01" + self.public)
        return f"{self.name}+{self.key_id.hex()}+{encoded}"

    def line(self, text: str) -> str:
        signature = Ed25519PrivateKey.from_private_bytes(self.seed).sign(text.encode())
        return f"— {self.name} {base64_of(self.key_id + signature)}\n"

    def checkpoint(self, leaves: Sequence[bytes], run: str = "") -> bytes:
        origin = f"{self.name}/{run}" if run else self.name
        text = f"{origin}\n{len(leaves)}\n{base64_of(root_of(leaves))}\n"
        return f"{text}\n{self.line(text)}".encode()


REAL = Signer(sha256(b"the portal's key").digest())
ATTACKERS = Signer(sha256(b"the attacker's key").digest())


def inclusion_proof(data: bytes, place: int, leaves: Sequence[bytes], note: bytes) -> bytes:
    head = f"c2sp.org/tlog-proof@v1\nextra {base64_of(data)}\nindex {place}\n"
    return _with_hashes(head, path_of(place, leaves), note)


def consistency_proof(old: int, leaves: Sequence[bytes], note: bytes) -> bytes:
    head = f"training-portal/consistency@v1\nold {old}\n"
    return _with_hashes(head, consistency_of(old, leaves), note)


def _with_hashes(head: str, hashes: Sequence[bytes], note: bytes) -> bytes:
    return (head + "".join(f"{base64_of(one)}\n" for one in hashes) + "\n").encode() + note


# --- The export --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sample:
    """The content of an export. `files` writes it with a key: with whose is the attacker's question."""

    lines: list[bytes]
    reads: list[bytes]
    sizes: list[int]
    """Of the checkpoints."""
    archives: dict[str, bytes]
    members: dict[str, list[bytes]] = field(default_factory=dict)
    """The leaves of each archive's members tree, as data."""
    incidents: dict[str, bytes] = field(default_factory=dict)
    """Archives by reference."""

    def leaves(self, size: int | None = None) -> list[bytes]:
        return [leaf_hash(line) for line in self.lines[:size]]

    def checkpoint(self, size: int, signer: Signer = REAL) -> bytes:
        return signer.checkpoint(self.leaves(size))

    def files(self, signer: Signer = REAL) -> dict[str, bytes]:
        """The files of the export, every root and signature made anew."""
        checkpoints = [
            canonical.dumps({"note": self.checkpoint(size, signer).decode(), "size": size})
            for size in self.sizes
        ]
        return {
            "ledger.ndjson": joined(self.lines),
            "checkpoints.ndjson": joined(checkpoints),
            "reads.ndjson": joined(self.reads),
            "keys.txt": joined([signer.verifier_key.encode()]),
            **{f"manifests/{run}.manifest": data for run, data in self.archives.items()},
            **{
                f"manifests/{run}.checkpoint": signer.checkpoint([*map(leaf_hash, data)], run)
                for run, data in self.members.items()
            },
            **{f"incidents/{name}.incident": data for name, data in self.incidents.items()},
        }

    def as_of(self, size: int) -> "Sample":
        """An older backup: what there was at this size, as far as an export shows it."""
        runs = {line_run for line in self.lines[:size] for line_run in _frozen_in(line, self)}
        sealed = max((last for line in self.lines[:size] for last in _sealed_in(line)), default=0)
        return replace(
            self,
            lines=self.lines[:size],
            sizes=[one for one in self.sizes if one <= size],
            reads=self.reads[:sealed],
            archives={run: data for run, data in self.archives.items() if run in runs},
            members={run: data for run, data in self.members.items() if run in runs},
            incidents={
                row["reference"]: self.incidents[row["reference"]]
                for line in self.lines[:size]
                for row in rows_in(line, INCIDENT)
            },
        )


INCIDENT = "training_runs.historicalincident"


def joined(lines: Sequence[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in lines)


def _frozen_in(line: bytes, sample: Sample) -> list[str]:
    digests = {sha256(data).hexdigest(): run for run, data in sample.archives.items()}
    return [digests[row["digest"]] for row in rows_in(line, "training_runs.manifest")]


def _sealed_in(line: bytes) -> list[int]:
    return [row["last"] for row in rows_in(line, "ledger.readbatch")]


def rows_in(line: bytes, table: str) -> list[dict[str, Any]]:
    found = json.loads(line)["rows"].get(table, {"columns": [], "values": []})
    return [dict(zip(found["columns"], values, strict=True)) for values in found["values"]]


def write(files: dict[str, bytes], directory: Path) -> None:
    for name, data in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


# --- Entries -----------------------------------------------------------------------------------------


AFTER_ALL = "2126-11-25T12:00:00.000000Z"
"""Later than every entry of the database: times run with the numbers."""


def entry_line(
    sequence: int, kind: str, table: str, *, at: str = AFTER_ALL, **columns: Any
) -> bytes:
    """An entry that wrote one row."""
    return canonical.dumps(
        {
            "actor": {"id": None, "name": "system:signer"},
            "credential": "",
            "format": 1,
            "kind": kind,
            "reason": "",
            "recorded_at": at,
            "rows": {table: {"columns": sorted(columns), "values": [[columns[c] for c in sorted(columns)]]}},
            "sequence": sequence,
            "subject": "",
        }
    )  # fmt: skip


def lines_of_the_database() -> list[bytes]:
    """The canonical bytes of every entry."""
    from ledger.models import Entry
    from ledger.open_entry import OpenEntry
    from ledger.sealing import entry_bytes, leaf_data, sealed_models, sealed_rows

    lines = []
    for entry in Entry.objects.order_by("sequence"):
        opened = OpenEntry(
            sequence=entry.sequence,
            kind=entry.kind,
            actor_id=entry.actor_id,
            actor_name=entry.actor_name,
            subject=entry.subject,
            reason=entry.reason,
            recorded_at=entry.recorded_at,
            latest_at=entry.recorded_at,
            credential=entry.credential,
            touched=set(sealed_models().values()),
        )
        rows = sealed_rows(opened)
        assert leaf_hash(leaf_data(opened, rows).data).hex() == entry.leaf
        lines.append(entry_bytes(opened, rows))
    return lines


CODES = (
    "erased closed country_unknown minor region no_notice not_opted_in opted_out objection_open"
    " objection_upheld not_in_parent"
).split()


def members_leaves(run: str, archive: bytes) -> list[bytes]:
    """The data of the leaves of a manifest's members tree, member by member."""
    from training_runs.manifests import manifest_file

    parsed = manifest_file.parse(archive)
    population = parsed.header["population"]
    digest = sha256(archive).hexdigest()
    leaves = [f"training-manifest-members/1\n{run}\n{digest}\n{population}\n".encode()]
    for first in range(1, population + 1, 128):
        values = [
            1 + CODES.index(parsed.reasons(number)[0]) if parsed.reasons(number) else 0
            for number in range(first, min(first + 128, population + 1))
        ]
        values += [15] * (128 - len(values))
        leaves.append(bytes(values[i] | values[i + 1] << 4 for i in range(0, 128, 2)))
    return leaves


def read_line(number: int) -> bytes:
    return canonical.dumps(
        {
            "actor_name": "ada",
            "id": number,
            "kind": "member.read",
            "purpose": "complaint",
            "read_at": f"2026-11-25T12:00:{number:02}.000000Z",
            "subject": f"member:{number}",
            "user_id": 5,
        }
    )


@dataclass(frozen=True)
class Made:
    """The sample, and the size of the checkpoint that an outsider kept."""

    sample: Sample
    kept: int


def make() -> Made:
    """Tell the story in the database (which must be empty), and export it with what a signer adds."""
    _tell()
    from training_runs.manifests import archives
    from training_runs.models import Incident, Manifest

    manifests = list(Manifest.objects.select_related("run").order_by("id"))
    stored = {one.run.reference: archives.load(one.digest) for one in manifests}
    members = {run: members_leaves(run, data) for run, data in stored.items()}
    lines = lines_of_the_database()
    sizes = [one.cut + 2 for one in manifests]

    def add(kind: str, table: str, **columns: Any) -> None:
        lines.append(entry_line(len(lines) + 1, kind, table, **columns))

    def seal_reads(batch: int, first: int, last: int) -> None:
        # Numbers need not be dense: 7 was never used.
        held = [leaf_hash(read) for n, read in reads.items() if first <= n <= last]
        root = root_of(held).hex()
        add(
            "portal.reads_sealed",
            "ledger.readbatch",
            id=batch,
            first=first,
            last=last,
            count=len(held),
            root=root,
        )

    reads = {number: read_line(number) for number in range(1, 41) if number != 7}
    for number, one in enumerate(manifests, 1):
        root = root_of([*map(leaf_hash, members[one.run.reference])]).hex()
        add(
            "manifest.verified",
            "training_runs.verification",
            id=900 + number,
            manifest_id=one.pk,
            agreement="agrees",
            members_root=root,
        )
    seal_reads(1, 1, 15)
    seal_reads(2, 16, 30)
    kept = len(lines)
    for number in range(8):
        add(
            "consent.decision",
            "consent.decision",
            id=5000 + number,
            member_id=number + 1,
            purpose="safety",
            choice="deny",
            decided_at="2026-11-25T12:00:00.000000Z",
            counts_at="2026-11-25T12:00:00.000000Z",
            evidence_only=False,
        )
    seal_reads(3, 31, 36)
    incidents = {one.reference: archives.load(one.digest) for one in Incident.objects.all()}
    sizes += [kept, len(lines)]
    return Made(Sample(lines, list(reads.values()), sizes, stored, members, incidents), kept)


def _tell() -> None:
    """Members of every kind, runs, a child run, objections and an erasure: 300 entries and more."""
    from django.contrib.auth.models import Group, User

    from common.identity import roles
    from consent import accounts, countries
    from consent.choices import Purpose, RuleKind
    from consent.rulebook import notices
    from tools import factories
    from training_runs.incidents import finding

    people = {
        "olga": roles.PRIVACY_OFFICER,
        "otto": roles.PRIVACY_OFFICER,
        "emil": roles.ML_ENGINEER,
        "product": roles.PRODUCT,
    }
    for username, role in people.items():
        person = User.objects.create_user(username, is_staff=True)
        person.groups.add(Group.objects.get(name=role))
    olga, otto, emil, product = (User.objects.get(username=name) for name in people)

    factories.allow(olga, otto)
    factories.allow(
        olga, otto, codes=["DE"], rule=RuleKind.OPT_IN, effective_from=dt.date(2025, 1, 1)
    )
    factories.allow(olga, otto, codes=["FR"], rule=RuleKind.EXCLUDED)
    factories.publish(olga, otto, codes=sorted(set(countries.NAMES) - {"BR", "IN"}))
    ended = factories.publish(olga, otto, codes=["IN"])
    factories.evidence_of(ended, olga, countries=["IN"])
    factories.add_members(150, prefix="acc")
    for country, prefix in {"DE": "de", "FR": "fr", "BR": "br", "IN": "in", "": "nowhere"}.items():
        factories.add_members(12, country=country, prefix=prefix)
    factories.add_member("minor", adult_on=dt.date(2040, 1, 1))
    factories.add_member("closed", status="closed")
    factories.add_member("of 18", "KR")
    factories.add_member("of 19", "KR", adult_at=19)
    factories.ask_age(olga, 20)
    factories.ask_age(olga, 19, effective_from=dt.date(2025, 1, 1), approver=otto)
    for number in range(0, 100, 2):
        factories.decide(f"acc-{number}", "deny", actor=product)
    for number in range(6):
        factories.decide(f"de-{number}", "allow", actor=product)
    parent = factories.freeze(emil)
    factories.objection("acc-1")
    factories.uphold(factories.objection("acc-3"), olga)
    factories.send_letters(factories.withdraw(factories.objection("acc-5"), olga, otto))
    for number in range(1, 100, 2):
        factories.decide(f"acc-{number}", "deny" if number % 3 else "allow", actor=product)
    accounts.erase_member(account_ref="acc-7", actor=olga, reason="Art. 17")
    factories.add_members(20, prefix="late")
    notices.withdraw(
        notice=ended, withdrawn_from=dt.date(2025, 6, 1), source="never delivered", actor=olga
    )
    factories.freeze(emil, parent=parent.run)
    for number in range(0, 140, 2):
        factories.decide(f"acc-{number}", "allow", actor=product)
    for number in range(100, 150):
        factories.objection(f"acc-{number}", purposes=[Purpose.PERSONALISATION])
    factories.freeze(emil, purpose=Purpose.PERSONALISATION)
    factories.freeze(emil)
    # A *no* that was decided before all of them, and a country that was out by then.
    for number in range(3):
        decided_at = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
        factories.decide(f"late-{number}", "deny", actor=product, at=decided_at)
    factories.allow(
        olga, otto, codes=["US"], rule=RuleKind.EXCLUDED, effective_from=dt.date(2025, 6, 1)
    )
    finding.look()
