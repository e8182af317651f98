"""From raw files and a permission to a data set: whose rows may be used, redacted, and a receipt of what was done."""

import datetime as dt
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, TypeAlias

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from training_portal.errors import LeaseOver, Misuse
from training_portal.extras import needed
from training_portal.permission import Permission
from training_portal.prepare import disk, quality, writing
from training_portal.prepare.batches import Batches
from training_portal.prepare.columns import Columns
from training_portal.prepare.inputs import Inputs, Raw, digest_of, named
from training_portal.prepare.joining import MEMORY_MB, Joiner, Matched
from training_portal.prepare.receipt import Prepared, check_room, finish
from training_portal.prepare.redacting import Redaction
from training_portal.prepare.tally import Tally
from training_portal.prepare.types import MemberType, member_type
from training_portal.prepare.verifying import numbers_in
from training_portal.prepare.work import Work
from training_portal.progress import Progress, Silent


def utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


Engine: TypeAlias = Literal["duckdb", "spark"]


@dataclass(frozen=True)
class Options:
    """Options of a preparation. None of them changes a row."""

    engine: Engine = "duckdb"
    """`spark` for what one machine does not hold. Rows come out the same."""
    threads: int | None = None
    memory_mb: int = MEMORY_MB
    """Memory that the engine's join takes before it spills; the whole process takes some 400 MB more."""
    now: Callable[[], dt.datetime] = utc_now
    progress: Progress = field(default_factory=Silent)


def prepare(
    inputs: Sequence[Path],
    output: Path,
    *,
    permission: Permission,
    columns: Columns,
    key: Ed25519PrivateKey,
    redaction: Redaction | None,
    accept_unknown: str = "",
    options: Options | None = None,
) -> Prepared:
    """Make the data set of a run from raw Parquet files. Nothing but the receipt makes the directory a data set.

    :param output: a new or empty directory, or one in which a preparation stopped: it goes on to the same bytes.
    :param key: signs the receipt.
    :param redaction: how the columns named as text are reduced; None leaves them as they are, and the receipt says nothing
        of redaction.
    :param accept_unknown: why more authors are unknown than the delivery explains, in words that the receipt repeats.
    Raises Misuse, LeaseOver, NotVerified; whatever it raises, no receipt was written.
    """
    said = options or Options()
    check_lease(permission, said.now())
    quality.check_words(accept_unknown)
    columns = columns.kept(permission.data_categories)
    files = named(inputs)
    check_room([one.name for one in files])
    with Inputs(files) as raw:
        kind = kind_of_members(raw, columns)
        plan = plan_of(permission, columns, redaction, raw)
        with Work(output, plan, [one.name for one in files]) as work, disk.refusals(output):
            started_at = work.journal.setdefault("started_at", text_of(said.now()))
            if said.engine == "spark":
                with needed("spark"):
                    from training_portal.prepare.on_spark import make
            else:
                make = partial(_with_duckdb, threads=said.threads, memory_mb=said.memory_mb)
            found, parts, distinct = make(
                raw,
                work,
                permission=permission,
                columns=columns,
                kind=kind,
                redaction=redaction,
                accept_unknown=accept_unknown,
                progress=said.progress,
            )
            check_lease(permission, said.now())
            return finish(
                work.directory,
                work.aside,
                permission=permission,
                columns=columns,
                kind=kind,
                raw=raw.raw,
                parts=parts,
                distinct_members=distinct,
                found=found,
                accept_unknown=accept_unknown,
                redaction=redaction,
                key=key,
                started_at=started_at,
                ended_at=text_of(said.now()),
            )


def _with_duckdb(
    inputs: Inputs,
    work: Work,
    *,
    permission: Permission,
    columns: Columns,
    kind: MemberType,
    redaction: Redaction | None,
    accept_unknown: str,
    progress: Progress,
    threads: int | None,
    memory_mb: int,
) -> tuple[quality.Quality, list[dict[str, Any]], int]:
    """The quality of the authors, what became of each input, and how many distinct members were kept."""
    with Joiner(
        permission, columns, kind, work.scratch, threads=threads, memory_mb=memory_mb
    ) as joiner:
        progress.step("The authors are compared with the delivery")
        found, matched = joiner.match(inputs)
        quality.check(found, permission, accept_unknown)
        batches = Batches(permission, columns, None if redaction is None else redaction.redactor())
        making = _Making(work, joiner, batches, matched, columns, redaction, permission.run)
        return found, making.parts(inputs, progress), len(batches.seen)


