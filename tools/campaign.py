"""`python -m tools.campaign`: alter an export in every way we can think of, and see whether `verify.py` notices.

It holds one checkpoint that was kept. Alterations that cannot be noticed with it are counted apart and named, not
left out: see `APART`.
"""

import argparse
import base64
import copy
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from ledger import canonical
from ledger.merkle.tree import leaf_hash
from outsider import verify
from tools.sample_export import (
    ATTACKERS,
    INCIDENT,
    REAL,
    Made,
    Sample,
    consistency_proof,
    entry_line,
    inclusion_proof,
    joined,
    members_leaves,
    root_of,
    rows_in,
    write,
)

Files = dict[str, bytes]

APART = {
    "above": "the holder of the key rewrote entries above the kept checkpoint, or went back to it exactly",
    "unlisted": "checkpoints were left out of the list, which says nothing false about the others",
    "unsealed": "reads after the last batch, which no entry seals yet",
}
"""The reason why an alteration cannot be noticed with the kept checkpoint only."""


@dataclass(frozen=True)
class Alteration:
    files: Files
    apart: str = ""
    """A key of APART, for what cannot be noticed in principle."""


Kind = Callable[[random.Random, Made, Files], Alteration | None]
"""Alters a copy of the files; None if there was nothing to alter."""

# --- Bytes and lines --------------------------------------------------------------------------------


def flip_a_byte(rng: random.Random, made: Made, files: Files) -> Alteration:
    name = rng.choice(sorted(files))
    data = bytearray(files[name])
    data[rng.randrange(len(data))] ^= rng.randrange(1, 256)
    return Alteration({**files, name: bytes(data)})


def truncate_a_file(rng: random.Random, made: Made, files: Files) -> Alteration:
    name = rng.choice(sorted(files))
    return Alteration({**files, name: files[name][: rng.randrange(len(files[name]))]})


def remove_a_file(rng: random.Random, made: Made, files: Files) -> Alteration:
    gone = rng.choice(sorted(files))
    return Alteration({name: data for name, data in files.items() if name != gone})


def exchange_two_files(rng: random.Random, made: Made, files: Files) -> Alteration:
    one, other = rng.sample([name for name in sorted(files) if name.startswith("manifests/")], 2)
    return Alteration({**files, one: files[other], other: files[one]})


def add_a_file(rng: random.Random, made: Made, files: Files) -> Alteration:
    copied = rng.choice([name for name in sorted(files) if name.startswith("manifests/")])
    return Alteration({**files, copied.replace("TR-2026", "TR-2027"): files[copied]})


def _of_lines(change: Callable[[random.Random, list[bytes]], object]) -> Kind:
    """An alteration of the lines of one file."""

    def alter(rng: random.Random, made: Made, files: Files) -> Alteration:
        names = [name for name in sorted(files) if name.endswith(".ndjson")]
        name = rng.choice([*names, "ledger.ndjson", "ledger.ndjson", "keys.txt"])
        lines = files[name].splitlines()
        change(rng, lines)
        return Alteration({**files, name: joined(lines)})

    return alter


def _delete(rng: random.Random, lines: list[bytes]) -> None:
    del lines[rng.randrange(len(lines))]


def _insert(rng: random.Random, lines: list[bytes]) -> None:
    line = changed_value(rng, rng.choice(lines))
    lines.insert(rng.randrange(len(lines) + 1), line)


def _duplicate(rng: random.Random, lines: list[bytes]) -> None:
    lines.insert(rng.randrange(len(lines) + 1), rng.choice(lines))


def _swap(rng: random.Random, lines: list[bytes]) -> None:
    one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]


def _reorder(rng: random.Random, lines: list[bytes]) -> None:
    begin = rng.randrange(len(lines))
    some = lines[begin : begin + 10]
    rng.shuffle(some)
    lines[begin : begin + 10] = some


def _change(rng: random.Random, lines: list[bytes]) -> None:
    place = rng.randrange(len(lines))
    lines[place] = changed_value(rng, lines[place])


