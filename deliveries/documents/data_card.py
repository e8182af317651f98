"""A data card of a model in Markdown, with the YAML front matter of data set hubs."""

import json
import re

from deliveries.documents.ai_act import document as ai_act
from deliveries.documents.figures import Figures, band


def document(figures: Figures) -> str:
    """The card's text. Text that people typed is written as they typed it, on lines of its own."""
    model, summary = figures.model, ai_act(figures)
    lines = [
        "---",
        f"pretty_name: {json.dumps(model.title)}",
        f"size_categories: [{json.dumps(_size(figures.rows_kept))}]",
        f"modalities: {json.dumps(summary['1.3']['modalities'])}",
        "---",
        "",
        f"# {_plain(model.title)}",
        "",
        _plain(model.facts.get("description", "Not described yet.")),
        "",
        f"{band(figures.rows_kept)} of {band(figures.rows_in)} rows were kept. Content"
        f" {figures.earliest or 'of an unknown age'} to {figures.latest or 'an unknown day'}.",
        "",
        "## Whose data is not in it",
        "",
        *[f"- {one}" for one in summary["3.3"]],
        "",
        "## Files",
        "",
        "| file | rows | SHA-256 |",
        "|---|---|---|",
        *[f"| {one.name} | {band(one.rows)} | {one.sha256} |" for one in figures.data_sets],
        "",
        "## What is open",
        "",
        *([f"- {one}" for one in figures.open] or ["Nothing."]),
        "",
        "Made from the receipts "
        + (", ".join(one["receipt"] for one in figures.sources) or "of no run")
        + ". A receipt is the runner's own signed statement.",
        "",
    ]
    return "\n".join(lines)


def _plain(text: str) -> str:
    """Typed text as Markdown shows it: its signs stay signs."""
    return re.sub(r"([\\`*_{}\[\]<>#|!])", r"\\\1", text)


def _size(rows: int) -> str:
    for limit, words in (
        (1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (10**6, "100K<n<1M"),
        (10**7, "1M<n<10M"), (10**8, "10M<n<100M"), (10**9, "100M<n<1B"),
    ):  # fmt: skip
        if rows < limit:
            return words
    return "n>1B"
