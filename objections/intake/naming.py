"""The accounts that a person may mean by what they typed: a reference, another spelling of one, a profile's address."""

import re
from urllib.parse import unquote

from django.conf import settings

from consent import members
from consent.references import folding_of, key_of
from objections.choices import FoundBy

Found = tuple[FoundBy | None, list[int]]
"""The way to the accounts, and their numbers; several where the way leads to several."""


def accounts_named(text: str) -> Found:
    """The accounts that a text may name: by the key, else by other spellings, else by an address. None is no error."""
    named = _by_reference(text)
    if named[1]:
        return named
    found_by, numbers = _by_reference(ref_in_address(text))
    return (FoundBy.ADDRESS if found_by else None), numbers


def _by_reference(account_ref: str) -> Found:
    exact, alike = members.named_alike(account_ref)
    if exact is not None:
        return FoundBy.KEY, [exact]
    return (FoundBy.SPELLING if alike else None), alike


def ref_in_address(text: str) -> str:
    """The reference in a profile's address (`ACCOUNT_ADDRESS_PATTERN`); empty where there is none."""
    pattern = settings.ACCOUNT_ADDRESS_PATTERN
    match = re.search(pattern, text) if pattern else None
    return key_of(unquote(match["ref"] or "")) if match else ""


def folding_named(text: str) -> str:
    """The folding by which an account that is not known yet will find what named it; empty for test accounts."""
    folded = folding_of(ref_in_address(text) or text)
    return "" if folded.startswith(members.CANARY_PREFIX) else folded