def _drop_a_column(rng: random.Random, lines: list[bytes]) -> None:
    place = rng.randrange(len(lines))
    lines[place] = without_a_column(rng, lines[place])


# --- Values -----------------------------------------------------------------------------------------


def changed_value(rng: random.Random, line: bytes) -> bytes:
    """The line with one value of its JSON changed; canonical as before."""
    try:
        value = json.loads(line)
    except ValueError:
        return line + b"x"  # keys.txt
    places = list(_places(value))
    holder, key = rng.choice(places)
    holder[key] = _other(rng, holder[key])
    return canonical.dumps(value)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """The places in a value that hold neither a list nor an object."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in pairs:
        if isinstance(item, dict | list):
            yield from _places(item)
        else:
            yield value, key


def _other(rng: random.Random, value: Any) -> Any:
    if isinstance(value, bool) or value is None:
        return not value
    if isinstance(value, int):
        return value + rng.choice([-1, 1, 1000])
    swapped = {
        "allow": "deny",
        "deny": "allow",
        "open": "closed",
        "US": "FR",
        "KR": "US",
        "approved": "rejected",
    }
    return swapped.get(value, value[:-1] if value and rng.random() < 0.5 else value + "0")


def without_a_column(rng: random.Random, line: bytes) -> bytes:
    try:
        value = json.loads(line)
    except ValueError:
        return line
    tables = [table for table in value.get("rows", {}).values() if len(table["columns"]) > 1]
    if not tables:
        return line
    table = rng.choice(tables)
    place = rng.randrange(len(table["columns"]))
    del table["columns"][place]
    for values in table["values"]:
        del values[place]
    return canonical.dumps(value)


# --- Archives and reads, with what seals them ---------------------------------------------------------


def let_a_member_in(rng: random.Random, sample: Sample, run: str) -> Sample:
    """An archive with another member in or out, and its digest and root put into the entries."""
    from pyroaring import BitMap

    from training_runs.manifests import manifest_file

    parsed = manifest_file.parse(sample.archives[run])
    included, excluded = BitMap(parsed.included), copy.deepcopy(parsed.excluded)
    member = rng.randrange(1, parsed.header["population"] + 1)
    code = rng.choice(sorted(excluded))
    if member in included:
        included.discard(member)
        excluded[code].add(member)
    else:
        included.add(member)
        for members in excluded.values():
            members.discard(member)
    facts = {key: parsed.header[key] for key in parsed.header.keys() - {"parts", "population"}}
    by_day = {day: members & included for day, members in parsed.cohorts.items()}
    header, data = manifest_file.build(
        facts, parsed.header["population"], included, excluded, by_day
    )
    leaves = members_leaves(run, data)
    said = {
        sha256(sample.archives[run]).hexdigest(): sha256(data).hexdigest(),
        root_of([*map(leaf_hash, sample.members[run])]).hex(): root_of(
            [*map(leaf_hash, leaves)]
        ).hex(),
        json.dumps(parsed.header): header,
    }
    return replace(
        sample,
        lines=[_with_rows(line, said, len(included)) for line in sample.lines],
        archives={**sample.archives, run: data},
        members={**sample.members, run: leaves},
    )


def _with_rows(line: bytes, said: dict[str, Any], included: int) -> bytes:
    """The line with every value that `said` has another one for."""
    value = json.loads(line)
    for name in ("training_runs.manifest", "training_runs.verification"):
        table = value["rows"].get(name)
        for values in table["values"] if table else []:
            before = list(values)
            values[:] = [
                said.get(one if isinstance(one, str) else json.dumps(one), one) for one in values
            ]
            if "included" in table["columns"] and values != before:
                values[table["columns"].index("included")] = included
    return canonical.dumps(value)


def change_an_archive_and_its_digest(
    rng: random.Random, made: Made, files: Files
) -> Alteration | None:
    sample = let_a_member_in(rng, made.sample, rng.choice(sorted(made.sample.archives)))
    return Alteration(_unsigned(sample, files))


def _unsigned(sample: Sample, files: Files) -> Files:
    """The sample's files with the checkpoints as they were: without any key."""
    return {
        **files,
        "ledger.ndjson": joined(sample.lines),
        "reads.ndjson": joined(sample.reads),
        **{f"manifests/{run}.manifest": data for run, data in sample.archives.items()},
        **{f"incidents/{name}.incident": data for name, data in sample.incidents.items()},
    }


