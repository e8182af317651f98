"""The same preparation on Spark: its join and its sort, and in its Python workers the last checks, redaction and files.

A row comes out under the conditions of `batches` and a file with the bytes of `writing`, whatever engine brought the rows.
Every worker sees the raw files and the directory of the data set under the paths that this process has for them.
"""

import contextlib
import itertools
import json
import os
import sys
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias
from urllib.parse import unquote, urlsplit

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from py4j.protocol import Py4JError
from pyroaring import BitMap
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession
from pyspark.sql import functions as F  # noqa: N812  as its documentation writes it
from pyspark.sql import types as T  # noqa: N812  likewise

from training_portal.errors import Misuse, NotVerified
from training_portal.permission import Permission
from training_portal.prepare import quality, writing
from training_portal.prepare.batches import Batches, number_field
from training_portal.prepare.columns import Columns
from training_portal.prepare.inputs import Inputs, Raw
from training_portal.prepare.members import numbers_of
from training_portal.prepare.preparing import metadata_of
from training_portal.prepare.quality import Quality
from training_portal.prepare.redacting import Redaction
from training_portal.prepare.tally import Tally
from training_portal.prepare.types import (
    CONTENT_DATE,
    MEMBER_NUMBER,
    ROW,
    MemberType,
    is_text,
    plain_type,
)
from training_portal.prepare.work import Work
from training_portal.progress import Progress
from training_portal.spark import numbered, quality_of

_PATH: Final = "portal_path"
_FILE: Final = "portal_file"
_NUMBER: Final = "portal_number"
_EMPTY: Final = "portal_empty"
_TALLY: Final = "portal_tally"
_FACTS: Final = T.StructType(
    [
        T.StructField(_FILE, T.IntegerType()),
        T.StructField("facts", T.StringType()),
        T.StructField("members", T.BinaryType()),
    ]
)
_Known: TypeAlias = tuple[Permission, Redaction | None, Mapping[str, int]]
"""The members, the redaction, and the place of each input by its path."""
_MAX_TASKS: Final = 2_000
_SETTINGS: Final = {
    # Arrow's times are labelled with the zone of the session; the values are the same in every one.
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.caseSensitive": "true",
    "spark.sql.execution.arrow.useLargeVarTypes": "false",
}


@dataclass(frozen=True)
class _Done:
    """A file that a worker has written."""

    facts: dict[str, Any]
    """Its tally, and its output or None."""
    members: bytes
    """The members of whom it has rows, as Roaring."""


@dataclass(frozen=True)
class _File:
    """An input, as the workers need it."""

    name: str
    group_rows: int
    """Rows of a row group of the output."""
    metadata: dict[bytes, bytes]


def make(
    inputs: Inputs,
    work: Work,
    *,
    permission: Permission,
    columns: Columns,
    kind: MemberType,
    redaction: Redaction | None,
    accept_unknown: str,
    progress: Progress,
) -> tuple[Quality, list[dict[str, Any]], int]:
    """The quality of the authors, what became of each input, and how many distinct members were kept.

    In the session that is active, else in one that Spark's own configuration describes (`spark-submit`, spark-defaults.conf),
    which is local without one. Raises Misuse, NotVerified.
    """
    _check_inputs(inputs, columns)
    with _errors(), _session(redaction) as session:
        frame = _read(session, inputs, columns)
        progress.step("The authors are compared with the delivery")
        found = quality_of(frame, columns.member_column, kind, permission)
        quality.check(found, permission, accept_unknown)
        progress.step("The inputs are hashed")
        digests = [raw.finish() for raw in inputs]
        progress.step(f"{len(inputs)} inputs are prepared by Spark")
        asked = _asked(frame, columns, kind, permission)
        files = tuple(
            _File(
                raw.name,
                writing.rows_of_a_group(raw.row_groups),
                {**metadata_of(digest, columns, redaction), writing.RUN: permission.run.encode()},
            )
            for raw, digest in zip(inputs, digests, strict=True)
        )
        places = {str(raw.named.path.absolute()): at for at, raw in enumerate(inputs)}
        by_file = _run(asked, columns, (permission, redaction, places), files, work)
        for raw in inputs:
            raw.check_place()
    parts = [
        {"name": raw.name, "input": digest, **_facts(raw, by_file.get(at))}
        for at, (raw, digest) in enumerate(zip(inputs, digests, strict=True))
    ]
    for part in parts:
        if part["output"] is None:
            (work.directory / part["name"]).unlink(missing_ok=True)
    members = BitMap.union(BitMap(), *(BitMap.deserialize(one.members) for one in by_file.values()))
    return found, parts, len(members)


