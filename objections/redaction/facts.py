"""Facts about preparation that pages and letters may state: only what apps above can show by receipts and rows."""

from collections.abc import Collection

from common import registry


def is_redaction_proven(purposes: Collection[str]) -> bool:
    """Whether receipts show, for each of the purposes, that completed runs were redacted. No answer is no."""
    return _is_shown("objections.redaction_facts", purposes)


def is_list_applied(purposes: Collection[str]) -> bool:
    """The same of the redaction list: what a person on it may be told."""
    return _is_shown("objections.list_facts", purposes)


def _is_shown(point: str, purposes: Collection[str]) -> bool:
    askable = registry.hooks(point)
    return bool(askable and purposes) and all(
        ask(purpose) is True for ask in askable for purpose in purposes
    )


def recipients(purpose: str) -> list[str]:
    """The names of those outside who receive data sets for the purpose, as they exist as rows."""
    found = {name for ask in registry.hooks("objections.recipients") for name in ask(purpose)}
    return sorted(found)
