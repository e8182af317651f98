"""Redaction of text before training: items of known shape, known values, and the redaction list.

    redactor = Redactor(Profile.load(), redaction_list=RedactionList.read(answer))
    column, hits = redactor.redact(table["text"])
    redactor.for_receipt(hits)

What comes out is *reduced*: docs/reference/redaction-measured.md says what is found, and what cannot be.
"""

from training_portal.extras import needed

with needed("redact"):
    from training_portal.redaction.estimating import Residual, estimate
    from training_portal.redaction.hits import Hits
    from training_portal.redaction.known import KnownValue, RedactionList
    from training_portal.redaction.profile import Profile
    from training_portal.redaction.redactor import ENGINE, VERSION, Redactor

__all__ = [
    "ENGINE",
    "VERSION",
    "Hits",
    "KnownValue",
    "Profile",
    "RedactionList",
    "Redactor",
    "Residual",
    "estimate",
]
