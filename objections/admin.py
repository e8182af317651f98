"""The desk in the admin. Django looks here: `staff` has the pages."""

from objections.staff import letters, tickets

__all__ = ["letters", "tickets"]