def flip_a_bit_of_an_incident(rng: random.Random, made: Made, files: Files) -> Alteration:
    name = rng.choice([name for name in sorted(files) if name.startswith("incidents/")])
    data = bytearray(files[name])
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return Alteration({**files, name: bytes(data)})


def forge_incident(rng: random.Random, sample: Sample, act: str = "") -> Sample:
    """An incident without one of its members, of another run or of another cause, and its row made to fit."""
    from training_runs.incidents import archive
    from training_runs.manifests import container, manifest_file

    reference = rng.choice(sorted(sample.incidents))
    header, sets = container.unpack(archive.MAGIC, sample.incidents[reference])
    facts = {key: header[key] for key in header.keys() - {"parts"}}
    (place,) = [
        place
        for place, line in enumerate(sample.lines)
        if any(row["reference"] == reference for row in rows_in(line, INCIDENT))
    ]
    (row,) = rows_in(sample.lines[place], INCIDENT)
    act = act or rng.choice(["member", "run", "cause"])
    if act == "member":
        code = rng.choice(sorted(sets))
        sets[code].discard(rng.choice(list(sets[code])))
        sets = {code: members for code, members in sets.items() if members}
    elif act == "cause":
        cut = manifest_file.parse(sample.archives[header["run"]]).header["cut"]
        others = [one for one in range(cut + 1, place + 1) if one != header["cause"]]
        facts["cause"] = row["cause"] = rng.choice(others)
    else:
        run = rng.choice([run for run in sorted(sample.archives) if run != header["run"]])
        digest = sha256(sample.archives[run]).hexdigest()
        (frozen,) = [
            one
            for line in sample.lines
            for one in rows_in(line, "training_runs.manifest")
            if one["digest"] == digest
        ]
        facts.update(run=run, manifest=digest, frozen_at=frozen["frozen_at"])
        row["run_id"] = frozen["run_id"]
    data = archive.build(facts, sets)
    row["digest"] = sha256(data).hexdigest()
    row["reasons"] = {code: len(members) for code, members in sets.items()}
    row["members"] = len(set().union(*sets.values()))
    value = json.loads(sample.lines[place])
    table = value["rows"][INCIDENT]
    table["values"] = [[row[column] for column in table["columns"]]]
    lines = list(sample.lines)
    lines[place] = canonical.dumps(value)
    return replace(sample, lines=lines, incidents={**sample.incidents, reference: data})


def change_an_incident_and_its_digest(rng: random.Random, made: Made, files: Files) -> Alteration:
    return Alteration(_unsigned(forge_incident(rng, made.sample), files))


def forge_reads(rng: random.Random, sample: Sample) -> Sample:
    """A sealed read changed or gone, and its batch's row made to fit."""
    batches = [
        (place, row) for place, line in enumerate(sample.lines) for row in rows_in(line, "ledger.readbatch")
    ]  # fmt: skip
    place, batch = rng.choice(batches)
    numbers = [json.loads(read)["id"] for read in sample.reads]
    inside = [i for i, number in enumerate(numbers) if batch["first"] <= number <= batch["last"]]
    reads = list(sample.reads)
    chosen = rng.choice(inside)
    if rng.random() < 0.5:
        del reads[chosen]
        inside.pop()
    else:
        record = json.loads(reads[chosen])
        name = rng.choice(["actor_name", "kind", "purpose", "read_at", "subject"])
        reads[chosen] = canonical.dumps({**record, name: record[name] + "0"})
    batch["root"] = root_of([leaf_hash(reads[i]) for i in inside]).hex()
    batch["count"] = len(inside)
    value = json.loads(sample.lines[place])
    table = value["rows"]["ledger.readbatch"]
    table["values"] = [[batch[column] for column in table["columns"]]]
    lines = list(sample.lines)
    lines[place] = canonical.dumps(value)
    return replace(sample, lines=lines, reads=reads)


