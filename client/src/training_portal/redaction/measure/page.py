"""The page of the figures: docs/reference/redaction-measured.md."""

from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from string import Template

from training_portal.redaction.kinds import KINDS_OF_PATTERNS
from training_portal.redaction.kinds.links import SITES
from training_portal.redaction.lexicon import NEAR
from training_portal.redaction.measure.scoring import Score
from training_portal.redaction.measure.speed import ListFigures, Ratio
from training_portal.redaction.measure.texts import (
    FAKER,
    KINDS,
    LANGUAGES,
    SECOND,
    THIRD,
    WITHOUT_A_LIST,
)

Scores = Mapping[tuple[str, str], Score]
_NAMES = {"en": "English", "de": "German", "fr": "French"}


def written(
    *,
    second: Scores,
    third: Scores,
    without: Scores,
    negatives: int,
    known: Mapping[str, tuple[int, int]],
    ratio: Ratio,
    dirty: float,
    listed: ListFigures,
    machine: str,
    versions: Iterable[str],
) -> str:
    """The page, in Markdown."""
    text = (resources.files(__package__) / "page.md").read_text()
    return Template(text).substitute(
        sites=len(SITES),
        order=", ".join(f"`{kind}`" for kind in KINDS_OF_PATTERNS),
        near=NEAR,
        faker=FAKER,
        second=_regions(SECOND),
        third=_regions(THIRD),
        negatives=f"{negatives:,}",
        second_table=scores_table(second),
        third_table=scores_table(third),
        without_table=_without(without),
        known_count=f"{next(iter(known.values()))[1]:,}",
        known_table=_table(
            ("form", "found"),
            [(form, f"{found / asked:.3f}") for form, (found, asked) in known.items()],
        ),
        machine=machine,
        speed_table=_speed(ratio, dirty, listed),
        versions=", ".join(versions) + ".",
    )


def _regions(splits: Mapping[str, Sequence[str]]) -> str:
    return ", ".join(locale for locales in splits.values() for locale in locales)


def scores_table(scores: Scores) -> str:
    """Recall and precision by kind, a column for each language."""
    rows = []
    for kind in KINDS:
        cells = []
        for language in LANGUAGES:
            one = scores[kind, language]
            cells.append(f"{one.recall:.3f} / {one.precision:.3f} ({one.items:,})")
        rows.append((f"`{kind}`", *cells))
    return _table(("recall / precision (items)", *(_NAMES[one] for one in LANGUAGES)), rows)


def _without(scores: Scores) -> str:
    rows = [
        (
            kind,
            *(
                f"{scores[kind, language].recall:.3f} ({scores[kind, language].items:,})"
                for language in LANGUAGES
            ),
        )
        for kind in WITHOUT_A_LIST
    ]
    return _table(("recall (items)", *(_NAMES[one] for one in LANGUAGES)), rows)


def _speed(ratio: Ratio, dirty: float, listed: ListFigures) -> str:
    return _table(
        ("what", "figure", "bound"),
        [
            (
                f"{ratio.rows:,} posts, 5 % with an item: semi-join, redaction, Parquet, in the CPU of DuckDB's `COPY` of the same rows",
                f"{ratio.times:.2f} ×",
                "3 ×",
            ),
            (
                "the same, redaction alone",
                f"{ratio.rows / ratio.redact:,.0f} rows a CPU second",
                "",
            ),
            ("texts that all have an item", f"{dirty:,.0f} rows a CPU second", "25,000"),
            (
                f"a list of {listed.entries:,} entries: posts searched for it",
                f"{listed.rows_a_second:,.0f} rows a CPU second",
                "400,000",
            ),
            (
                f"the same: memory, for {listed.forms:,} forms",
                f"{listed.megabytes:,.0f} MB",
                "350 MB",
            ),
            (
                "the same: most memory while it is made ready",
                f"{listed.peak_megabytes:,.0f} MB",
                "",
            ),
            ("the same: time to make it ready", f"{listed.seconds:.1f} CPU s", ""),
        ],
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