def _asked(frame: Any, columns: Columns, kind: MemberType, permission: Permission) -> Any:
    """The rows with the member number of each, null where it has none, and whether it has no author."""
    author = F.col(f"`{columns.member_column}`")
    if kind == "string":
        frame = numbered(frame, columns.member_column, permission, _NUMBER)
        is_empty = author.isNull() | (author == F.lit(""))
    else:
        frame = frame.withColumn(_NUMBER, author.cast(T.LongType()))
        is_empty = author.isNull()
    dates = [] if columns.content_date is None else [CONTENT_DATE]
    mapped = (F.col(f"`{one}`") for one in columns.mapped)
    return frame.withColumn(_EMPTY, is_empty).select(_PATH, ROW, _NUMBER, _EMPTY, *dates, *mapped)


def _run(
    asked: Any, columns: Columns, known: _Known, files: tuple[_File, ...], work: Work
) -> dict[int, _Done]:
    """Have the workers write the data files. By the place of the input, if a row of it was read."""
    context = asked.sparkSession.sparkContext
    for_rows = context.broadcast(known)
    for_files = context.broadcast(files)
    directory, aside = str(work.directory.absolute()), str(work.aside.absolute())
    rows = T.StructType(
        [
            T.StructField(_FILE, T.IntegerType()),
            T.StructField(ROW, T.LongType()),
            T.StructField(_TALLY, T.StringType()),
            T.StructField(MEMBER_NUMBER, T.LongType()),
            *(T.StructField(one, asked.schema[one].dataType) for one in columns.mapped),
        ]
    )
    made = (
        asked.mapInArrow(lambda batches: _taken(batches, for_rows.value, columns), rows)
        .repartition(min(len(files), _MAX_TASKS), _FILE)
        .sortWithinPartitions(_FILE, ROW)
        .mapInArrow(lambda batches: _written(batches, for_files.value, directory, aside), _FACTS)
    )
    try:
        return {
            row[_FILE]: _Done(json.loads(row["facts"]), bytes(row["members"]))
            for row in made.collect()
        }
    finally:
        for_rows.destroy()
        for_files.destroy()


def _facts(raw: Raw, done: _Done | None) -> dict[str, Any]:
    """The outcome of an input. Raises NotVerified where rows were lost or came twice."""
    facts: dict[str, Any] = {"tally": Tally().as_json(), "output": None}
    if done is not None:
        facts = done.facts
    rows = facts["tally"]["rows"]
    if rows != raw.rows:
        raise NotVerified(f"Spark gave {rows} rows of {raw.name} for {raw.rows}.")
    return facts


# --- In the workers -----------------------------------------------------------------------------


def _taken(batches: Iterable[Any], known: _Known, columns: Columns) -> Iterator[Any]:
    """The rows that may be used, redacted, and at the end a row for each file with the counts of this task."""
    permission, redaction, places = known
    worker = Batches(permission, columns, None if redaction is None else redaction.redactor())
    tallies: dict[int, Tally] = {}
    schema: Any = None
    for batch in batches:
        mapped = [batch.schema.field(one) for one in columns.mapped]
        schema = _schema_of(mapped)
        for path, part in _by_value(batch, _PATH):
            file = places[unquote(urlsplit(path).path)]
            tally = tallies.setdefault(file, Tally())
            tally.rows += len(part)
            dates = None if columns.content_date is None else part.column(CONTENT_DATE)
            taken = worker.take(
                part.select([*columns.mapped, ROW]), numbers_of(part.column(_NUMBER)), dates, tally
            )
            nulls = pc.sum(part.column(_EMPTY)).as_py() or 0
            tally.dropped += Counter(null_member=nulls)
            tally.dropped["unknown_member"] -= nulls
            redacted = worker.redact(taken, tally)
            if len(redacted):
                yield _handed_on(redacted, file, schema, mapped)
    for file, tally in tallies.items():
        row = {_FILE: file, _TALLY: json.dumps(tally.as_json())}
        yield pa.RecordBatch.from_pylist([row], schema=schema)