def change_reads(rng: random.Random, made: Made, files: Files) -> Alteration:
    if rng.random() < 0.5:
        lines = list(made.sample.reads)
        rng.choice([_delete, _change, _insert, _swap])(rng, lines)
        return Alteration({**files, "reads.ndjson": joined(lines)})
    return Alteration(_unsigned(forge_reads(rng, made.sample), files))


# --- Rewriting history, with keys ---------------------------------------------------------------------


def rewritten(rng: random.Random, sample: Sample, low: int, high: int) -> Sample:
    """The sample with one entry from `low` to `high` changed, gone or put in, as if it had always been so."""
    lines = list(sample.lines)
    place = rng.randrange(low - 1, high)
    act = rng.choice(["change", "change", "drop", "delete", "insert"])
    if act == "delete":
        del lines[place]
    elif act == "insert":
        lines.insert(place, lines[rng.randrange(len(lines))])
    elif act == "drop":
        lines[place] = without_a_column(rng, lines[place])
    else:
        lines[place] = changed_value(rng, lines[place])
    numbered = [_numbered(line, number) for number, line in enumerate(lines, 1)]
    sizes = sorted({min(size, len(numbered)) for size in sample.sizes[:-1]} | {len(numbered)})
    return with_true_roots(replace(sample, lines=numbered, sizes=sizes))


def _numbered(line: bytes, number: int) -> bytes:
    return canonical.dumps({**json.loads(line), "sequence": number})


def with_true_roots(sample: Sample) -> Sample:
    """The manifests' ledger_root computed anew, in archives, rows and trees: nothing contradicts itself."""
    from training_runs.manifests import manifest_file

    for run in sorted(sample.archives):
        parsed = manifest_file.parse(sample.archives[run])
        root = root_of(sample.leaves(parsed.header["cut"])).hex()
        parent = parsed.header["parent"]
        if parent is not None:
            digest = sha256(sample.archives[parent["run"]]).hexdigest()
            parent = {"run": parent["run"], "manifest": digest}
        if (root, parent) == (parsed.header["ledger_root"], parsed.header["parent"]):
            continue
        facts = {key: parsed.header[key] for key in parsed.header.keys() - {"parts", "population"}}
        header, data = manifest_file.build(
            {**facts, "ledger_root": root, "parent": parent},
            parsed.header["population"],
            parsed.included,
            parsed.excluded,
            parsed.cohorts,
        )
        leaves = members_leaves(run, data)
        said = {
            parsed.header["ledger_root"]: root,
            sha256(sample.archives[run]).hexdigest(): sha256(data).hexdigest(),
            root_of([*map(leaf_hash, sample.members[run])]).hex(): root_of(
                [*map(leaf_hash, leaves)]
            ).hex(),
            json.dumps(parsed.header): header,
        }
        sample = replace(
            sample,
            lines=[_with_rows(line, said, len(parsed.included)) for line in sample.lines],
            archives={**sample.archives, run: data},
            members={**sample.members, run: leaves},
        )
        # An entry that found an incident is below the cut of manifests that follow.
        for reference in sorted(sample.incidents):
            sample = _of_true_manifest(sample, reference)
    return sample


def _of_true_manifest(sample: Sample, reference: str) -> Sample:
    """An incident's archive and row with the digest that the manifest of its run has by now."""
    from training_runs.incidents import archive
    from training_runs.manifests import container

    before = sample.incidents[reference]
    header, sets = container.unpack(archive.MAGIC, before)
    digest = sha256(sample.archives[header["run"]]).hexdigest()
    facts = {key: header[key] for key in header.keys() - {"parts"}}
    data = archive.build({**facts, "manifest": digest}, sets)
    said = sha256(before).hexdigest().encode(), sha256(data).hexdigest().encode()
    return replace(
        sample,
        lines=[line.replace(*said) for line in sample.lines],
        incidents={**sample.incidents, reference: data},
    )


