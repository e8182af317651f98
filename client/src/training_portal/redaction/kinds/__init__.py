"""The kinds of items that patterns find, one module for each family."""

from typing import Final

from training_portal.redaction.kinds import (
    birth_dates,
    email,
    links,
    money,
    national_ids,
    network,
    phone,
    secrets,
)
from training_portal.redaction.kinds.rule import KINDS, Rule

RULES: Final[tuple[Rule, ...]] = (
    *secrets.RULES,
    *email.RULES,
    *links.RULES,
    *money.RULES,
    *national_ids.RULES,
    *network.RULES,
    *birth_dates.RULES,
    *phone.RULES,
)
"""All rules, from which a profile takes those of its kinds."""
KINDS_OF_PATTERNS: Final = tuple(kind for kind in KINDS if any(one.kind == kind for one in RULES))
"""The kinds that can be found without a list. Names and addresses cannot."""

__all__ = ["KINDS", "KINDS_OF_PATTERNS", "RULES", "Rule"]