def _schema_of(mapped: list[Any]) -> Any:
    return pa.schema(
        [
            pa.field(_FILE, pa.int32()),
            pa.field(ROW, pa.int64()),
            pa.field(_TALLY, pa.string()),
            pa.field(MEMBER_NUMBER, pa.int64()),
            *mapped,
        ]
    )


def _handed_on(redacted: Any, file: int, schema: Any, mapped: list[Any]) -> Any:
    count = len(redacted)
    return pa.RecordBatch.from_arrays(
        [
            pa.array(np.full(count, file, np.int32)),
            redacted.column(ROW),
            pa.nulls(count, pa.string()),
            redacted.column(MEMBER_NUMBER).cast(pa.int64()),
            *(redacted.column(field.name).cast(field.type) for field in mapped),
        ],
        schema=schema,
    )


def _written(
    batches: Iterable[Any], files: tuple[_File, ...], directory: str, aside: str
) -> Iterator[Any]:
    """The data files of a task, whole and at their places, and a row of facts for each. Rows come in the order of the files."""
    parts = itertools.chain.from_iterable(_by_value(batch, _FILE) for batch in batches)
    for at, own in itertools.groupby(parts, key=lambda one: one[0]):
        facts, members = _one(files[at], (part for _, part in own), Path(directory), Path(aside))
        yield pa.RecordBatch.from_pydict(
            {_FILE: pa.array([at], pa.int32()), "facts": [json.dumps(facts)], "members": [members]}
        )


def _one(
    file: _File, parts: Iterable[Any], directory: Path, aside: Path
) -> tuple[dict[str, Any], bytes]:
    tally, members = Tally(), BitMap()

    def rows() -> Iterator[Any]:
        nonlocal tally
        for part in parts:
            is_tally = part.column(_TALLY).is_valid()
            for said in part.column(_TALLY).drop_null():
                tally += Tally.from_json(json.loads(said.as_py()))
            kept = part.filter(pc.invert(is_tally))
            if not len(kept):
                continue
            numbers = kept.column(MEMBER_NUMBER).cast(pa.uint32())
            members.update(numbers.to_numpy())
            mapped = kept.select(kept.schema.names[4:])
            yield pa.RecordBatch.from_arrays(
                [numbers, *mapped.columns],
                schema=pa.schema([number_field(), *mapped.schema]).remove_metadata(),
            )

    # Spark may run a task twice at a time: each writes aside under a name of its own, and both put the same bytes in place.
    data = writing.DataFile(aside / f"{uuid.uuid4().hex}.partial")
    try:
        for group in writing.in_groups(rows(), file.group_rows):
            data.write(group)
        output = None
        if data.rows:
            digest, size = data.finish(directory / file.name, file.metadata)
            output = {"sha256": digest, "bytes": size, "rows": data.rows}
    finally:
        data.abandon()
    if data.rows != tally.kept:
        raise NotVerified(f"{file.name} got {data.rows} rows for {tally.kept}.")
    return {"tally": tally.as_json(), "output": output}, members.serialize()


def _by_value(batch: Any, name: str) -> Iterator[tuple[Any, Any]]:
    """The parts of a batch in which a column has one value, in their order."""
    column = pc.dictionary_encode(batch.column(name))
    codes = column.indices.to_numpy(zero_copy_only=False)
    starts = [0, *(np.flatnonzero(np.diff(codes)) + 1).tolist()]
    for start, end in zip(starts, [*starts[1:], len(batch)], strict=True):
        if end > start:
            yield column.dictionary[int(codes[start])].as_py(), batch.slice(start, end - start)


# --- The driver ---------------------------------------------------------------------------------


def _check_inputs(inputs: Inputs, columns: Columns) -> None:
    """Raises Misuse for what Spark would read otherwise than it is written."""
    first: Any = None
    for raw in inputs:
        names = list(raw.schema.names)
        if len({one.casefold() for one in names}) < len(names):
            raise Misuse(
                f"{raw.name} has columns whose names differ in case only, or not at all.",
                "The engine would take one for the other: rename them.",
                code="column",
            )
        path = str(raw.named.path.absolute())
        if any(sign in path for sign in "*?[]{}\\"):
            raise Misuse(
                f"The path of {raw.name} has one of * ? [ ] {{ }} \\, which Spark takes for a pattern.",
                "Rename the directory.",
                code="input",
            )
        used = [(one, raw.schema.field(one).type) for one in _used(columns)]
        first = first or used
        if used != first:
            other = next(a[0] for a, b in zip(used, first, strict=True) if a != b)
            raise Misuse(
                f"{other} has another type in {raw.name} than in the first input.",
                "Spark reads all inputs with the same types: prepare them apart.",
                code="input",
            )


