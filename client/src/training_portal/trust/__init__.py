"""From what the portal gives to what may be used, in a fixed order: `Trust.verify`. Nothing else makes a Permission."""

from training_portal.trust.memory import Memory
from training_portal.trust.notes import VerifierKey
from training_portal.trust.steps import Source, Trust, Withdrawals

__all__ = ["Memory", "Source", "Trust", "VerifierKey", "Withdrawals"]
