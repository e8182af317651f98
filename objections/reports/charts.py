"""Graphs as SVG, drawn on the server: shapes and classes; the colours are the style sheet's.

A graph is one image with a name and a description. Every number in it also stands in a table beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

WIDTH, HEIGHT = 960, 260
LEFT, RIGHT, TOP, BOTTOM = 48, 8, 14, 30
MAX_LABELS = 13
MAX_LINES = 5
_STEPS = (1, 2, 5)


@dataclass(frozen=True)
class Series:
    """Numbers of one kind. `tone` is a class of the style sheet: the second differs by more than its colour."""

    name: str
    tone: str
    values: Sequence[int]


def columns(
    name: str, *, title: str, description: str, labels: Sequence[str], series: Sequence[Series]
) -> SafeString:
    """For each label the columns of all series, side by side. `name` makes the ids unique on the page."""
    top = max((value for one in series for value in one.values), default=0)
    step = grid_step(top)
    ceiling = max(step, -(-top // step) * step)
    scale = (HEIGHT - TOP - BOTTOM) / ceiling
    return format_html(
        '<svg class="chart" viewBox="0 0 {width} {height}" role="img" aria-labelledby="{name}-title {name}-desc">'
        '<title id="{name}-title">{title}</title><desc id="{name}-desc">{description}</desc>'
        "{grid}{columns}{labels}</svg>",
        width=WIDTH,
        height=HEIGHT,
        name=name,
        title=title,
        description=description,
        grid=_grid(range(0, ceiling + 1, step), scale),
        columns=_columns(series, len(labels), scale),
        labels=_labels(labels),
    )


def grid_step(top: int) -> int:
    """The distance of the grid's lines: 1, 2 or 5 times a power of ten, so that there are few of them.

    >>> [grid_step(top) for top in (0, 5, 6, 12, 100, 2600)]
    [1, 1, 2, 5, 20, 1000]
    """
    power = 1
    while True:
        for step in _STEPS:
            if step * power * MAX_LINES >= top:
                return step * power
        power *= 10


def _y(value: float, scale: float) -> str:
    return f"{HEIGHT - BOTTOM - value * scale:.1f}"


def _grid(lines: Sequence[int], scale: float) -> SafeString:
    return format_html_join(
        "",
        '<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>'
        '<text x="{}" y="{}" dy="4" text-anchor="end">{}</text>',
        (
            (LEFT, WIDTH - RIGHT, _y(line, scale), _y(line, scale), LEFT - 8, _y(line, scale), f"{line:,}")
            for line in lines
        ),
    )  # fmt: skip


def _columns(series: Sequence[Series], count: int, scale: float) -> SafeString:
    room = (WIDTH - LEFT - RIGHT) / max(count, 1)
    width = room * 0.8 / max(len(series), 1)
    return format_html_join(
        "",
        '<rect class="{}" x="{}" y="{}" width="{}" height="{}"/>',
        (
            (
                one.tone,
                f"{LEFT + (i + 0.1) * room + place * width:.1f}",
                _y(value, scale),
                f"{width:.1f}",
                f"{value * scale:.1f}",
            )
            for place, one in enumerate(series)
            for i, value in enumerate(one.values)
            if value
        ),
    )


def _labels(labels: Sequence[str]) -> SafeString:
    room = (WIDTH - LEFT - RIGHT) / max(len(labels), 1)
    every = -(-len(labels) // MAX_LABELS) or 1
    return format_html_join(
        "",
        '<text x="{}" y="{}" text-anchor="middle">{}</text>',
        (
            (f"{LEFT + (i + 0.5) * room:.1f}", HEIGHT - 8, label)
            for i, label in enumerate(labels)
            if i % every == 0
        ),
    )


def bar(parts: Sequence[tuple[str, int]], whole: int) -> SafeString:
    """A bar for a table's cell: parts of a whole, each with its tone. The numbers stand in the row, so it is silent."""
    shapes, start = [], 0.0
    for tone, count in parts:
        width = 100 * count / whole if whole else 0
        shapes.append((tone, f"{start:.2f}%", f"{width:.2f}%"))
        start += width
    return format_html(
        '<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true" focusable="false">'
        '<rect class="track" width="100%" height="100%"/>{}</svg>',
        format_html_join("", '<rect class="{}" x="{}" width="{}" height="100%"/>', shapes),
    )
