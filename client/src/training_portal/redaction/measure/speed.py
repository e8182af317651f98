"""Speed in CPU seconds, and memory. Wall time says nothing on a machine that others use."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from training_portal.redaction.known import KnownValue
from training_portal.redaction.measure.texts import KINDS, LANGUAGES, SECOND, Values, items
from training_portal.redaction.redactor import Redactor

BATCH = 262_144


def cpu(work: Callable[[], Any], times: int = 3) -> float:
    """CPU seconds of some work, of all threads of this process: the median of a few runs."""
    runs = []
    for _ in range(times):
        before = time.process_time()
        work()
        runs.append(time.process_time() - before)
    return median(runs)


def posts(count: int, dirty: float, seed: int) -> list[str]:
    """Posts in three languages, some 120 characters each, of which a share has one item. Clean ones have numbers and links."""
    rng = random.Random(seed)  # noqa: S311 - texts, no secret
    makers = {language: Values(SECOND[language][0], seed) for language in LANGUAGES}
    words = {
        language: sorted({maker.fake.word() for _ in range(4_000)})
        for language, maker in makers.items()
    }
    some = [
        one.text
        for language in LANGUAGES
        for kind in KINDS
        for one in items(kind, language, 150, seed)
    ]
    texts = []
    for _ in range(count):
        if rng.random() < dirty:
            texts.append(f"{rng.choice(some)} {' '.join(rng.choices(words['en'], k=8))}.")
            continue
        parts = rng.choices(words[rng.choice(LANGUAGES)], k=rng.randint(10, 28))
        if rng.random() < 0.2:
            parts.insert(
                3,
                rng.choice(
                    (
                        "2026",
                        "17:30",
                        "3.50",
                        "https://news.example.org/2026/a",
                        "100",
                        "#today",
                        "5:1",
                    )
                ),
            )
        texts.append(" ".join(parts).capitalize() + ".")
    return texts


@dataclass(frozen=True)
class Ratio:
    """Rows copied by DuckDB, and the same rows redacted on the way."""

    rows: int
    copy: float
    redact: float
    whole: float

    @property
    def times(self) -> float:
        """CPU of reading, redacting and writing, in that of DuckDB's own copy."""
        return self.whole / self.copy


def beside_a_copy(count: int, seed: int) -> Ratio:
    """Redaction of posts of which 5 % have an item, between reading and writing of Parquet, beside DuckDB's own `COPY`.

    Both read the rows of the listed authors by a semi-join, as the preparation of training data does: eight posts an
    author, and of ten authors six on the list.
    """
    redactor = Redactor()
    with TemporaryDirectory() as place:
        raw, members, clean = (
            Path(place) / f"{name}.parquet" for name in ("raw", "members", "clean")
        )
        rng = random.Random(seed)  # noqa: S311 - texts, no secret
        accounts = [f"account-{rng.randrange(10**12):012}" for _ in range(count // 8)]
        authors = rng.choices(accounts, k=count)
        pq.write_table(pa.table({"author": authors, "text": posts(count, 0.05, seed)}), raw)
        pq.write_table(pa.table({"author": accounts[: len(accounts) * 6 // 10]}), members)
        del accounts, authors
        database = duckdb.connect()
        database.execute("SET enable_progress_bar = false")
        kept = f"SELECT author, text FROM '{raw}' WHERE author IN (SELECT author FROM '{members}')"
        spent = []

        def with_redaction() -> None:
            schema = pa.schema({"author": pa.string(), "text": pa.string()})
            with pq.ParquetWriter(clean, schema, use_dictionary=["author"]) as writer:
                for batch in database.sql(kept).to_arrow_reader(BATCH):
                    before = time.process_time()
                    text, _ = redactor.redact(batch["text"])
                    spent.append(time.process_time() - before)
                    writer.write_batch(pa.record_batch([batch["author"], text], schema))

        copied = cpu(lambda: database.execute(f"COPY ({kept}) TO '{clean}' (FORMAT parquet)"))
        whole = cpu(with_redaction)
        return Ratio(pq.read_metadata(clean).num_rows, copied, sum(spent) / 3, whole)


def dirty_rows(count: int, seed: int) -> float:
    """Rows a CPU second where each has an item."""
    each = count // (len(KINDS) * len(LANGUAGES)) + 1
    texts = [
        one.text
        for language in LANGUAGES
        for kind in KINDS
        for one in items(kind, language, each, seed)
    ]
    random.Random(seed).shuffle(texts)  # noqa: S311 - texts, no secret
    column = pa.array(texts)
    redactor = Redactor()
    return len(texts) / cpu(lambda: redactor.redact(column))


@dataclass(frozen=True)
class ListFigures:
    """Of a redaction list of many entries."""

    entries: int
    forms: int
    megabytes: float
    """The growth of the process when the list was made ready."""
    peak_megabytes: float
    """The most it grew by meanwhile."""
    seconds: float
    rows_a_second: float


def long_list(entries: int, count: int, seed: int) -> ListFigures:
    """A list of names, one in ten with a handle and an e-mail address, over clean posts. To be asked in a process of its own."""
    column = pa.array(posts(count, 0.0, seed))
    values = _people(entries, seed)
    Redactor(redaction_list=[KnownValue("name", "Any Body", 1)]).redact(column.slice(0, 1000))
    _forget_the_peak()
    before = _resident()
    started = time.process_time()
    redactor = Redactor(redaction_list=values)
    seconds = time.process_time() - started
    del values
    grown, peak = _resident() - before, _status("VmHWM") - before
    # The patterns' share is measured apart: here, the list alone.
    spent = cpu(lambda: redactor.lexicon.find(column))
    return ListFigures(entries, redactor.lexicon.forms, grown, peak, seconds, len(column) / spent)


def _people(entries: int, seed: int) -> list[KnownValue]:
    makers = [Values(locale, seed) for locales in SECOND.values() for locale in locales]
    firsts = sorted({maker.fake.first_name() for maker in makers for _ in range(3_000)})
    lasts = sorted({maker.fake.last_name() for maker in makers for _ in range(5_000)})
    rng = random.Random(seed)  # noqa: S311 - texts, no secret
    values = []
    for number in range(1, entries + 1):
        first, last = rng.choice(firsts), rng.choice(lasts)
        if rng.random() < 0.5:
            last = (
                f"{last}-{rng.choice(lasts)}"
                if rng.random() < 0.2
                else last + rng.choice(("s", "er", "in", "y", "a", "mann", "sen"))
            )
        values.append(KnownValue("name", f"{first} {last}", number))
        if number % 10 == 0:
            values.append(KnownValue("handle", f"{first}.{last}{number}".replace(" ", ""), number))
            values.append(
                KnownValue("email", f"{first}.{last}{number}@example.org".replace(" ", ""), number)
            )
    return values


def _resident() -> float:
    return _status("VmRSS")


def _status(field: str) -> float:
    """Megabytes, of what Linux says about this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) * 1024 / 1e6


def _forget_the_peak() -> None:
    # man 5 proc: 5 sets the peak of resident memory back to what is resident now.
    Path("/proc/self/clear_refs").write_text("5")
