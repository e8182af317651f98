"""OpenLineage events as emitters send them: read leniently, because emitters add facets and swallow refusals."""

import datetime as dt
import json
import math
import re
import zlib
from dataclasses import dataclass
from typing import Any

from ledger.errors import InvalidInput

MAX_BYTES = 4 * 2**20
"""Bytes of an event once it is unpacked."""
MAX_DEPTH = 64
REFERENCE = re.compile(r"TR-[0-9]{4}-[0-9]{6,}")
OUR_FACET = "trainingPortal_run"
"""A run facet with `reference`: the run's public reference."""
OUR_DATA_SET = "trainingPortal_dataSet"
"""A data set facet with `sha256`: the digest of a file that a receipt claims."""


@dataclass(frozen=True)
class DataSetName:
    """A data set of an event."""

    namespace: str
    name: str
    sha256: str = ""

    @property
    def full(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True)
class Event:
    """The parts of an event that matter here; `body` is all of it."""

    body: dict[str, Any]
    run_id: str
    kind: str
    time: dt.datetime
    job: str
    reference: str
    """The run's reference by our facet; empty without one."""
    parents: tuple[str, ...]
    inputs: tuple[DataSetName, ...]


def unpacked(data: bytes, encoding: str) -> bytes:
    """The body without its `Content-Encoding`. Raises InvalidInput for another one, and for what unpacks too far."""
    if not encoding or encoding.lower() == "identity":
        if len(data) > MAX_BYTES:
            raise InvalidInput(f"An event has at most {MAX_BYTES:,} bytes.", field="body")
        return data
    if encoding.lower() != "gzip":
        raise InvalidInput("gzip, or no encoding.", field="Content-Encoding")
    unpacker = zlib.decompressobj(wbits=31)
    try:
        found = unpacker.decompress(data, MAX_BYTES + 1)
    except zlib.error as error:
        raise InvalidInput("The body is not gzip.", field="body") from error
    if len(found) > MAX_BYTES or not unpacker.eof or unpacker.unused_data:
        raise InvalidInput(
            f"One gzip member of at most {MAX_BYTES:,} bytes when unpacked.", field="body"
        )
    return found


def read(data: bytes) -> Event:
    """The event in a body. Facets and fields that are not known stay in it. Raises InvalidInput for what is no event."""
    try:
        # Emitters send numbers of any kind in their facets; only what has no JSON at all is refused.
        body = json.loads(data, parse_constant=_no_number)  # noqa: TID251  lenient on purpose
        _check_depth(body, MAX_DEPTH)
    except (ValueError, RecursionError) as error:
        raise InvalidInput("The body is not JSON that can be read.", field="body") from error
    if not isinstance(body, dict):
        raise InvalidInput("An event is an object.", field="body")
    run, job = _object(body, "run"), _object(body, "job")
    data_set = _object(body, "dataset")
    if not (run or job or data_set):
        raise InvalidInput("An event has a run, a job or a dataset.", field="body")
    facets = _object(run, "facets")
    parent = _object(facets, "parent")
    ours = _object(facets, OUR_FACET)
    reference = _text(ours, "reference", 20)
    return Event(
        body=body,
        run_id=_text(run, "runId", 100),
        kind=_text(body, "eventType", 10).upper(),
        time=_time(_text(body, "eventTime", 40)),
        job=f"{_text(job, 'namespace', 300)}/{_text(job, 'name', 300)}",
        reference=reference if REFERENCE.fullmatch(reference) else "",
        parents=tuple(
            found
            for found in (
                _text(_object(parent, "run"), "runId", 100),
                _text(_object(_object(parent, "root"), "run"), "runId", 100),
            )
            if found
        ),
        inputs=tuple(_data_sets(body.get("inputs"))),
    )


def _data_sets(found: Any) -> list[DataSetName]:
    rows = [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []
    return [
        DataSetName(
            _text(row, "namespace", 300),
            _text(row, "name", 700),
            _text(_object(_object(row, "facets"), OUR_DATA_SET), "sha256", 64),
        )
        for row in rows[:1000]
    ]


def _object(holder: Any, name: str) -> dict[str, Any]:
    found = holder.get(name) if isinstance(holder, dict) else None
    return found if isinstance(found, dict) else {}


def _text(holder: dict[str, Any], name: str, limit: int) -> str:
    found = holder.get(name)
    return storable(found[:limit]) if isinstance(found, str) else ""


_NOT_STORABLE = re.compile("[\0\ud800-\udfff]")


def storable(text: str) -> str:
    """The text with U+FFFD for U+0000 and for halves of pairs: PostgreSQL takes neither, and emitters send both.

    >>> storable("cut \\ud83d") == "cut \\ufffd"
    True
    """
    return _NOT_STORABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def _time(text: str) -> dt.datetime:
    try:
        found = dt.datetime.fromisoformat(text)
        return found.astimezone(dt.UTC) if found.tzinfo else found.replace(tzinfo=dt.UTC)
    except (ValueError, OverflowError):
        raise InvalidInput("A time of RFC 3339.", field="eventTime") from None


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON")


def _check_depth(value: Any, left: int) -> None:
    if left < 0:
        raise ValueError("nested too deep")
    if isinstance(value, dict):
        for one in value.values():
            _check_depth(one, left - 1)
    elif isinstance(value, list):
        for one in value:
            _check_depth(one, left - 1)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a number that is infinite")