def rechain_with_a_foreign_key(rng: random.Random, made: Made, files: Files) -> Alteration:
    sample = rewritten(rng, made.sample, 1, len(made.sample.lines))
    forged = sample.files(ATTACKERS)
    if rng.random() < 0.3:
        forged["keys.txt"] = files["keys.txt"]
    return Alteration(forged)


def rechain_with_the_stolen_key(rng: random.Random, made: Made, files: Files) -> Alteration:
    return Alteration(rewritten(rng, made.sample, 1, made.kept).files())


def rewrite_above_with_the_stolen_key(rng: random.Random, made: Made, files: Files) -> Alteration:
    low, high = made.kept + 1, len(made.sample.lines)
    return Alteration(rewritten(rng, made.sample, low, high).files(), "above")


def change_an_archive_with_the_stolen_key(
    rng: random.Random, made: Made, files: Files
) -> Alteration:
    run = rng.choice(sorted(made.sample.archives))
    return Alteration(with_true_roots(let_a_member_in(rng, made.sample, run)).files())


def change_an_incident_with_the_stolen_key(
    rng: random.Random, made: Made, files: Files
) -> Alteration:
    return Alteration(forge_incident(rng, made.sample).files())


def forge_reads_with_the_stolen_key(rng: random.Random, made: Made, files: Files) -> Alteration:
    forged = forge_reads(rng, made.sample)
    is_below = forged.lines[: made.kept] != made.sample.lines[: made.kept]
    return Alteration(forged.files(), "" if is_below else "above")


def restore_a_backup(rng: random.Random, made: Made, files: Files) -> Alteration:
    """The portal as it was at a checkpoint; signed then, by the real key."""
    size = rng.choice(made.sample.sizes[:-1])
    return Alteration(made.sample.as_of(size).files(), "above" if size == made.kept else "")


def restore_part_of_a_backup(rng: random.Random, made: Made, files: Files) -> Alteration:
    old = made.sample.as_of(rng.choice([s for s in made.sample.sizes if s < made.kept])).files()
    chosen = rng.sample(sorted(old), rng.randrange(1, len(old)))
    # The list of checkpoints alone is an older list: the kind `unlisted`.
    return Alteration({**files, **{name: old[name] for name in chosen}})


def branch_off_a_backup(rng: random.Random, made: Made, files: Files) -> Alteration:
    """A backup restored, other entries written since, and the real key signs them."""
    size = rng.choice([*made.sample.sizes[:-1], rng.randrange(1, made.kept)])
    old = made.sample.as_of(size)
    lines = list(old.lines)
    until = made.kept + rng.randrange(20)
    while len(lines) < until:
        lines.append(
            entry_line(
                len(lines) + 1,
                "consent.decision",
                "consent.decision",
                id=9000 + len(lines),
                member_id=rng.randrange(1, 100),
                purpose="generative-ai",
                choice=rng.choice(["allow", "deny"]),
                decided_at="2026-11-26T12:00:00.000000Z",
                counts_at="2026-11-26T12:00:00.000000Z",
                evidence_only=False,
            )
        )
    sizes = sorted({*old.sizes, len(lines)})
    branch = replace(old, lines=lines, sizes=sizes)
    return Alteration(branch.files(), "above" if size >= made.kept else "")


