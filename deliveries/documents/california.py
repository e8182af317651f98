"""The documentation that California asks for: AB 2013, Civil Code § 3111, twelve fields, in force since 2026-01-01."""

from typing import Any

from consent.choices import DataCategory
from deliveries.documents.figures import Figures, band

_OPEN = "open"
HEADINGS = {
    "1_sources_or_owners": "(1) Sources or owners of the data sets",
    "2_how_the_data_sets_further_the_purpose": "(2) How the data sets further the purpose of the system",
    "3_number_of_data_points": "(3) Number of data points",
    "4_types_of_data_points": "(4) Types of data points",
    "5_protected_or_public": "(5) Protected by copyright, trademark or patent, or in the public domain",
    "6_purchased_or_licensed": "(6) Purchased or licensed",
    "7_personal_information": "(7) Personal information",
    "8_aggregate_consumer_information": "(8) Aggregate consumer information",
    "9_cleaning_or_modification": "(9) Cleaning, processing or other modification",
    "10_time_period_of_collection": "(10) Time period of the collection",
    "11_dates_first_used": "(11) Dates of the first use",
    "12_synthetic_data": "(12) Synthetic data generation",
    "open": "Open: what the receipts do not say",
    "made_from": "Made from these receipts",
}
"""The fields of § 3111(a) as people read them."""


def document(figures: Figures) -> dict[str, Any]:
    """The twelve fields of § 3111(a), in their order. What no receipt says is `open`."""
    facts = figures.model.facts
    names = [DataCategory(one).label for one in sorted(figures.categories)]
    used = (
        f"{figures.earliest} to {figures.latest} (content); prepared"
        f" {min(one.received_at for one in figures.receipts):%Y-%m-%d} to"
        f" {max(one.received_at for one in figures.receipts):%Y-%m-%d}"
        if figures.receipts and figures.has_all_content
        else _OPEN
    )
    return {
        "law": "California Civil Code § 3111 (AB 2013)",
        "model": figures.model.title,
        "1_sources_or_owners": "Members of our own services" if figures.receipts else _OPEN,
        "2_how_the_data_sets_further_the_purpose": facts.get("purpose_statement", _OPEN),
        "3_number_of_data_points": f"{band(figures.rows_kept)} rows in {len(figures.data_sets)} data sets"
        if figures.receipts
        else _OPEN,
        "4_types_of_data_points": ", ".join(names) or _OPEN,
        "5_protected_or_public": facts.get("licences", _OPEN),
        "6_purchased_or_licensed": facts.get("purchased", _OPEN),
        "7_personal_information": _personal(figures),
        "8_aggregate_consumer_information": facts.get("aggregate", _OPEN),
        "9_cleaning_or_modification": _cleaning(figures),
        "10_time_period_of_collection": f"{figures.earliest} to {figures.latest}"
        if figures.latest and figures.has_all_content
        else _OPEN,
        "11_dates_first_used": used,
        "12_synthetic_data": facts.get("synthetic", _OPEN),
        "open": figures.open,
        "made_from": figures.sources,
    }


def _personal(figures: Figures) -> str:
    if not figures.receipts:
        return _OPEN
    if not figures.hits:
        return "yes: content of members"
    part = "" if figures.has_all_redaction else " in part"
    return f"yes: content of members, reduced{part} by redaction"


def _cleaning(figures: Figures) -> str:
    if not figures.receipts:
        return _OPEN
    dropped = ", ".join(f"{why} {band(count)}" for why, count in sorted(figures.dropped.items()))
    redacted = ", ".join(f"{kind} {band(count)}" for kind, count in sorted(figures.hits.items()))
    said = f"Rows dropped: {dropped or 'none'}."
    if not figures.is_redacted:
        return f"{said} No redaction."
    part = "" if figures.has_all_redaction else ", in part"
    # A redaction may have found nothing.
    return f"{said} Redacted{part}: {redacted or 'nothing'}."
