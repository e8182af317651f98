"""The desk in the admin. Django looks here: `staff` has the pages."""

from objections.staff import letters, redaction, tickets

__all__ = ["letters", "redaction", "tickets"]