KINDS: dict[str, Kind] = {
    "flip a byte": flip_a_byte,
    "change a value": _of_lines(_change),
    "delete a line": _of_lines(_delete),
    "insert a line": _of_lines(_insert),
    "duplicate a line": _of_lines(_duplicate),
    "swap two lines": _of_lines(_swap),
    "reorder lines": _of_lines(_reorder),
    "drop a column": _of_lines(_drop_a_column),
    "truncate a file": truncate_a_file,
    "remove a file": remove_a_file,
    "add a file": add_a_file,
    "exchange two files": exchange_two_files,
    "change an archive and its digest": change_an_archive_and_its_digest,
    "flip a bit of an incident": flip_a_bit_of_an_incident,
    "change an incident and its digest": change_an_incident_and_its_digest,
    "change reads": change_reads,
    "restore an old backup": restore_a_backup,
    "restore files of a backup": restore_part_of_a_backup,
    "re-chain with a foreign key": rechain_with_a_foreign_key,
    "re-chain with the stolen key": rechain_with_the_stolen_key,
    "archive, with the stolen key": change_an_archive_with_the_stolen_key,
    "incident, with the stolen key": change_an_incident_with_the_stolen_key,
    "reads, with the stolen key": forge_reads_with_the_stolen_key,
    "branch off a backup, stolen key": branch_off_a_backup,
    "rewrite above, with the stolen key": rewrite_above_with_the_stolen_key,
}

# --- Is it noticed? -----------------------------------------------------------------------------------


def cannot_be_noticed(made: Made, before: Files, after: Alteration) -> str:
    """A key of APART, or "" for what must be noticed."""
    if after.apart:
        return after.apart
    changed = {
        name for name in {*before, *after.files} if before.get(name) != after.files.get(name)
    }
    if changed == {"reads.ndjson"} and "reads.ndjson" in after.files:
        sealed = sum(
            row["count"] for line in made.sample.lines for row in rows_in(line, "ledger.readbatch")
        )
        if after.files["reads.ndjson"].startswith(joined(made.sample.reads[:sealed])):
            return "unsealed"
    if changed == {"checkpoints.ndjson"} and "checkpoints.ndjson" in after.files:
        listed = iter(before["checkpoints.ndjson"].splitlines(keepends=True))
        left = after.files["checkpoints.ndjson"].splitlines(keepends=True)
        if left and all(line in listed for line in left):
            return "unlisted"
    return ""


def is_noticed(directory: Path, kept: Path | None) -> bool:
    keys = [verify.key_from(REAL.verifier_key)]
    try:
        report = verify.check_export(directory, keys, [kept] if kept else [])
    except verify.Unreadable:
        return True
    return report.count > 0


class Bench:
    """A directory that holds the export, altered and put back."""

    def __init__(self, directory: Path, made: Made) -> None:
        self.directory = directory / "export"
        self.kept: Path | None = directory / "kept.checkpoint"
        self.true_files = made.sample.files()
        write(self.true_files, self.directory)
        self.kept.write_bytes(made.sample.checkpoint(made.kept))
        if is_noticed(self.directory, self.kept):
            raise SystemExit("The unaltered export does not verify.")

    def notices(self, files: Files) -> bool:
        changed = {name: data for name, data in files.items() if self.true_files.get(name) != data}
        gone = self.true_files.keys() - files.keys()
        write(changed, self.directory)
        for name in gone:
            (self.directory / name).unlink()
        try:
            return is_noticed(self.directory, self.kept)
        finally:
            for name in changed.keys() - self.true_files.keys():
                (self.directory / name).unlink()
            write({n: self.true_files[n] for n in {*changed, *gone} & self.true_files.keys()}, self.directory)  # fmt: skip


@dataclass
class Count:
    tried: int = 0
    caught: int = 0
    missed: list[str] = field(default_factory=list)


@dataclass
class Result:
    kinds: dict[str, Count] = field(default_factory=dict)
    apart: dict[str, Count] = field(default_factory=dict)
    """By kind of APART; what is caught there is caught by luck."""

    @property
    def missed(self) -> list[str]:
        return [one for count in self.kinds.values() for one in count.missed]

    def add(self, kind: str, apart: str, is_caught: bool, what: str) -> None:
        counts, name = (self.apart, apart) if apart else (self.kinds, kind)
        count = counts.setdefault(name, Count())
        count.tried += 1
        count.caught += is_caught
        if not is_caught:
            count.missed.append(what)