@dataclass(frozen=True)
class _Making:
    """The files of a data set, one after the other."""

    work: Work
    joiner: Joiner
    batches: Batches
    matched: Mapping[str, Matched]
    columns: Columns
    redaction: Redaction | None
    run: str

    def parts(self, inputs: Inputs, progress: Progress) -> list[dict[str, Any]]:
        """The outcome of each input, in the order of the inputs."""
        parts = []
        for at, raw in enumerate(inputs):
            progress.step(f"{raw.name} is prepared ({at + 1} of {len(inputs)})")
            facts = self._of_before(raw)
            if facts is None:
                facts = self._one(raw)
                self.work.is_done(raw.name, facts)
            parts.append(facts)
        return parts

    def _of_before(self, raw: Raw) -> dict[str, Any] | None:
        """The outcome of the same input in a run that stopped, where its file is still whole."""
        facts = self.work.done(raw.name)
        if facts is None or facts["input"] != raw.finish():
            return None
        path, output = self.work.directory / raw.name, facts["output"]
        if output is None:
            return None if path.exists() else facts
        if not path.is_file() or digest_of(path) != output["sha256"]:
            return None
        for numbers in numbers_in(path):
            self.batches.seen.add(numbers)
        return facts

    def _one(self, raw: Raw) -> dict[str, Any]:
        size = writing.rows_of_a_group(raw.row_groups)
        tally = Tally(rows=raw.rows)
        final = self.work.directory / raw.name
        final.unlink(missing_ok=True)
        file = writing.DataFile(self.work.partial(raw.name))
        matched = self.matched[raw.name]
        taken = (
            self.batches.take(batch, numbers, dates, tally)
            for batch, numbers, dates in self.joiner.rows(raw, matched, size)
        )
        try:
            for group in writing.in_groups(taken, size):
                file.write(self.batches.redact(group, tally))
            # A row without an author has no member, and neither has one whose author no list has.
            nulls = matched.without_author
            tally.dropped += Counter(null_member=nulls)
            tally.dropped["unknown_member"] -= nulls
            digest = raw.finish()
            output = None
            if file.rows:
                metadata = metadata_of(digest, self.columns, self.redaction)
                sha256_, bytes_ = file.finish(final, {**metadata, writing.RUN: self.run.encode()})
                output = {"sha256": sha256_, "bytes": bytes_, "rows": file.rows}
        finally:
            file.abandon()
        assert file.rows == tally.kept
        return {"name": raw.name, "input": digest, "output": output, "tally": tally.as_json()}


# --- What both engines share ---


def metadata_of(digest: str, columns: Columns, redaction: Redaction | None) -> dict[bytes, bytes]:
    """The metadata of a data file: the raw file it comes from, and how its columns were taken."""
    return {writing.INPUT: digest.encode(), writing.COLUMNS: way_of(columns, redaction).encode()}


def way_of(columns: Columns, redaction: Redaction | None) -> str:
    """A digest of how columns are taken and redacted, for all but known values of people."""
    said = "none" if redaction is None else redaction.fingerprint or "known values"
    return sha256(f"{columns.digest}\n{said}".encode()).hexdigest()


def plan_of(
    permission: Permission, columns: Columns, redaction: Redaction | None, inputs: Inputs
) -> str:
    """A digest of all that decides the files of a data set, so that only the same preparation goes on."""
    fingerprint = "none" if redaction is None else redaction.fingerprint
    if fingerprint is None:
        # Not even a digest of a person's name stays on a disk: such a preparation begins anew.
        fingerprint = sha256(str(utc_now()).encode()).hexdigest()
    return sha256(
        "\n".join(
            (
                "1",
                permission.archive,
                permission.withdrawn_digest,
                str(len(permission.members)),
                columns.digest,
                fingerprint,
                *(f"{one.name} {one.size}" for one in inputs),
            )
        ).encode()
    ).hexdigest()


def kind_of_members(inputs: Inputs, columns: Columns) -> MemberType:
    """The content of the member column, in all inputs. Raises Misuse."""
    kinds = set()
    for raw in inputs:
        columns.check(raw.schema, raw.name)
        kinds.add(member_type(raw.schema.field(columns.member_column).type, columns.member_column))
    if len(kinds) > 1:
        raise Misuse(
            f"{columns.member_column} has accounts in one input and numbers in another.",
            "Prepare them apart.",
            code="member_type",
        )
    return kinds.pop()


def check_lease(permission: Permission, now: dt.datetime) -> None:
    """Raises LeaseOver."""
    if permission.is_over(now):
        raise LeaseOver(
            f"The lease of {permission.delivery} ended at {permission.leased_until_text}.",
            f"Renew it: training-portal fetch {permission.run}.",
        )


def text_of(moment: dt.datetime) -> str:
    """A moment as receipts say it."""
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
