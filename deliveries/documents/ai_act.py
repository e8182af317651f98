"""The summary of training content that Art. 53(1)(d) of the AI Act asks for, by the template C(2025) 8311.

Only the parts that the portal knows: 1.3 (bands of size, latest date), 2.4 (user data), 3.3 (measures).
"""

from typing import Any

from consent.choices import DataCategory
from deliveries.documents.figures import Figures, band

_TEXT = ((10**9, "Less than 1 billion tokens"), (10**13, "1 billion to 10 trillion tokens"))
_OPEN = "open"
HEADINGS = {
    "1.3": "1.3 Overall size and types of the training data",
    "2.4": "2.4 User data",
    "3.2": "3.2 Removal of illegal content",
    "3.3": "3.3 Measures about personal data",
    "open": "Open: what the receipts do not say",
    "made_from": "Made from these receipts",
}
"""The parts as people read them."""


def document(figures: Figures) -> dict[str, Any]:
    """The parts of the summary, by their numbers in the template. What no receipt says is `open`."""
    facts = figures.model.facts
    return {
        "template": "C(2025) 8311, summary for Art. 53(1)(d) of Regulation (EU) 2024/1689",
        "model": figures.model.title,
        "version": figures.model.version or _OPEN,
        "1.3": {
            "text": _text(figures),
            # A receipt counts tokens and rows, not pictures or hours.
            **{one: _other(figures, one) for one in ("image", "audio", "video", "other")},
            "modalities": sorted(name for name, count in figures.bytes.items() if count),
            "latest_date_of_acquisition": f"content of {figures.latest} or older"
            if figures.latest and figures.has_all_content
            else _OPEN,
        },
        "2.4": {
            "interactions_with_the_model": facts.get("model_interactions", _OPEN),
            "other_services": "yes" if figures.receipts else _OPEN,
            "description_of_services": facts.get("services", _OPEN),
            "modalities": sorted(name for name, count in figures.bytes.items() if count),
            "comments": _comments(figures),
        },
        "3.2": facts.get("illegal_content", _OPEN),
        "3.3": _measures(figures),
        "open": figures.open,
        "made_from": figures.sources,
    }


def _text(figures: Figures) -> str:
    count = figures.tokens.get("text", 0)
    if not figures.receipts or not figures.has_all_tokens:
        return _OPEN
    if not count:
        return _other(figures, "text")
    return next((words for limit, words in _TEXT if count < limit), "More than 10 trillion tokens")


def _other(figures: Figures, modality: str) -> str:
    """Of a modality without a band: it is there and its size is open, or no receipt names it."""
    is_named = figures.bytes.get(modality) or figures.tokens.get(modality)
    return _OPEN if is_named or not figures.receipts else "none named by a receipt"


def _comments(figures: Figures) -> str:
    names = [DataCategory(one).label for one in sorted(figures.categories)]
    if not names:
        return _OPEN
    return (
        f"Data of members of our own services: {', '.join(names)}. {band(figures.rows_kept)} of"
        f" {band(figures.rows_in)} rows were kept in preparation."
    )


def _measures(figures: Figures) -> list[str]:
    if not figures.receipts:
        return []
    out = figures.excluded
    found = [
        f"Members who had switched the use off: left out of every run ({band(out['opted_out'])} in all runs together).",
        "Members who had objected: left out from the receipt of the objection on"
        f" ({band(out['objection_open'] + out['objection_upheld'])}).",
        f"Members under 18 or the age of their country, or of unknown age: left out ({band(out['minor'])}).",
        f"Countries where the use is not allowed: left out ({band(out['region'])} members).",
        f"Members who left after the manifest and before the delivery: {band(figures.subtracted)}.",
    ]
    if figures.hits:
        kinds = ", ".join(f"{kind} {band(count)}" for kind, count in sorted(figures.hits.items()))
        where = "texts" if figures.has_all_redaction else "some of the texts, not all,"
        found.append(f"Personal data in {where} was reduced by redaction: {kinds}.")
    if figures.sampled:
        found.append(
            f"A sample of {band(figures.sampled)} rows after redaction had {band(figures.left)} left."
        )
    return found