def alter(made: Made, directory: Path, number: int, seed: int | str) -> Result:
    """Try alterations until `number` of them had to be noticed."""
    bench, result = Bench(directory, made), Result()
    names = list(KINDS)
    turn = done = 0
    while done < number:
        kind = names[turn % len(names)]
        # Each is made from its own seed, so that one that is missed can be made again.
        rng = random.Random(f"{seed}/{turn}")  # noqa: S311  no secret
        turn += 1
        altered = KINDS[kind](rng, made, dict(bench.true_files))
        if altered is None or altered.files == bench.true_files:
            continue
        apart = cannot_be_noticed(made, bench.true_files, altered)
        done += not apart
        result.add(kind, apart, bench.notices(altered.files), f"{kind} (seed {seed}/{turn - 1})")
    return result


# --- Proofs -------------------------------------------------------------------------------------------


class Proofs:
    """True proofs, what each proves, and ways to forge them."""

    def __init__(self, made: Made) -> None:
        self.sample = made.sample
        self.keys = [verify.key_from(REAL.verifier_key)]
        self.leaves = self.sample.leaves()
        self.note = self.sample.checkpoint(len(self.leaves))
        self.old = (made.kept, root_of(self.leaves[: made.kept]))

    def of_entry(self, rng: random.Random) -> bytes:
        place = rng.randrange(len(self.leaves))
        return inclusion_proof(self.sample.lines[place], place, self.leaves, self.note)

    def of_members(self, rng: random.Random) -> bytes:
        run = rng.choice(sorted(self.sample.members))
        data = self.sample.members[run]
        leaves = [*map(leaf_hash, data)]
        place = rng.randrange(1, len(data))
        return inclusion_proof(data[place], place, leaves, REAL.checkpoint(leaves, run))

    def of_consistency(self, rng: random.Random) -> bytes:
        return consistency_proof(self.old[0], self.leaves, self.note)

    def meaning(self, proof: bytes) -> Any:
        """The statement that a proof proves; None if it proves none."""
        try:
            if not proof.startswith(b"training-portal/consistency"):
                proved = verify.check_proof(proof, self.keys, "the proof")
                if not proved.run:
                    verify.entry_of(proved, "the proof")
                return proved
            old_size, path, note = verify.consistency_from(proof, "the proof")
            new = verify.ledger_checkpoint_from(note, self.keys, "the proof")
            if old_size != self.old[0]:
                return None
            verify.check_consistency(self.old, (new.size, new.root), path)
            return new
        except verify.Wrong:
            return None


def forged(rng: random.Random, proof: bytes, other: bytes) -> bytes:
    """A proof in which something is another thing; `other` is a true proof to take from."""
    lines = proof.split(b"\n")
    taken = other.split(b"\n")
    place = rng.randrange(len(lines) - 1)
    act = rng.randrange(9)
    if act == 0:
        data = bytearray(proof)
        data[rng.randrange(len(data))] ^= rng.randrange(1, 256)
        return bytes(data)
    if act == 1:
        del lines[place]
    elif act == 2:
        lines.insert(place, rng.choice(lines))
    elif act == 3:
        lines[place] = rng.choice(taken)
    elif act == 4:
        lines[place], lines[place - 1] = lines[place - 1], lines[place]
    elif act == 5:
        return proof[: rng.randrange(len(proof))]
    elif act == 6:
        # A hash, a number, the data or the root becomes another one of the same form.
        lines[place] = _another(rng, lines[place])
    elif act == 7:
        # The checkpoint of another tree.
        lines[lines.index(b"") :] = taken[taken.index(b"") :]
    else:
        text = b"\n".join(lines[lines.index(b"") + 1 : -2]).decode()
        lines[-2] = ATTACKERS.line(text).rstrip("\n").encode()
    return b"\n".join(lines)