def _used(columns: Columns) -> list[str]:
    dates = [] if columns.content_date is None else [columns.content_date]
    return list(dict.fromkeys([columns.member_column, *columns.mapped, *dates]))


def _read(session: Any, inputs: Inputs, columns: Columns) -> Any:
    """The used columns of all inputs, with the path of the file and the row's place in it. Raises Misuse."""
    used = _used(columns)
    paths = [str(raw.named.path.absolute()) for raw in inputs]
    for raw in inputs:
        raw.check_place()
    reader = session.read.option("datetimeRebaseMode", "CORRECTED").option(
        "int96RebaseMode", "CORRECTED"
    )
    whole = reader.parquet(paths[0])
    schema = T.StructType([whole.schema[one] for one in used])
    written, own = next(iter(inputs)).schema, whole.limit(0).toArrow().schema
    for one in columns.mapped:
        _check_type(one, written.field(one).type, own.field(one).type)
    frame = reader.schema(schema).parquet(*paths)
    named = [F.col(f"`{one}`") for one in used]
    if columns.content_date is not None:
        named.append(F.col(f"`{columns.content_date}`").alias(CONTENT_DATE))
    return frame.select(
        *named,
        F.col("_metadata.file_path").alias(_PATH),
        F.col("_metadata.row_index").alias(ROW),
    )


def _check_type(name: str, written: Any, own: Any) -> None:
    """Raises Misuse where Spark holds a column in another type than the file does. All strings are one type."""
    kind = written.value_type if pa.types.is_dictionary(written) else written
    is_same = own == (pa.string() if is_text(kind) else kind)
    if pa.types.is_timestamp(kind) and pa.types.is_timestamp(own):
        # Spark writes UTC for each zone.
        is_same = kind.unit == own.unit and (kind.tz is None) == (own.tz is None)
    if not is_same:
        raise Misuse(
            f"Spark would change the type of {name}, which is {plain_type(written)} in the inputs.",
            "Prepare with DuckDB, or write it as text, as a signed number, or as a date or a time in microseconds.",
            code="input",
        )


@contextlib.contextmanager
def _session(redaction: Redaction | None) -> Iterator[Any]:
    """The active session, or one of our own, with the settings that a preparation needs, which are put back. Raises Misuse."""
    session = SparkSession.getActiveSession()
    is_own = session is None
    if session is None:
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        builder = SparkSession.builder.appName("training-portal prepare")
        session = (
            builder.config("spark.io.encryption.enabled", "true")
            .config("spark.ui.enabled", "false")
            .config("spark.ui.showConsoleProgress", "false")
            .getOrCreate()
        )
        session.sparkContext.setLogLevel("ERROR")
    try:
        if not is_own:
            _check_session(session, redaction)
        before = {name: session.conf.get(name, None) for name in _SETTINGS}
        for name, value in _SETTINGS.items():
            session.conf.set(name, value)
        try:
            yield session
        finally:
            for name, said in before.items():
                session.conf.unset(name) if said is None else session.conf.set(name, said)
    finally:
        if is_own:
            session.stop()


def _check_session(session: Any, redaction: Redaction | None) -> None:
    try:
        conf = session.sparkContext.getConf()
    except PySparkException:
        raise Misuse(
            "A session of Spark Connect cannot hand the members to its workers.",
            "Use a classic session (spark-submit).",
            code="engine",
        ) from None
    is_encrypted = conf.get("spark.io.encryption.enabled", "false") == "true"
    if redaction is not None and redaction.names_people and not is_encrypted:
        raise Misuse(
            "The redaction holds values of people, and this session would write them to the disks of its workers.",
            "Set spark.io.encryption.enabled = true.",
            code="engine",
        )


@contextlib.contextmanager
def _errors() -> Iterator[None]:
    """Errors of Spark without the values that they may quote."""
    try:
        yield
    except (PySparkException, Py4JError) as error:
        raise Misuse(
            f"Spark stopped ({type(error).__name__}).",
            "Its log says where: no Java 17, a file that a worker cannot read, a full disk, or too little memory.",
            code="engine",
        ) from None