def _another(rng: random.Random, line: bytes) -> bytes:
    word, _, rest = line.rpartition(b" ")
    try:
        if rest.isdigit():
            changed = str(int(rest) + rng.choice([-1, 1, 128])).encode()
        else:
            data = bytearray(verify.from_base64(rest.decode(), "the line"))
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            changed = base64.b64encode(bytes(data))
    except (verify.Wrong, ValueError):
        return line + b"0"
    return word + b" " + changed if word else changed


def forge(made: Made, number: int, seed: int) -> Result:
    """Forged proofs: each must be refused, or prove what the true one proves."""
    proofs, result = Proofs(made), Result()
    makers = {
        "proof of an entry": proofs.of_entry,
        "proof of a member": proofs.of_members,
        "consistency proof": proofs.of_consistency,
    }
    turn = done = 0
    while done < number:
        kind = list(makers)[turn % len(makers)]
        rng = random.Random(f"{seed}/proof/{turn}")  # noqa: S311  no secret
        turn += 1
        true = makers[kind](rng)
        other = rng.choice(list(makers.values()))(rng)
        false = forged(rng, true, other)
        # Another true proof is none that was forged.
        if false in (true, other):
            continue
        done += 1
        said = proofs.meaning(false)
        is_caught = said is None or said == proofs.meaning(true)
        result.add(kind, "", is_caught, f"{kind} (seed {seed}/proof/{turn - 1})")
    return result


# --- The command --------------------------------------------------------------------------------------


def merged(results: list[Result]) -> Result:
    whole = Result()
    for result in results:
        for counts, found in ((whole.kinds, result.kinds), (whole.apart, result.apart)):
            for name, count in found.items():
                sum_of = counts.setdefault(name, Count())
                sum_of.tried += count.tried
                sum_of.caught += count.caught
                sum_of.missed += count.missed
    return whole


def alter_in_processes(made: Made, number: int, seed: int) -> Result:
    """`alter` on every processor, each with a seed of its own."""
    cores = os.cpu_count() or 1
    shares = [number // cores + (core < number % cores) for core in range(cores)]
    with tempfile.TemporaryDirectory() as directory, ProcessPoolExecutor(cores) as processes:
        running = []
        for core, share in enumerate(shares):
            own = Path(directory) / str(core)
            own.mkdir()
            running.append(processes.submit(alter, made, own, share, f"{seed}.{core}"))
        return merged([one.result() for one in running])


def show(title: str, counts: dict[str, Count]) -> None:
    print(f"{title:40} {'tried':>7} {'caught':>7} {'missed':>7}")
    for kind, count in counts.items():
        print(f"  {kind:38} {count.tried:7} {count.caught:7} {len(count.missed):7}")
    total = sum(count.tried for count in counts.values())
    caught = sum(count.caught for count in counts.values())
    print(f"  {'all':38} {total:7} {caught:7} {total - caught:7}")
    print()


def make_sample() -> Made:
    """The sample from a new database of its own."""
    import logging

    import django

    django.setup()

    from django.core.management import call_command

    from tools import sample_export

    logging.disable(logging.INFO)
    call_command("migrate", verbosity=0)
    return sample_export.make()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alterations", type=int, default=10_000)
    parser.add_argument("--proofs", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    from tools import testing  # noqa: F401  sets the environment before Django is imported

    made = make_sample()
    print(f"{len(made.sample.lines)} entries, {len(made.sample.archives)} manifests;", end=" ")
    print(f"one checkpoint is kept, over {made.kept} entries.\n")
    begun = time.monotonic()
    altered = alter_in_processes(made, options.alterations, options.seed)
    forgeries = forge(made, options.proofs, options.seed)
    show("Alterations", altered.kinds)
    show("Forged proofs", forgeries.kinds)
    print("Besides: alterations that a holder of this one checkpoint cannot notice")
    for why, count in altered.apart.items():
        print(f"  {count.tried:5} tried, {count.caught} noticed all the same: {APART[why]}")
    print(f"\n{time.monotonic() - begun:.0f} s")
    missed = altered.missed + forgeries.missed
    for one in missed:
        print(f"MISSED: {one}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
